// SPDX-License-Identifier: MIT
// Quantities as heapprof prints them in the terminal (tools/terminal/quantity.c), so that a page and a table show the same digits; counts
// have separators besides.

const Z_95 = 1.959963985;

const BYTES = [["B", 1], ["kB", 2 ** 10], ["MB", 2 ** 20], ["GB", 2 ** 30], ["TB", 2 ** 40], ["PB", 2 ** 50]];
const TIMES = [["ns", 1], ["us", 1e3], ["ms", 1e6], ["s", 1e9], ["hrs", 3600e9]];
const UNITS = {
  bytes: [1, BYTES], byte: [1, BYTES],
  nanoseconds: [1, TIMES], ns: [1, TIMES],
  microseconds: [1e3, TIMES], us: [1e3, TIMES],
  milliseconds: [1e6, TIMES], ms: [1e6, TIMES],
  seconds: [1e9, TIMES], s: [1e9, TIMES],
};

/** With two digits behind the point, as C writes them: what is in the middle goes to the even one, where toFixed goes up. */
function twoDigits(number) {
  const isTie = (Math.abs(number) * 8) % 4 === 1; // n.125 and n.625; elsewhere the even one is up
  return (isTie ? number - Math.sign(number) / 1000 : number).toFixed(2);
}

export function quantity(value, unit) {
  if (!Object.hasOwn(UNITS, unit)) {
    return count(Number(value.toFixed(0)) + 0);
  }
  const [factor, steps] = UNITS[unit];
  const scaled = value * factor;
  const [name, size] = steps.findLast(([, least]) => Math.abs(scaled) >= least) ?? steps[0];
  const digits = twoDigits(scaled / size).replace(/\.00$/, "");
  return /^-?0$/.test(digits) ? "0" : digits + name;
}

export function signed(value, unit) {
  return (value > 0 ? "+" : "") + quantity(value, unit);
}

/** Half of the 95 % interval. */
export function halfWidth(variance) {
  return variance > 0 ? Z_95 * Math.sqrt(variance) : 0;
}

/** variance: null if nobody knows it */
export function errorText(value, variance, unit) {
  if (variance === null || (variance <= 0 && value === 0)) {
    return "";
  }
  return variance > 0 ? `±${quantity(halfWidth(variance), unit)}` : "exact";
}

export function percentage(part, whole) {
  const percent = whole !== 0 ? (100 * part) / whole : 0;
  const size = Math.abs(percent);
  if (size >= 99.95 && size <= 100.05) {
    return `${percent.toFixed(0)}%`;
  }
  return size >= 1 ? `${twoDigits(percent)}%` : `${Number(percent.toPrecision(2)) + 0}%`;
}

export function count(number) {
  return number.toLocaleString("en-US");
}
