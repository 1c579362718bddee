// SPDX-License-Identifier: MIT
// What is shown of a profile: what is chosen, and what changes with it. Another profile may take the place of the one that is
// shown; then all that was chosen stays as it is.

import { Card } from "./card.js";
import { changeText, frameLines, placesText, valueText } from "./describe.js";
import { byId, element } from "./dom.js";
import { Flame } from "./flame.js";
import { functionRows, matcher, quoted, sumOfMatches, whyNotExpression } from "./functions.js";
import { showNotices, showHeader } from "./header.js";
import { Profile, SUMS } from "./profile.js";
import { errorText, percentage, quantity } from "./quantity.js";
import { showResident } from "./resident.js";
import { Table } from "./table.js";
import { CalleeTree, CallerTree, pathOf, sameNode } from "./trees.js";

const SEARCH_DELAY_MS = 150;

let profile, tree, zoomed, rows, matches;
const choice = { type: "", direction: "callees", measure: "value", search: "" };

const card = new Card(byId("card"));
const flame = new Flame(byId("flame"), {
  describe: (node) => [node.name, placesText(profile, node), ...frameLines(view(), node).map((line) => line.join(" "))]
    .filter(Boolean).join(", "),
  onZoom: (node) => zoomTo(node),
  onPoint: (node, frame) => (node === null ? card.hide() : card.show(view(), node, frame)),
});
const table = new Table(byId("functions"), byId("function-count"), byId("all-functions"), {
  onChoose: (name) => {
    byId("search").value = `^${quoted(name)}$`;
    search();
    byId("graph").scrollIntoView({ block: "start" });
  },
});

function view() {
  return { ...choice, profile, tree, zoomed, matches, isDifference: profile.isDifference };
}

function zoomTo(node) {
  zoomed = node;
  byId("reset").disabled = zoomed === tree.root;
  card.hide();
  flame.show(view());
}

/** After another value or direction was chosen. */
function plant() {
  const sums = profile.sums(choice.type);
  const before = tree;
  tree = choice.direction === "callees" ? new CalleeTree(profile, sums) : new CallerTree(profile, sums);
  zoomed = before?.constructor === tree.constructor ? sameNode(tree, pathOf(zoomed), choice.measure) : tree.root;
  byId("reset").disabled = zoomed === tree.root;
  rows = functionRows(profile, sums);
  showNotices(profile.types.find((type) => type.name === choice.type));
  search();
}

function search() {
  choice.search = byId("search").value;
  matches = matcher(profile, choice.search);
  showMatches();
  card.hide();
  flame.show(view());
  table.show(rows, tree.sums, profile.isDifference, matches);
}

function showMatches() {
  const { unit, total } = tree.sums;
  let text = "";
  if (matches !== null) {
    const found = sumOfMatches(profile, choice.type, matches);
    const share = percentage(found.value, total.value[0]);
    text = `${valueText(found, unit)} (${share})${profile.isDifference ? `, change ${changeText(found, unit)}` : ""}`;
  }
  const wrong = whyNotExpression(choice.search);
  byId("search").setAttribute("aria-invalid", String(wrong !== ""));
  byId("matched").textContent = wrong === "" ? text : `no regular expression (${wrong}), looked for as text: ${text}`;
  byId("clear").hidden = matches === null;
}

/* What can be chosen. */

function valueCard(type) {
  const input = element("input", { type: "radio", name: "type", value: type.name });
  input.checked = type.name === choice.type;
  const numbers = totalOf(type);
  const error = errorText(numbers.value, numbers.variance, type.unit);
  return element("label", {}, input,
    element("span", { class: "title" }, type.name),
    element("span", { class: "total" }, quantity(numbers.value, type.unit)),
    element("span", { class: "note" }, profile.isDifference ? changeText(numbers, type.unit) : error));
}

/** Only the sums of the type that is shown are kept, so these are added up here. */
function totalOf(type) {
  const sum = (column) => column?.reduce((all, number) => all + number, 0) ?? null;
  return Object.fromEntries(SUMS.map((key) => [key, sum(type[key])]));
}

function listenTo(name, change) {
  for (const input of document.querySelectorAll(`input[name="${name}"]`)) {
    input.addEventListener("change", () => change(input.value));
  }
}

function setTheme(theme) {
  if (theme === "auto") {
    delete document.documentElement.dataset.theme;
  } else {
    document.documentElement.dataset.theme = theme;
  }
}

function listen() {
  listenTo("direction", (value) => { choice.direction = value; plant(); });
  listenTo("by", (value) => { profile.countFor(value); plant(); });
  listenTo("measure", (value) => { choice.measure = value; zoomTo(tree.root); });
  listenTo("theme", setTheme);
  let timer;
  byId("search").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(search, SEARCH_DELAY_MS);
  });
  byId("clear").addEventListener("click", () => {
    byId("search").value = "";
    search();
    byId("search").focus();
  });
  byId("reset").addEventListener("click", () => zoomTo(tree.root));
  document.addEventListener("keydown", onKey);
  new ResizeObserver(onResize).observe(byId("flame"));
}

function onKey(event) {
  const isTyping = event.target.matches("input[type=search]");
  if (event.key === "Escape" && !isTyping && zoomed !== tree.root) {
    zoomTo(tree.root);
  } else if (event.key === "/" && !isTyping) {
    byId("search").focus();
    event.preventDefault();
  }
}

let drawnWidth = 0;
function onResize() {
  const width = byId("flame").clientWidth;
  if (width !== drawnWidth) {
    drawnWidth = width;
    flame.show(view());
  }
}

/** Shows a profile, given as JSON, in place of another: type, direction, zoom, search and order of the table stay. */
export function show(json) {
  const isFirst = profile === undefined;
  const by = isFirst ? json.by : document.querySelector("input[name=by]:checked").value;
  profile = new Profile({ ...json, by });
  if (isFirst) {
    document.querySelector(`input[name="by"][value="${by}"]`).checked = true;
    listen();
  }
  if (!profile.types.some((type) => type.name === choice.type)) {
    choice.type = profile.shown;
  }
  if (!profile.isDifference) {
    choice.measure = "value";
    document.querySelector("input[name=measure][value=value]").checked = true;
  }
  byId("by").hidden = !profile.hasOwners;
  showHeader(profile);
  showResident(profile.resident);
  showTypes();
  document.body.classList.toggle("difference", profile.isDifference);
  drawnWidth = byId("flame").clientWidth;
  keeping(plant);
}

/** The cards of the types; the one that has the focus keeps it. */
function showTypes() {
  const focused = document.activeElement?.matches("input[name=type]") ? document.activeElement.value : null;
  const legend = byId("types").querySelector("legend");
  byId("types").replaceChildren(legend, ...profile.types.map(valueCard));
  listenTo("type", (value) => { choice.type = value; plant(); });
  byId("types").querySelector(`input[value="${focused}"]`)?.focus({ preventScroll: true });
}

/** Draws anew below somebody's hands: where the focus, the card and the page are, they stay. */
function keeping(draw) {
  const focused = flame.focusedPath();
  const row = document.activeElement?.matches("#functions button.name") ? document.activeElement.textContent : null;
  const told = card.node === null ? null : pathOf(card.node);
  byId("flame").style.minHeight = `${byId("flame").offsetHeight}px`; // or the page would jump
  draw();
  byId("flame").style.minHeight = "";
  flame.frameAt(focused)?.focus({ preventScroll: true });
  const pointed = flame.frameAt(told);
  if (pointed !== undefined) {
    flame.point(pointed);
  }
  if (row !== null) {
    [...byId("functions").querySelectorAll("button.name")].find((button) => button.textContent === row)?.focus({ preventScroll: true });
  }
}
