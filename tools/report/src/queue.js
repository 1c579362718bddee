// SPDX-License-Identifier: MIT
// A queue whose largest entry comes out first.

export class Queue {
  constructor(size) {
    this.size = size;
    this.entries = [];
  }

  get isEmpty() {
    return this.entries.length === 0;
  }

  push(entry) {
    const { entries, size } = this;
    let at = entries.length;
    for (let above; at > 0 && size(entries[(above = (at - 1) >> 1)]) < size(entry); at = above) {
      entries[at] = entries[above];
    }
    entries[at] = entry;
  }

  pop() {
    const { entries, size } = this;
    const [first] = entries;
    const last = entries.pop();
    let at = 0;
    for (let below = 1; below < entries.length; below = 2 * at + 1) {
      if (below + 1 < entries.length && size(entries[below + 1]) > size(entries[below])) {
        below++;
      }
      if (size(entries[below]) <= size(last)) {
        break;
      }
      entries[at] = entries[below];
      at = below;
    }
    if (entries.length > 0) {
      entries[at] = last;
    }
    return first;
  }
}
