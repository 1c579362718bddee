// SPDX-License-Identifier: MIT
// The page of a process at `heapprof serve`: what it holds now, the hour before, and what changed in any part of that. It asks for
// more as long as somebody can see it.

import { show } from "./app.js";
import { byId, element } from "./dom.js";
import { Timeline } from "./timeline.js";

const REFRESH_MS = 5000;

const { pid } = JSON.parse(byId("profile").textContent);
const from = new URL(`../${pid}/live/`, location.href); // by its number, whatever it was asked for by

let state = "live"; // "paused": by somebody; "change": a part of the hour is shown; "ended": there is no more
let shown = "", timer = 0, isAsking = false;

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
const back = element("button", { type: "button", id: "back", hidden: "" }, "Back to now");
const timeline = new Timeline({ onChoose: showChange, tools: back });

function enter(next) {
  state = next;
  document.body.dataset.state = state;
  pause.textContent = state === "paused" ? "Go on" : "Pause";
  pause.disabled = state === "change" || state === "ended";
  back.hidden = state !== "change";
}

function tell(text) {
  problem.textContent = text;
  problem.hidden = text === "";
}

function clock(milliseconds) {
  return new Date(milliseconds).toLocaleTimeString([], { hour12: false });
}

/** What has not changed is left as it is drawn. */
function showHeap(json) {
  const parts = JSON.stringify([json.types, json.nodes, json.more_places, json.places, json.texts, json.ends, json.owners]);
  if (parts !== shown) {
    shown = parts;
    show(json);
    byId("kind").textContent = "Heap profile, live";
  }
  note.textContent = `now: ${clock(json.profiles[0].time_ms)}`;
}

/* Asking. */

async function refresh() {
  if (isAsking || state === "ended" || document.hidden) {
    return;
  }
  isAsking = true;
  clearTimeout(timer);
  try {
    if (state === "live") {
      const heap = await ask("heap");
      if (state === "live") { // still
        showHeap(heap);
      }
    }
    timeline.show(await ask("timeline"));
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

async function showChange(start, end) {
  try {
    const json = await ask(`change?from=${start}&to=${end}`);
    enter(state === "ended" ? "ended" : "change");
    shown = "";
    show(json);
    byId("kind").textContent = "Heap profile, what changed";
    note.textContent = `from ${clock(json.profiles[1].time_ms)} to ${clock(json.profiles[0].time_ms)}`;
    tell("");
  } catch (error) {
    if (!(error instanceof Refused)) {
      throw error;
    }
    timeline.unmark();
    tell(`What changed cannot be shown: ${error.message}`);
  }
}

function goBack() {
  timeline.unmark();
  enter("live");
  refresh();
}

document.querySelector(".heading > div").append(element("p", { id: "live" }, note, " ", pause));
document.querySelector("main").prepend(problem, timeline.section);
pause.addEventListener("click", () => {
  enter(state === "paused" ? "live" : "paused");
  refresh();
});
back.addEventListener("click", goBack);
document.addEventListener("visibilitychange", refresh);
enter("live");
refresh();
