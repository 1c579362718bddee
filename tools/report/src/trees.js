// SPDX-License-Identifier: MIT
// The two trees that the graph can show. Nodes are made when they are asked for and are wide enough to be seen, so the
// size of a profile does not matter.
//
// A node: name, parent, total and own (numbers: profile.js), places.

import { addAt, at, noNumbers } from "./profile.js";

export const ROOT_NAME = "all";

function widestFirst(measure) {
  return (a, b) => b.total[measure] - a.total[measure] || (a.name < b.name ? -1 : 1);
}

/** From main down to what was called. */
export class CalleeTree {
  constructor(profile, sums) {
    this.profile = profile;
    this.sums = sums;
    this.root = this.node(0, null);
  }

  node(index, parent) {
    return {
      name: index === 0 ? ROOT_NAME : this.profile.names[this.profile.name[index]],
      number: this.profile.name[index],
      parent,
      index,
      total: at(this.sums.total, index),
      own: at(this.sums.own, index),
      places: this.profile.placesOf(index),
    };
  }

  /** Those of at least `least`, measured by `measure`: "value" or "base". */
  children(node, measure, least) {
    const found = [];
    const widths = this.sums.total[measure];
    for (let i = this.profile.firstChild[node.index]; i !== 0; i = this.profile.nextSibling[i]) {
      if (widths[i] >= least && widths[i] > 0) {
        found.push(this.node(i, node));
      }
    }
    return found.sort(widestFirst(measure));
  }
}

/** From what allocated up to its callers. */
export class CallerTree {
  constructor(profile, sums) {
    this.profile = profile;
    this.sums = sums;
    this.root = {
      name: ROOT_NAME,
      number: -1,
      parent: null,
      stacks: profile.ends, // where each of the stacks ends ...
      at: profile.ends, // ... and how far up this node is
      total: at(sums.total, 0),
      own: at(sums.own, 0),
      places: [],
    };
  }

  /** The callers of a node, with the stacks that come through each. */
  callers(node) {
    const { parent, name } = this.profile;
    const groups = new Map();
    for (let i = 0; i < node.stacks.length; i++) {
      const caller = node.parent === null ? node.at[i] : parent[node.at[i]];
      if (caller === 0) {
        continue;
      }
      let group = groups.get(name[caller]);
      if (group === undefined) {
        groups.set(name[caller], (group = { stacks: [], at: [] }));
      }
      group.stacks.push(node.stacks[i]);
      group.at.push(caller);
    }
    return groups;
  }

  node(number, group, parent) {
    const node = { name: this.profile.names[number], number, parent, ...group };
    node.total = noNumbers(this.sums.own);
    node.own = noNumbers(this.sums.own);
    const places = new Set();
    for (let i = 0; i < group.stacks.length; i++) {
      addAt(node.total, this.sums.own, group.stacks[i]);
      if (this.profile.parent[group.at[i]] === 0) {
        addAt(node.own, this.sums.own, group.stacks[i]);
      }
      places.add(this.profile.place[group.at[i]]);
      this.profile.morePlaces.get(group.at[i])?.forEach((place) => places.add(place));
    }
    node.places = [...places];
    return node;
  }

  children(node, measure, least) {
    const found = [];
    for (const [number, group] of this.callers(node)) {
      const width = group.stacks.reduce((sum, stack) => sum + this.sums.own[measure][stack], 0);
      if (width >= least && width > 0) {
        found.push(this.node(number, group, node));
      }
    }
    return found.sort(widestFirst(measure));
  }
}

/** The names on the way from the root to a node. */
export function pathOf(node) {
  const path = [];
  for (let at = node; at.parent !== null; at = at.parent) {
    path.unshift(at.name);
  }
  return path;
}

/** The node of `tree` that is reached by these names, or the last one on the way. */
export function sameNode(tree, path, measure) {
  let found = tree.root;
  for (const name of path) {
    const next = tree.children(found, measure, 0).find((child) => child.name === name);
    if (next === undefined) {
      break;
    }
    found = next;
  }
  return found;
}
