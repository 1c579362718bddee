// SPDX-License-Identifier: MIT
// What is said about a frame, as lines of [label, text]: in the card that follows the pointer, and to assistive
// technology.

import { isNoise } from "./profile.js";
import { errorText, halfWidth, percentage, quantity, signed } from "./quantity.js";

const LINES_SHOWN = 3;

/** "shop.cc:31, 45": the lines of each file that a node runs through; inlined: all of them are inlined */
export function placesText(profile, node) {
  const files = new Map();
  for (const number of node.places) {
    const { file, line } = profile.places[number >> 1];
    if (file !== "") {
      files.set(file, (files.get(file) ?? new Set()).add(line));
    }
  }
  const texts = [...files].map(([file, lines]) => file + linesText([...lines].filter((line) => line !== 0)));
  return texts.slice(0, LINES_SHOWN).join("; ") + (texts.length > LINES_SHOWN ? "; …" : "");
}

function linesText(lines) {
  lines.sort((a, b) => a - b);
  const shown = lines.slice(0, LINES_SHOWN).join(", ");
  return lines.length === 0 ? "" : `:${shown}${lines.length > LINES_SHOWN ? ", …" : ""}`;
}

export function isInlined(node) {
  return node.places.length > 0 && node.places.every((number) => number & 1);
}

export function valueText(numbers, unit) {
  return [quantity(numbers.value, unit), errorText(numbers.value, numbers.variance, unit)].join(" ").trim();
}

export function changeText(numbers, unit) {
  const change = numbers.value - numbers.base;
  const error = errorText(change, numbers.change_variance, unit);
  const noise = change !== 0 && isNoise(numbers, halfWidth) ? " (noise)" : "";
  return `${signed(change, unit)} ${error}`.trim() + noise;
}

/** view: profile, tree, zoomed, isDifference */
export function frameLines(view, node) {
  const { tree, zoomed } = view;
  const { unit } = tree.sums;
  const whole = tree.root.total;
  const lines = [["Value", `${valueText(node.total, unit)} (${percentage(node.total.value, whole.value)} of all)`]];
  if (zoomed.parent !== null && node !== zoomed) {
    lines.push(["Of zoomed", percentage(node.total.value, zoomed.total.value)]);
  }
  if (view.isDifference) {
    lines.push(["Before", `${quantity(node.total.base, unit)} (${percentage(node.total.base, whole.base)} of all)`]);
    lines.push(["Change", changeText(node.total, unit)]);
  }
  if (view.direction === "callees" && node.parent !== null) {
    lines.push(["Itself", valueText(node.own, unit)]);
  }
  return lines;
}
