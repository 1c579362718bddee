// SPDX-License-Identifier: MIT
// The profile that the page holds, as tools/views/heap_json.c writes it: a tree of functions in the order of a walk from the
// root, so that a parent comes before its children; where stacks end, and how far above that their owners are; and for each type the
// numbers of these stacks.

export const SUMS = ["value", "variance", "base", "change_variance"];

export class Profile {
  constructor(json) {
    this.tool = json.tool;
    this.shown = json.shown;
    this.profiles = json.profiles;
    this.resident = json.resident;
    this.isDifference = json.profiles.length > 1;
    this.types = json.types;
    this.by = json.by;
    this.readPlaces(json.places, json.texts);
    this.readNodes(json.nodes, json.more_places);
    this.leaves = runningSum(json.ends);
    this.owners = this.leaves.map((node, i) => this.above(node, json.owners[i]));
    this.hasOwners = json.owners.some((steps) => steps > 0);
    this.ofType = new Map();
    this.countFor(json.by);
  }

  above(node, steps) {
    for (; steps > 0; steps--) {
      node = this.parent[node];
    }
    return node;
  }

  /** Where a stack ends: "owner" is the innermost function that is not allocation plumbing, "leaf" the innermost of all. */
  countFor(by) {
    this.endOfStack = by === "owner" ? this.owners : this.leaves;
    this.ends = Int32Array.from(new Set(this.endOfStack));
    this.ofType.clear();
  }

  /** names: of functions, each once; places: where in a function */
  readPlaces(flat, texts) {
    const numbers = new Map();
    this.names = [];
    this.places = [];
    for (let i = 0; i < flat.length; i += 3) {
      const name = texts[flat[i]];
      if (!numbers.has(name)) {
        numbers.set(name, this.names.length);
        this.names.push(name);
      }
      this.places.push({ name: numbers.get(name), file: texts[flat[i + 1]], line: flat[i + 2] });
    }
  }

  readNodes(flat, more) {
    const count = flat.length / 2 + 1;
    this.nodeCount = count;
    this.parent = new Int32Array(count);
    this.place = new Int32Array(count);
    this.name = new Int32Array(count).fill(-1);
    this.firstChild = new Int32Array(count);
    this.nextSibling = new Int32Array(count);
    for (let i = 1; i < count; i++) {
      this.parent[i] = i - flat[2 * i - 2];
      this.place[i] = flat[2 * i - 1];
      this.name[i] = this.places[this.place[i] >> 1].name;
    }
    for (let i = count - 1; i > 0; i--) {
      this.nextSibling[i] = this.firstChild[this.parent[i]];
      this.firstChild[this.parent[i]] = i;
    }
    this.morePlaces = new Map();
    for (let i = 0; i < more.length; i += 2) {
      this.morePlaces.set(more[i], [...(this.morePlaces.get(more[i]) ?? []), more[i + 1]]);
    }
  }

  /** All places of a node: numbers of places times 2, plus 1 where the function is inlined. */
  placesOf(node) {
    return node === 0 ? [] : [this.place[node], ...(this.morePlaces.get(node) ?? [])];
  }

  /**
   * What a type counts, by node: own.value for stacks that end there, total.value for those that run through it; and
   * the same of variance, base, change_variance, which are null where nobody knows them.
   */
  sums(typeName) {
    if (!this.ofType.has(typeName)) {
      this.ofType.clear(); // one type at a time: a large profile is large four times over
      this.ofType.set(typeName, this.sumUp(this.types.find((type) => type.name === typeName)));
    }
    return this.ofType.get(typeName);
  }

  /** The numbers of each stack; null: nobody knows them. */
  columns(typeName) {
    const type = this.types.find(({ name }) => name === typeName);
    return Object.fromEntries(SUMS.map((key) => [key, type[key] ?? null]));
  }

  sumUp(type) {
    const own = {}, total = {};
    for (const key of SUMS) {
      own[key] = type[key] ? this.spread(type[key]) : null;
      total[key] = type[key] ? this.cumulate(own[key]) : null;
    }
    return { name: type.name, unit: type.unit, own, total };
  }

  spread(column) {
    const own = new Float64Array(this.nodeCount);
    this.endOfStack.forEach((node, i) => (own[node] += column[i]));
    return own;
  }

  cumulate(own) {
    const total = own.slice();
    for (let i = this.nodeCount - 1; i > 0; i--) {
      total[this.parent[i]] += total[i];
    }
    return total;
  }
}

function runningSum(steps) {
  let sum = 0;
  return Int32Array.from(steps, (step) => (sum += step));
}

/** The numbers of one node of the arrays that Profile.sums returns. */
export function at(arrays, node) {
  return {
    value: arrays.value[node],
    variance: arrays.variance?.[node] ?? null,
    base: arrays.base?.[node] ?? null,
    change_variance: arrays.change_variance?.[node] ?? null,
  };
}

/** Adds the numbers of a node to `numbers`. */
export function addAt(numbers, arrays, node) {
  for (const key of SUMS) {
    if (arrays[key] !== null) {
      numbers[key] += arrays[key][node];
    }
  }
}

export function noNumbers(arrays) {
  return Object.fromEntries(SUMS.map((key) => [key, arrays[key] === null ? null : 0]));
}

/** Is a change no more than sampling explains, at 95 %? null: nobody knows */
export function isNoise(numbers, halfWidth) {
  const { value, base, change_variance: variance } = numbers;
  return variance === null ? null : Math.abs(value - base) <= halfWidth(variance);
}
