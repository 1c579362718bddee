// SPDX-License-Identifier: MIT
// The hour that the server remembers, or all that was recorded: what was in use, by owner, what was resident, and how fast was
// allocated. Whoever drags over a part of it asks what changed there, and whoever clicks on a recorded moment, for that.

import { element } from "./dom.js";
import { quantity } from "./quantity.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT_REM = 12, RATE_REM = 3, LABEL_REM = 1.4;
const DRAG_LEAST_PX = 4;

function drawing(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function clockTime(milliseconds) {
  return new Date(milliseconds).toLocaleTimeString([], { hour12: false });
}

/** As --at takes it. */
function dayAndTime(milliseconds) {
  return new Date(milliseconds).toLocaleString("sv-SE");
}

/** Bytes per second since the point before, at each point; of the first: 0. */
export function rates({ times, allocated }) {
  return times.map((time, i) => (i === 0 ? 0 : Math.max(allocated[i] - allocated[i - 1], 0) / ((time - times[i - 1]) / 1000)));
}

export class Timeline {
  /** options: onChoose(from, to): times of two points whose stacks are known; onPick(time): of one, if one can be shown, as of
   * a recording; tools: what stands beside the title */
  constructor(options) {
    this.options = options;
    const isRecorded = options.onPick !== undefined;
    this.clock = isRecorded ? dayAndTime : clockTime;
    this.note = element("span", { id: "timeline-note" });
    this.chart = element("div", { id: "timeline-chart", tabindex: "0", role: "img", "aria-label": "Memory over time" });
    this.legend = element("p", { class: "legend owners" });
    this.hint = element("p", { class: "hint" }, isRecorded
      ? "Drag over a part of it to see what changed there, click on a moment to see that. With the keyboard: left and right arrows " +
        "choose a moment, Enter shows what changed since, Space the moment."
      : "Drag over a part of it to see what changed there. With the keyboard: left and right arrows choose where it begins, Enter " +
        "shows it.");
    this.section = element("section", { id: "timeline", "aria-labelledby": "timeline-title", hidden: "" },
      element("div", { class: "tools" }, element("h2", { id: "timeline-title" }, isRecorded ? "The recording" : "The last hour"), this.note, options.tools),
      this.chart, this.legend, this.hint);
    this.marked = null; // [from, to] in milliseconds
    this.chart.addEventListener("pointerdown", (event) => this.begin(event));
    this.chart.addEventListener("pointermove", (event) => this.move(event));
    this.chart.addEventListener("pointerup", (event) => this.end(event));
    this.chart.addEventListener("pointercancel", () => this.unmark());
    this.chart.addEventListener("pointerleave", () => this.tell(null));
    this.chart.addEventListener("keydown", (event) => this.onKey(event));
    new ResizeObserver(() => this.draw()).observe(this.chart);
  }

  /** json: as tools/live/timeline.c writes it */
  show(json) {
    this.json = json;
    this.section.hidden = json.interval_s === 0 && json.times.length === 0;
    this.draw();
  }

  /** The time of the last point; 0: there is none. */
  last() {
    return this.json?.times.at(-1) ?? 0;
  }

  unmark() {
    this.marked = null;
    this.startedAt = undefined;
    this.draw();
  }

  /* Drawing. */

  draw() {
    if (this.json === undefined || this.section.hidden || this.startedAt !== undefined) {
      return; // not below a hand that drags
    }
    const { times } = this.json;
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    this.width = Math.max(this.chart.clientWidth, 1);
    this.height = HEIGHT_REM * rem;
    if (times.length < 2) {
      this.chart.replaceChildren(element("p", { class: "nothing" }, "A picture of it needs two moments."));
      this.legend.replaceChildren();
      return;
    }
    this.rate = rates(this.json);
    this.most = Math.max(1, ...this.json.in_use, ...this.json.resident);
    const whole = this.height + (RATE_REM + LABEL_REM) * rem;
    const svg = drawing("svg", { width: this.width, height: whole, "aria-hidden": "true" });
    svg.append(...this.stack(), ...this.lines(this.json.resident, "resident"), ...this.lines(this.json.in_use, "in-use"),
      ...this.scale(rem), ...this.rateBars(rem), ...this.clocks(whole), this.selection(whole));
    this.chart.replaceChildren(svg);
    this.chart.setAttribute("aria-label", `Memory from ${this.clock(times[0])} to ${this.clock(times.at(-1))}: in use ` +
      `${this.bytes("in_use", 0)}, then ${this.bytes("in_use", times.length - 1)}; resident ${this.bytes("resident", times.length - 1)}`);
    this.showLegend();
  }

  x(time) {
    const { times } = this.json;
    return ((time - times[0]) / (times.at(-1) - times[0])) * this.width;
  }

  y(bytes) {
    return this.height * (1 - bytes / this.most);
  }

  /** Broken where a value is not known: null. */
  lines(values, kind) {
    const places = values.map((value, i) => value === null ? "" : `${this.x(this.json.times[i]).toFixed(1)},${this.y(value).toFixed(1)}`);
    return places.join(" ").split(/ {2,}/).map((points) => drawing("polyline", { class: kind, points: points.trim() }));
  }

  /** An area for each owner, one on the other, through the points whose stacks are known. */
  stack() {
    const known = this.known();
    let below = known.map(() => 0);
    return this.json.owners.map(({ values }, number) => {
      const above = known.map((point, i) => below[i] + values[point]);
      const place = (heights, i) => `${this.x(this.json.times[known[i]]).toFixed(1)},${this.y(heights[i]).toFixed(1)}`;
      const points = [...known.keys()].map((i) => place(above, i)).concat([...known.keys()].reverse().map((i) => place(below, i)));
      below = above;
      return drawing("polygon", { class: `owner owner-${this.colour(number)}`, points: points.join(" ") });
    });
  }

  /** The last one is the sum of all others. */
  colour(number) {
    return this.json.owners[number].is_rest ? "rest" : number;
  }

  scale() {
    return [1, 0.5].flatMap((part) => {
      const height = this.y(this.most * part);
      return [drawing("line", { class: "scale", x1: 0, x2: this.width, y1: height, y2: height }),
        drawing("text", { x: 4, y: height + 4, class: "under" }, quantity(this.most * part, "bytes"))];
    });
  }

  rateBars(rem) {
    const bottom = this.height + RATE_REM * rem, most = Math.max(1, ...this.rate);
    const bars = this.rate.slice(1).map((rate, i) => {
      const [left, right] = [this.x(this.json.times[i]), this.x(this.json.times[i + 1])];
      const height = (RATE_REM - 1.2) * rem * (rate / most);
      return drawing("rect", { class: "rate", x: left, y: bottom - height, width: Math.max(right - left - 0.5, 0.5), height });
    });
    return [...bars, drawing("text", { x: 4, y: this.height + 0.3 * rem, class: "under" }, `${quantity(most, "bytes")}/s allocated`)];
  }

  clocks(whole) {
    const { times } = this.json;
    return [drawing("text", { x: 0, y: whole - 4 }, this.clock(times[0])),
      drawing("text", { x: this.width, y: whole - 4, "text-anchor": "end" }, this.clock(times.at(-1)))];
  }

  selection(whole) {
    const [from, to] = this.marked ?? [this.json.times[0], this.json.times[0]];
    this.box = drawing("rect", { class: "selection", x: this.x(from), width: Math.max(this.x(to) - this.x(from), 0), y: 0, height: whole });
    return this.box;
  }

  showLegend() {
    const owners = this.json.owners.map(({ name }, number) =>
      element("span", { class: `owner-${this.colour(number)}` }, name));
    this.legend.replaceChildren(...owners.flatMap((owner) => [owner, " "]), element("span", { class: "key-resident" }, "resident"));
  }

  /* Choosing. */

  bytes(column, point) {
    const value = this.json[column][point];
    return value === null ? "unknown" : quantity(value, "bytes");
  }

  /** Numbers of the points whose stacks are known. */
  known() {
    return [...this.json.times.keys()].filter((i) => this.json.is_known[i]);
  }

  nearest(event, points) {
    const at = event.clientX - this.chart.getBoundingClientRect().left;
    const distance = (i) => Math.abs(this.x(this.json.times[i]) - at);
    return points.reduce((best, i) => (distance(i) < distance(best) ? i : best), points[0]);
  }

  isDrawn() {
    return this.json !== undefined && this.json.times.length > 1 && this.known().length > 1;
  }

  begin(event) {
    if (event.button === 0 && this.isDrawn()) {
      this.chart.setPointerCapture(event.pointerId);
      this.startedAt = event.clientX;
      this.first = this.nearest(event, this.known());
    }
  }

  move(event) {
    if (!this.isDrawn()) {
      return;
    }
    this.tell(this.nearest(event, [...this.json.times.keys()]));
    if (this.startedAt !== undefined) {
      this.mark(this.first, this.nearest(event, this.known()));
    }
  }

  end(event) {
    if (this.startedAt === undefined) {
      return;
    }
    const isDrag = Math.abs(event.clientX - this.startedAt) >= DRAG_LEAST_PX;
    this.startedAt = undefined;
    if (isDrag) {
      this.mark(this.first, this.nearest(event, this.known()));
      this.choose();
    } else {
      this.pick(this.json.times[this.first]);
    }
  }

  /** Two points are neighbours at least: between one and itself nothing changed. */
  mark(one, other) {
    const known = this.known(), places = [known.indexOf(one), known.indexOf(other)].sort((a, b) => a - b);
    if (places[0] === places[1]) {
      places[places[0] === 0 ? 1 : 0] += places[0] === 0 ? 1 : -1;
    }
    this.marked = places.map((place) => this.json.times[known[place]]);
    this.box.setAttribute("x", this.x(this.marked[0]));
    this.box.setAttribute("width", this.x(this.marked[1]) - this.x(this.marked[0]));
  }

  choose() {
    this.options.onChoose(...this.marked);
  }

  pick(time) {
    if (this.options.onPick !== undefined) {
      this.marked = [time, time];
      this.draw();
      this.options.onPick(time);
    }
  }

  tell(point) {
    this.note.textContent = point === null ? "" : `${this.clock(this.json.times[point])}: ${this.bytes("in_use", point)} in use, ` +
      `${this.bytes("resident", point)} resident, ${quantity(this.rate[point], "bytes")}/s allocated`;
  }

  onKey(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, Enter: 0, " ": 0 }[event.key];
    if (event.altKey || event.ctrlKey || event.metaKey || !this.isDrawn() || step === undefined) {
      return;
    }
    event.preventDefault();
    if (step === 0) {
      this.showMarked(event.key === "Enter");
      return;
    }
    const known = this.known(), last = known.length - 1;
    const at = this.marked === null ? last : known.findIndex((i) => this.json.times[i] >= this.marked[0]);
    this.mark(known[Math.min(Math.max(at + step, 0), last - 1)], known[last]);
  }

  showMarked(isChange) {
    if (this.marked === null) {
      return;
    }
    if (isChange && this.marked[0] !== this.marked[1]) {
      this.choose();
    } else {
      this.pick(this.marked[0]);
    }
  }
}
