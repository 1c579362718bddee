// SPDX-License-Identifier: MIT
// Which of the colours in style.css a frame has: one that stays the same for a name, or in a difference how much it
// changed.

import { isNoise } from "./profile.js";
import { halfWidth } from "./quantity.js";

const TONES = 12;
const STEPS = 4;

function hash(text) {
  let sum = 0;
  for (let i = 0; i < text.length; i++) {
    sum = (Math.imul(sum, 31) + text.charCodeAt(i)) | 0;
  }
  return Math.imul(sum ^ (sum >>> 15), 0x2c1b3c6d) >>> 16;
}

export function tone(node, isDifference) {
  if (isDifference) {
    return changeTone(node.total);
  }
  return node.parent === null ? "root" : `flame-${hash(node.name) % TONES}`;
}

export function changeTone(numbers) {
  const change = numbers.value - numbers.base;
  const whole = Math.max(Math.abs(numbers.value), Math.abs(numbers.base));
  if (change === 0 || isNoise(numbers, halfWidth)) {
    return "same";
  }
  const step = Math.min(STEPS, Math.ceil((STEPS * Math.abs(change)) / whole));
  return `${change > 0 ? "grown" : "shrunk"}-${step}`;
}
