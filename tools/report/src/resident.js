// SPDX-License-Identifier: MIT
// Where the resident memory of a live process is, as tools/views/resident_view.c writes it: parts that add up to the kernel's count.

import { byId, element } from "./dom.js";
import { percentage, quantity } from "./quantity.js";

/** What each is, and what it is of a process that was attached to, if that is another thing. */
const PARTS = [
  ["in_use", "asked for by the program, and in use", "asked for since attach, and in use"],
  ["rounding", "rounding by the allocator"],
  ["allocator", "free in the allocator, and its own", "asked for before attach, or free: not known"],
  ["stacks", "stacks"],
  ["files", "files: program, libraries, what is mapped of others"],
  ["direct", "mapped directly, not through malloc", "mapped directly, or asked for before attach: not known"],
  ["shared", "shared memory"],
  ["profiler", "the profiler"],
];

const text = (bytes) => quantity(bytes, "bytes");

function slice(key, bytes, total) {
  const made = element("span", { class: `slice part-${key}` });
  made.style.setProperty("--size", `${(100 * bytes) / total}%`);
  return made;
}

function row(key, what, bytes, total) {
  return element("li", { class: `part-${key}` },
    element("span", { class: "value" }, text(bytes)),
    element("span", { class: "percent" }, percentage(bytes, total)),
    element("span", { class: "what" }, what));
}

function notes({ asked_for_and_absent_bytes: absent, swapped_bytes: swapped, allocator_says: says }) {
  const told = says && ["allocated", "active", "metadata", "retained"].map((key) => `${key} ${text(says[key])}`).join(", ");
  return [
    absent > 0 && `${text(absent)} more was asked for and is not resident: never written to, or swapped out.`,
    swapped > 0 && `${text(swapped)} is swapped out.`,
    told && `When heapprof_dump was last called, the allocator said: ${told}.`,
  ].filter(Boolean);
}

/** resident: undefined if the profile is not of a live process */
export function showResident(resident) {
  byId("resident").hidden = resident === undefined;
  if (resident === undefined) {
    return;
  }
  const { resident_bytes: total, resident_most_bytes: most, parts, since } = resident;
  const bytes = (key) => parts[`${key}_bytes`];
  byId("resident-total").textContent = `${text(total)} now, ${text(most)} at most`;
  byId("resident-bar").replaceChildren(...PARTS.filter(([key]) => bytes(key) > 0).map(([key]) => slice(key, bytes(key), total)));
  byId("resident-parts").replaceChildren(
    ...PARTS.map(([key, usual, ofAttached]) => row(key, (since && ofAttached) || usual, bytes(key), total)));
  byId("resident-notes").replaceChildren(...notes(resident).map((note) => element("p", { class: "hint" }, note)));
}
