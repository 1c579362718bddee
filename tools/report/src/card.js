// SPDX-License-Identifier: MIT
// The card that tells about the frame under the pointer or the focus.

import { frameLines, isInlined, placesText } from "./describe.js";
import { element } from "./dom.js";

const GAP_PX = 12;

export class Card {
  constructor(card) {
    this.card = card;
    this.node = null; // that it tells about
    document.addEventListener("pointermove", (event) => this.follow(event.clientX, event.clientY));
  }

  show(view, node, frame) {
    this.node = node;
    const place = placesText(view.profile, node) + (isInlined(node) ? " (inlined)" : "");
    this.card.replaceChildren(
      element("strong", {}, node.name),
      ...(place === "" ? [] : [element("span", { class: "place" }, place)]),
      element("dl", {}, ...frameLines(view, node).flatMap(([label, text]) => [
        element("dt", {}, label), element("dd", {}, text),
      ])),
    );
    this.card.hidden = false;
    if (document.activeElement === frame) {
      const box = frame.getBoundingClientRect();
      this.follow(Math.max(box.left, 0), box.bottom);
    }
  }

  hide() {
    this.node = null;
    this.card.hidden = true;
  }

  /** Beside the point, and inside the window. */
  follow(x, y) {
    if (this.card.hidden) {
      return;
    }
    const { offsetWidth: width, offsetHeight: height } = this.card;
    const left = x + GAP_PX + width <= window.innerWidth ? x + GAP_PX : x - GAP_PX - width;
    const top = y + GAP_PX + height <= window.innerHeight ? y + GAP_PX : y - GAP_PX - height;
    this.card.style.left = `${Math.max(left, 0)}px`;
    this.card.style.top = `${Math.max(top, 0)}px`;
  }
}
