// SPDX-License-Identifier: MIT
// The table of functions. Each number has a bar, and on it a whisker: the 95 % interval.

import { changeText } from "./describe.js";
import { element } from "./dom.js";
import { isNoise } from "./profile.js";
import { count, errorText, halfWidth, percentage, quantity } from "./quantity.js";

const ROWS_AT_FIRST = 100;

const change = (numbers) => numbers.value - numbers.base;
const byText = (text) => (a, b) => text(a).localeCompare(text(b), "en");
const byNumber = (number) => (a, b) => number(b) - number(a) || byText((row) => row.name)(a, b);
const fileOf = (row) => [...row.files].sort().join(", ");

/** Each column: title, what it is for, the order of a first click, and the content of a cell. */
const FUNCTION_COLUMN = { id: "name", title: "Function", order: byText((row) => row.name), cell: nameCell };
const FILE_COLUMN = { id: "file", title: "File", order: byText(fileOf), cell: fileCell };
const PROFILE_COLUMNS = [
  FUNCTION_COLUMN,
  FILE_COLUMN,
  { id: "flat", title: "Flat", hint: "allocated by the function itself", order: byNumber((row) => row.flat.value),
    cell: (row, table) => valueCell(row.flat, table) },
  { id: "cum", title: "Cum", hint: "allocated by the function and all it called",
    order: byNumber((row) => row.cum.value), cell: (row, table) => valueCell(row.cum, table) },
];
const DIFFERENCE_COLUMNS = [
  FUNCTION_COLUMN,
  FILE_COLUMN,
  { id: "flat", title: "Flat change", hint: "of what the function itself allocated",
    order: byNumber((row) => change(row.flat)), cell: (row, table) => changeCell(row.flat, table) },
  { id: "cum", title: "Cum change", hint: "of what the function and all it called allocated",
    order: byNumber((row) => change(row.cum)), cell: (row, table) => changeCell(row.cum, table) },
  { id: "after", title: "Cum now", hint: "in the newer profile", order: byNumber((row) => row.cum.value),
    cell: (row, table) => valueCell(row.cum, table).slice(1) },
];

function nameCell(row, table) {
  const button = element("button", { type: "button", class: "name", title: "Find in the graph" }, row.name);
  button.addEventListener("click", () => table.options.onChoose(row.name));
  return [button];
}

function fileCell(row) {
  const [first = "", ...others] = [...row.files].sort();
  const short = first.split("/").pop() + (others.length > 0 ? ` +${others.length}` : "");
  return short === "" ? [] : [element("span", { title: fileOf(row) }, short)];
}

function valueCell(numbers, { sums, whole, largest }) {
  return [
    bar(numbers.value, halfWidth(numbers.variance ?? 0), largest),
    element("span", { class: "value" }, quantity(numbers.value, sums.unit)),
    element("span", { class: "error" }, errorText(numbers.value, numbers.variance, sums.unit)),
    element("span", { class: "percent" }, percentage(numbers.value, whole.value)),
  ];
}

function changeCell(numbers, { sums, largest }) {
  const kind = isNoise(numbers, halfWidth) || change(numbers) === 0 ? "same" : change(numbers) > 0 ? "grown" : "shrunk";
  const drawn = bar(Math.abs(change(numbers)), halfWidth(numbers.change_variance ?? 0), largest);
  drawn.classList.add(kind);
  return [drawn, element("span", { class: "change" }, changeText(numbers, sums.unit))];
}

function bar(value, half, largest) {
  const drawn = element("span", { class: "bar", "aria-hidden": "true" });
  const percent = (number) => `${(100 * Math.min(Math.max(number / (largest || 1), 0), 1)).toFixed(2)}%`;
  drawn.style.setProperty("--size", percent(value));
  drawn.style.setProperty("--low", percent(value - half));
  drawn.style.setProperty("--high", percent(value + half));
  drawn.classList.toggle("uncertain", half > 0);
  return drawn;
}

export class Table {
  /** options: onChoose(name) */
  constructor(table, note, button, options) {
    Object.assign(this, { table, note, button, options });
    this.limit = ROWS_AT_FIRST;
    this.sorted = { id: "flat", isReversed: false };
    button.addEventListener("click", () => {
      this.limit = Infinity;
      this.draw();
    });
  }

  /** rows: functionRows; matches: of function numbers, or null */
  show(rows, sums, isDifference, matches) {
    const hasFiles = rows.some((row) => row.files.size > 0);
    const columns = isDifference ? DIFFERENCE_COLUMNS : PROFILE_COLUMNS;
    this.columns = columns.filter((column) => hasFiles || column !== FILE_COLUMN);
    this.rows = matches === null ? rows : rows.filter((row) => matches(row.number));
    this.allCount = rows.length;
    this.sums = sums;
    this.table.classList.toggle("without-errors", sums.own.variance === null);
    this.whole = { value: sums.total.value[0] };
    const size = isDifference ? (cum) => Math.max(cum.value, Math.abs(change(cum))) : (cum) => cum.value;
    this.largest = rows.reduce((most, { cum }) => Math.max(most, size(cum)), 0);
    this.draw();
  }

  draw() {
    const { order } = this.columns.find((column) => column.id === this.sorted.id);
    const sorted = this.rows.toSorted(this.sorted.isReversed ? (a, b) => order(b, a) : order);
    const shown = sorted.slice(0, this.limit);
    this.table.tHead.replaceChildren(element("tr", {}, ...this.columns.map((column) => this.head(column))));
    this.table.tBodies[0].replaceChildren(...shown.map((row) => this.row(row)));
    const chosen = this.rows.length === this.allCount ? "" : `${count(this.rows.length)} of `;
    this.note.textContent = `${chosen}${count(this.allCount)} ${this.allCount === 1 ? "function" : "functions"}`;
    this.button.hidden = shown.length === sorted.length;
    this.button.textContent = `Show all ${count(sorted.length)}`;
  }

  head(column) {
    const isSorted = column.id === this.sorted.id;
    const button = element("button", { type: "button", title: column.hint ?? "" }, column.title);
    button.addEventListener("click", () => this.sortBy(column.id));
    const isUpward = (column.cell === nameCell || column.cell === fileCell) !== this.sorted.isReversed;
    const sort = isSorted ? { "aria-sort": isUpward ? "ascending" : "descending" } : {};
    return element("th", { scope: "col", class: column.id, ...sort }, button);
  }

  sortBy(id) {
    this.sorted = { id, isReversed: this.sorted.id === id && !this.sorted.isReversed };
    this.draw();
    this.table.querySelector(`th.${id} button`).focus();
  }

  row(row) {
    return element("tr", {}, ...this.columns.map((column) => {
      const kind = column.id === "name" || column.id === "file" ? column.id : "number";
      // Spaces between the parts, for who copies the text.
      const parts = column.cell(row, this).flatMap((part, i) => (i > 0 ? [" ", part] : [part]));
      return element("td", { class: kind, "data-title": column.title }, ...parts);
    }));
  }
}
