// SPDX-License-Identifier: MIT
// What each function allocated itself (flat) and with all it called (cum): the rows of the table, and what a search
// adds up.

import { addAt, noNumbers } from "./profile.js";

export function functionRows(profile, sums) {
  const rows = profile.names.map((name, number) => ({
    name, number, files: new Set(), flat: noNumbers(sums.own), cum: noNumbers(sums.own),
  }));
  walkOutermost(profile, (node) => addAt(rows[profile.name[node]].cum, sums.total, node));
  for (const node of profile.ends) {
    if (node !== 0) {
      addAt(rows[profile.name[node]].flat, sums.own, node);
    }
  }
  for (const place of profile.places) {
    if (place.file !== "") {
      rows[place.name].files.add(place.file);
    }
  }
  return rows.filter((row) => [row.flat, row.cum].some((numbers) => numbers.value || numbers.base));
}

/** Calls `visit` for each node whose function is not on the way from the root to it: recursion counts once. */
function walkOutermost(profile, visit) {
  const active = new Int32Array(profile.names.length);
  const path = [];
  for (let node = 1; node < profile.nodeCount; node++) {
    while (path.length > 0 && path.at(-1) !== profile.parent[node]) {
      active[profile.name[path.pop()]]--;
    }
    if (active[profile.name[node]]++ === 0) {
      visit(node);
    }
    path.push(node);
  }
}

/** A test of function numbers. Not a regular expression: the text itself is looked for. Null for an empty one. */
export function matcher(profile, text) {
  if (text === "") {
    return null;
  }
  const expression = new RegExp(whyNotExpression(text) === "" ? text : quoted(text), "i");
  const matches = Uint8Array.from(profile.names, (name) => expression.test(name));
  return (number) => number >= 0 && matches[number] === 1;
}

/** What is wrong with the text as a regular expression; "" if it is one. */
export function whyNotExpression(text) {
  try {
    new RegExp(text, "i");
  } catch (error) {
    return error.message.split(": ").at(-1);
  }
  return "";
}

/** Text as a regular expression for itself. */
export function quoted(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** The numbers of all stacks that a matching function is on, each once; also of those where it is below the owner. */
export function sumOfMatches(profile, typeName, matches) {
  const columns = profile.columns(typeName);
  const found = noNumbers(columns);
  const isOn = new Uint8Array(profile.nodeCount);
  for (let node = 1; node < profile.nodeCount; node++) {
    isOn[node] = isOn[profile.parent[node]] || matches(profile.name[node]) ? 1 : 0;
  }
  profile.leaves.forEach((node, stack) => isOn[node] && addAt(found, columns, stack));
  return found;
}
