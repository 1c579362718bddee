// SPDX-License-Identifier: MIT
// What the profile says about itself.

import { byId, element } from "./dom.js";
import { count, quantity } from "./quantity.js";

function comment(profile, key) {
  const texts = profile.comments.filter(([name]) => name === key).map(([, text]) => text);
  return texts.length === 0 ? undefined : texts.join(", "); // a merged profile may have several
}

export function timeText(milliseconds) {
  const time = new Date(milliseconds);
  const isKnown = milliseconds > 0 && !Number.isNaN(time.getTime());
  return isKnown ? `${time.toISOString().slice(0, 19).replace("T", " ")} UTC` : "";
}

function intervalText(profile) {
  const bytes = Number(comment(profile, "sampling_interval_bytes") ?? profile.period);
  if (!(bytes > 0)) {
    return "";
  }
  return bytes === 1 ? "every allocation" : `one per ${quantity(bytes, profile.period_unit || "bytes")}`;
}

function samplesText(profile) {
  const samples = comment(profile, "samples");
  return samples === undefined ? "" : count(Number(samples));
}

function lostText(profile) {
  const lost = comment(profile, "lost.total");
  const reasons = profile.comments.filter(([key, text]) => /^lost\.(?!total$|truncated\.)/.test(key) && text !== "0");
  const why = reasons.map(([key, text]) => `${key.slice("lost.".length)} ${text}`).join(", ");
  return lost === undefined ? "" : lost === "0" ? "none" : `${lost} (${why})`;
}

function facts(profile) {
  return [
    ["PID", comment(profile, "pid")],
    ["Written", timeText(profile.time_ms)],
    ["Sampled", intervalText(profile)],
    ["Since", comment(profile, "since")],
    ["Samples", samplesText(profile)],
    ["Lost", lostText(profile)],
    ["Command", comment(profile, "command")],
  ].filter(([, text]) => text);
}

function factList(pairs) {
  return pairs.map(([label, text]) => element("div", {}, element("dt", {}, label), element("dd", {}, text)));
}

function everything(profile) {
  const written = ["written", timeText(profile.time_ms) || "unknown"];
  const comments = profile.comments.map(([key, text]) => [key || "comment", text]);
  const mappings = profile.mappings.map(([path, id]) => [path || "(no file)", id ? `build id ${id}` : "no build id"]);
  return [
    element("h3", {}, profile.name),
    element("dl", { class: "facts all" }, ...factList([written, ...comments])),
    ...(mappings.length === 0 ? [] : [
      element("h4", {}, "Programs and libraries"), element("dl", { class: "facts all" }, ...factList(mappings)),
    ]),
  ];
}

function showNotice(id, text) {
  byId(id).textContent = text;
  byId(id).hidden = text === "";
}

/** Of the type that is shown: why it is the peak, and which share is in stacks that were cut, if these are worth a word. */
export function showNotices(type) {
  const texts = [type.cut && `Cut stacks, whose outer callers are missing: ${type.cut}.`,
    type.base_cut && `In the profile compared with: ${type.base_cut}.`].filter(Boolean);
  showNotice("peak", type.peak && `${type.peak}.`);
  showNotice("cut", texts.join(" "));
}

export function showHeader({ profiles, tool, isDifference }) {
  const [profile, base] = profiles;
  const program = comment(profile, "program") ?? profile.name;
  document.title = `${program}: heap ${isDifference ? "difference" : "profile"}`;
  byId("kind").textContent = isDifference ? "Heap profile, compared" : "Heap profile";
  byId("program").textContent = program;
  byId("facts").replaceChildren(...factList(facts(profile)));
  byId("base").hidden = !isDifference;
  if (isDifference) {
    const pid = comment(base, "pid");
    const details = [pid && `pid ${pid}`, timeText(base.time_ms)].filter(Boolean).join(", ");
    byId("base").replaceChildren("Compared with ", element("strong", {}, base.name), details && ` (${details})`);
  }
  byId("everything").replaceChildren(...profiles.flatMap(everything));
  byId("tool").textContent = tool;
}
