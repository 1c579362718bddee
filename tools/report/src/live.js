// SPDX-License-Identifier: MIT
// The page of a process at `heapprof serve`: what it holds now, the hour before, and what changed in any part of that. It asks for
// more as long as somebody can see it. Of a recording it shows the last moment, all of them, and each that is clicked on.

import { show } from "./app.js";
import { byId, element } from "./dom.js";
import { Timeline } from "./timeline.js";

const REFRESH_MS = 5000;

const { pid, is_recorded: isRecorded } = JSON.parse(byId("profile").textContent);
const from = new URL(`../${pid}/live/`, location.href); // by its number, whatever it was asked for by

const HOME = isRecorded ? "last" : "live";
let state = HOME; // "paused": by somebody; "change": a part of the hour is shown; "moment": one of it; "ended": there is no more
let shown = "", shownAt = 0, timer = 0, isAsking = false;

/** There is no answer, or it is a refusal. */
class Refused extends Error {
  constructor(text, isGone) {
    super(text);
    this.isGone = isGone;
  }
}

async function ask(what) {
  let answer, text;
  try {
    answer = await fetch(new URL(what, from), { cache: "no-store" });
    text = await answer.text();
  } catch (error) {
    throw new Refused(error.message, false);
  }
  if (!answer.ok) {
    throw new Refused(text.trim() || `status ${answer.status}`, answer.status === 404);
  }
  return JSON.parse(text);
}

/* What is to be seen. */

const note = element("span", { id: "live-note" });
const pause = element("button", { type: "button", id: "pause" }, "Pause");
const problem = element("p", { class: "problem", id: "problem", role: "alert", hidden: "" });
const back = element("button", { type: "button", id: "back", hidden: "" }, isRecorded ? "Back to the last" : "Back to now");
const timeline = new Timeline({ onChoose: showChange, tools: back, ...(isRecorded && { onPick: showMoment }) });

function enter(next) {
  state = next;
  document.body.dataset.state = state;
  pause.textContent = state === "paused" ? "Go on" : "Pause";
  pause.disabled = state === "change" || state === "ended";
  back.hidden = state !== "change" && state !== "moment";
}

function tell(text) {
  problem.textContent = text;
  problem.hidden = text === "";
}

/** What has not changed is left as it is drawn. */
function showHeap(json) {
  const parts = JSON.stringify([json.types, json.nodes, json.more_places, json.places, json.texts, json.ends, json.owners]);
  if (parts !== shown) {
    shown = parts;
    show(json);
    byId("kind").textContent = isRecorded ? "Heap profile, recorded" : "Heap profile, live";
  }
  note.textContent = `${isRecorded ? "last" : "now"}: ${timeline.clock(json.profiles[0].time_ms)}`;
}

/* Asking. */

async function refreshLive() {
  if (state === "live") {
    const heap = await ask("heap");
    if (state === "live") { // still
      showHeap(heap);
    }
  }
  timeline.show(await ask("timeline"));
}

/** What has been recorded is the same the next time: only what came since is asked for. */
async function refreshRecorded() {
  const past = await ask(`timeline?after=${timeline.last()}`);
  if (past !== null) {
    timeline.show(past);
  }
  const last = timeline.last();
  if (state === "last" && shownAt !== last) {
    const heap = await ask(`heap?at=${last}`);
    if (state === "last") { // still
      showHeap(heap);
      shownAt = last;
    }
  }
}

async function refresh() {
  if (isAsking || state === "ended" || document.hidden) {
    return;
  }
  isAsking = true;
  clearTimeout(timer);
  try {
    await (isRecorded ? refreshRecorded() : refreshLive());
    tell("");
  } catch (error) {
    if (!(error instanceof Refused)) {
      throw error;
    }
    tell(error.isGone ? `${error.message}. This is the last that was seen of it.`
                      : `The server does not answer (${error.message}). It is asked again.`);
    if (error.isGone) {
      enter("ended");
    }
  } finally {
    isAsking = false;
    timer = setTimeout(refresh, REFRESH_MS);
  }
}

/** Instead of what is the newest. */
async function showInstead(question, next, kind, noteOf) {
  try {
    const json = await ask(question);
    enter(state === "ended" ? "ended" : next);
    shown = "";
    shownAt = 0;
    show(json);
    byId("kind").textContent = kind;
    note.textContent = noteOf(json.profiles.map(({ time_ms: time }) => timeline.clock(time)));
    tell("");
  } catch (error) {
    if (!(error instanceof Refused)) {
      throw error;
    }
    timeline.unmark();
    tell(`This cannot be shown: ${error.message}`);
  }
}

function showChange(start, end) {
  return showInstead(`change?from=${start}&to=${end}`, "change", "Heap profile, what changed", ([to, from]) => `from ${from} to ${to}`);
}

function showMoment(time) {
  return showInstead(`heap?at=${time}`, "moment", "Heap profile, recorded", ([at]) => `at ${at}`);
}

function goBack() {
  timeline.unmark();
  enter(HOME);
  refresh();
}

document.querySelector(".heading > div").append(
  element("p", { id: "live" }, note, ...(isRecorded ? [] : [" ", pause]), " ", element("a", { href: "debug/pprof/" }, "profiles"), " ",
    element("a", { href: "../" }, "all processes")));
document.querySelector("main").prepend(problem, timeline.section);
pause.addEventListener("click", () => {
  enter(state === "paused" ? "live" : "paused");
  refresh();
});
back.addEventListener("click", goBack);
document.addEventListener("visibilitychange", refresh);
enter(HOME);
refresh();
