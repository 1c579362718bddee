// SPDX-License-Identifier: MIT
// The graph: d3-flame-graph lays out and draws what can be seen of a tree below (and above) the frame that is zoomed
// to. Pointer, keyboard and what assistive technology is told are added here.

import flamegraph from "d3-flame-graph";
import { select } from "d3-selection";

import { tone } from "./colours.js";
import { element } from "./dom.js";
import { pathOf } from "./trees.js";
import { Queue } from "./queue.js";

const MIN_WIDTH_PX = 1;
const FRAMES_MAX = 2500; // drawn at once: the library and the browser take about 0.1 ms for each
const LEVELS_MAX = 1000;

export class Flame {
  /**
   * options: describe(node): a text for assistive technology; onZoom(node); onPoint(node or null, element): the pointer
   * or the focus is on a frame, or on none
   */
  constructor(container, options) {
    this.container = container;
    this.options = options;
    this.drawn = new Map();
    this.tooltip = () => {};
    this.tooltip.show = () => {};
    this.tooltip.hide = () => {};
    container.addEventListener("keydown", (event) => this.onKey(event));
    container.addEventListener("focusin", (event) => this.point(event.target));
    container.addEventListener("focusout", () => this.point(null));
    container.addEventListener("pointerleave", () => this.point(null));
  }

  /** view: tree, measure, zoomed (a node of the tree), isDifference, matches (of function numbers, or null) */
  show(view) {
    this.view = view;
    const width = this.container.clientWidth;
    const cellHeight = Math.round(1.5 * parseFloat(getComputedStyle(document.documentElement).fontSize));
    this.container.replaceChildren();
    this.drawn = new Map();
    if (!(view.zoomed.total[view.measure] > 0)) {
      this.container.append(element("p", { class: "nothing" }, `There is no ${view.tree.sums.name} here.`));
      return;
    }
    this.chart = flamegraph()
      .width(width)
      .cellHeight(cellHeight)
      .inverted(true)
      .transitionDuration(0)
      .tooltip(this.tooltip)
      .setColorMapper((frame) => `var(--${this.colour(frame.data.node)})`);
    select(this.container).datum(this.visible(width)).call(this.chart);
    this.settle(width);
    this.decorate(cellHeight);
  }

  colour(node) {
    const { matches, isDifference } = this.view;
    return matches !== null && matches(node.number) ? "match" : tone(node, isDifference);
  }

  frame(node) {
    return { name: node.name, value: node.total[this.view.measure], node, children: [] };
  }

  /** What can be seen, as the library wants it: what is above the zoomed frame, each as wide as it, and what is below. */
  visible(width) {
    const { measure, zoomed } = this.view;
    const whole = zoomed.total[measure];
    const below = this.frame(zoomed);
    this.fill(below, (whole * MIN_WIDTH_PX) / Math.max(width, 1));
    let top = below;
    for (let node = zoomed; node.parent !== null; node = node.parent) {
      top = { ...this.frame(node.parent), value: below.value, fade: true, children: [top] };
    }
    return top;
  }

  /** Adds what is below, the widest first, until all are drawn that can be seen or there are too many. */
  fill(top, least) {
    const { tree, measure } = this.view;
    const queue = new Queue(({ frame }) => frame.value);
    queue.push({ frame: top, above: null, level: 0 });
    for (let drawn = 0; !queue.isEmpty && drawn < FRAMES_MAX; drawn++) {
      const { frame, above, level } = queue.pop();
      above?.children.push(frame);
      for (const node of level < LEVELS_MAX ? tree.children(frame.node, measure, least) : []) {
        queue.push({ frame: this.frame(node), above: frame, level: level + 1 });
      }
    }
  }

  /** What the library would do in small steps within the next quarter of a second. */
  settle(width) {
    this.frames = select(this.container).selectAll("g.frame");
    this.frames.select("rect").interrupt().attr("width", (frame) => (frame.x1 - frame.x0) * width);
    this.frames.select(".d3-flame-graph-label").interrupt().text((frame) => frame.data.name);
  }

  /** Gives the frames what the library leaves to its user. */
  decorate(cellHeight) {
    this.levels = [];
    const { matches, zoomed } = this.view;
    const flame = this;
    this.frames
      .classed("unmatched", (frame) => matches !== null && !matches(frame.data.node.number))
      .attr("role", "treeitem")
      .attr("aria-level", (frame) => frame.depth + 1)
      .attr("aria-label", (frame) => this.options.describe(frame.data.node))
      .attr("tabindex", (frame) => (frame.data.node === zoomed ? 0 : -1))
      .on("click", (_, frame) => this.options.onZoom(frame.data.node))
      .on("mouseover", function () { flame.point(this); })
      .on("mouseout", null)
      .each(function (frame) {
        flame.drawn.set(frame, this);
        (flame.levels[frame.depth] ??= []).push(frame);
      });
    this.levels.forEach((level) => level.sort((a, b) => a.x0 - b.x0));
    const height = this.levels.length * cellHeight + 1;
    select(this.container).select("svg").attr("role", "tree").attr("aria-label", "Flame graph").attr("height", height);
  }

  point(target) {
    const drawn = target?.closest?.("g.frame") ?? null;
    this.options.onPoint(drawn === null ? null : select(drawn).datum().data.node, drawn);
  }

  /** The names on the way to the frame that has the focus; null: none has. */
  focusedPath() {
    const drawn = this.container.contains(document.activeElement) ? document.activeElement.closest("g.frame") : null;
    return drawn === null ? null : pathOf(select(drawn).datum().data.node);
  }

  /** What is drawn of the node at the end of such a path. */
  frameAt(path) {
    const wanted = JSON.stringify(path);
    return [...this.drawn].find(([frame]) => path !== null && JSON.stringify(pathOf(frame.data.node)) === wanted)?.[1];
  }

  focus(node) {
    for (const [frame, drawn] of this.drawn) {
      if (frame.data.node === node) {
        drawn.focus();
      }
    }
  }

  onKey(event) {
    const drawn = event.target.closest("g.frame");
    if (drawn === null || event.altKey || event.ctrlKey || event.metaKey) {
      return;
    }
    const frame = select(drawn).datum();
    if (event.key === "Enter" || event.key === " ") {
      this.options.onZoom(frame.data.node);
      this.focus(frame.data.node);
    } else {
      const next = this.neighbour(frame, event.key);
      if (next === undefined) {
        return;
      }
      this.drawn.get(next)?.focus();
    }
    event.preventDefault();
  }

  /** Where a key leads: null for nowhere, undefined for a key without a meaning here. */
  neighbour(frame, key) {
    const level = this.levels[frame.depth];
    switch (key) {
      case "ArrowUp": return frame.parent;
      case "ArrowDown": return frame.children?.[0] ?? null;
      case "ArrowLeft": return level[level.indexOf(frame) - 1] ?? null;
      case "ArrowRight": return level[level.indexOf(frame) + 1] ?? null;
      case "Home": return this.levels[0][0];
      default: return undefined;
    }
  }
}
