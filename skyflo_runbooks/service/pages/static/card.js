// One proposal: arms the buttons, signs the decision, and shows what became of it.
//
// Approve is armed while nothing stands against it. `against` holds what does, by name, and the first of them is said.
// Messages from the page around the frame are not listened to; there is no listener.

import { Problem, document_, get, post, skew } from "./api.js";
import { decide as decideOn, path as pathOf } from "./deciding.js";
import { current } from "./keys.js";
import { say } from "./say.js";
import * as visible from "./visible.js";

const OPEN = ["proposed", "approved", "executing", "unknown"];
const STEADY = 500;
const WORDS = {
  start: "",
  key: "This browser holds no key to sign with. Open a new one-time link: skyflo-runbooks login --new-link",
  storage: "This browser does not let the page keep its key here. Open it in its own window.",
  window: "This is decided in a window of the gateway's own.",
  unsupported: "This browser cannot tell whether the card is covered. Decide in its own window.",
  covered: "Covered: something lies over this card. Move it away, or decide in the card's own window.",
  unseen: "Bring the whole card into view.",
  away: "Click into this window to decide.",
  settling: "",
  typed: "",
  expired: "Expired: nobody decided in time, so nothing was applied. Run the change step again.",
  busy: "",
};
const OWN = ["window", "unsupported", "covered", "storage", "unseen"];

const byId = (id) => document.getElementById(id);
const path = (rest = "") => pathOf(card.id, rest);
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const framed = () => card.framed === "yes" || window.top !== window.self;

let card = document.querySelector("main").dataset;
let key = null;
let stopWatching = () => {};
const against = new Set(["start"]);

// --- arming

function stands(reason, does) {
  if (does === against.has(reason)) return;
  if (does) against.add(reason);
  else against.delete(reason);
  const approve = byId("approve");
  if (!approve) return;
  approve.disabled = against.size > 0;
  const own = byId("own");
  own.hidden = !(framed() && OWN.some((name) => against.has(name)));
  own.classList.toggle("go", against.has("window"));
  approve.hidden = against.has("window");
  if (against.has("busy")) return;
  say(Object.keys(WORDS).filter((name) => against.has(name)).map((name) => WORDS[name]).find(Boolean) ?? "");
}

async function armKey() {
  try {
    key = await current();
    stands("key", key === null);
  } catch {
    stands("storage", true);
  }
}

/** In a window of its own: armed while it has had the attention for a moment, so that no double click meant for
 * another window lands here. */
function armWindow() {
  let timer = 0;
  const look = () => {
    clearTimeout(timer);
    const here = document.visibilityState === "visible" && document.hasFocus();
    stands("away", !here);
    stands("settling", true);
    if (here) timer = setTimeout(() => stands("settling", false), STEADY);
  };
  for (const name of ["focus", "blur"]) window.addEventListener(name, look);
  document.addEventListener("visibilitychange", look);
  look();
}

function armFrame() {
  if (card.window === "yes") return stands("window", true);
  if (!visible.supported()) return stands("unsupported", true);
  stands("unseen", true);
  const parts = [...document.querySelectorAll("#card > .head, .facts dt, .facts dd")];
  const blocks = [...document.querySelectorAll("#diff .block")].filter((block) => block.closest("details") === null);
  stopWatching = visible.watch({ buttons: byId("decide"), parts, blocks }, (word) => {
    stands("covered", word === "covered");
    stands("unseen", word === "unseen");
  });
}

/** What was typed while the page was still loading counts as well. */
function armTyped() {
  const typed = byId("typed");
  if (!typed) return;
  const look = () => stands("typed", card.confirm === "" || typed.value !== card.confirm);
  typed.addEventListener("input", look);
  look();
}

/** A value is never typed inside a frame: the page around it could lay its own field over this one. */
function armEntry() {
  countDown();
  byId("entry").hidden = framed();
  byId("own").hidden = !framed();
  byId("own").classList.add("go");
  if (framed()) say("It waits for a value, which is typed in a window of the gateway's own.");
}

function countDown() {
  const left = byId("left");
  const end = Date.parse(card.expires);
  if (!left || Number.isNaN(end)) return;
  const tick = () => {
    const seconds = Math.max(0, Math.ceil((end - Date.now() - skew) / 1000));
    const two = (number) => String(Math.floor(number)).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const minutes = hours > 0 ? two((seconds / 60) % 60) : Math.floor(seconds / 60);
    const rest = `${hours > 0 ? `${hours}:` : ""}${minutes}:${two(seconds % 60)}`;
    left.textContent = seconds > 0 ? `expires in ${rest}` : "expired";
    stands("expired", seconds === 0);
    if (seconds > 0 && left.isConnected) setTimeout(tick, 1000);
  };
  tick();
}

// --- deciding

async function decide(decision, reason) {
  if (key === null) throw new Problem(WORDS.key);
  const typed = decision === "approve" ? (byId("typed")?.value ?? "") : "";
  await decideOn(key, card, { decision, reason, typed, expects: asExpected });
}

/** The page was drawn before the policy was asked again: what it asks for now has to be on the page. */
function asExpected(requires) {
  if (requires.typed && requires.typed !== card.confirm) {
    throw new Problem(`It is approved by typing ${requires.typed}.`, "Load this page again.");
  }
  if (requires.passkey && framed()) throw new Problem("A passkey confirms only in a window of the gateway's own.");
}

/** Do one thing at a time, say how it goes, and put right what was in the way when it fails. */
async function attempt(words, act) {
  if (against.has("busy")) return;
  stands("busy", true);
  say(words);
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  let problem = null;
  try {
    await act();
  } catch (error) {
    problem = error instanceof Error ? error : new Error(String(error));
  }
  for (const button of document.querySelectorAll("button")) button.disabled = false;
  stands("busy", false);
  const approve = byId("approve");
  if (approve) approve.disabled = against.size > 0;
  if (problem) say(problem);
  // A refusal may mean that it was decided elsewhere, and no answer is no refusal: only the gateway knows.
  if (problem) await refresh().catch(() => {});
}

function decided(event) {
  event.preventDefault();
  return event.isTrusted;
}

function onApprove(event) {
  if (!decided(event) || against.size > 0) return;
  attempt("Signing…", async () => {
    await decide("approve", "");
    await refresh();
  });
}

function onReject(event) {
  if (!decided(event)) return;
  const reason = byId("reason").value.trim();
  if (!reason) return;
  attempt("Rejecting…", async () => {
    await decide("reject", reason);
    await refresh();
  });
}

/** What was typed leaves the page with the click, in the body of one call, and is forgotten here. */
function onEntry(event) {
  if (!decided(event)) return;
  const inputs = [...byId("entry").querySelectorAll("[data-pointer]")];
  const values = Object.fromEntries(inputs.map((field) => [field.dataset.pointer, field.value]));
  attempt("Trying it with a dry run…", async () => {
    const view = await post(path("/entry"), { values });
    for (const field of inputs) field.value = "";
    go(view, true);
  });
}

function changed() {
  const set = {};
  for (const field of byId("other").querySelectorAll("[data-name]")) {
    const { name, type, was } = field.dataset;
    if (field.value === was) continue;
    const value = type === "bool" ? field.value === "true" : type === "number" ? Number(field.value) : field.value.trim();
    if (value === "" || Number.isNaN(value) || (type === "number" && field.value.trim() === "")) {
      throw new Problem(`${name} needs a ${type === "number" ? "number" : "value"}; it was ${was}.`);
    }
    set[name] = value;
  }
  if (Object.keys(set).length === 0) throw new Problem("Nothing is different yet.", "Give one of the fields another value.");
  return set;
}

function onModify(event) {
  if (!decided(event)) return;
  attempt("Trying it with a dry run…", async () => go(await post(path("/modify"), { set: changed() })));
}

function onBack(event) {
  if (!decided(event)) return;
  attempt("Preparing the way back…", async () => go(await post(path("/rollback"), {})));
}

function go(view, instead = false) {
  if (typeof view?.id !== "string") throw new Problem("The gateway named no new proposal.", "Look at the front page.");
  const next = `/proposals/${encodeURIComponent(view.id)}`;
  if (instead) location.replace(next);
  else location.assign(next);
}

// --- inline forms

function opens(button, form) {
  if (!button || !form) return;
  const show = (open) => {
    form.hidden = !open;
    button.setAttribute("aria-expanded", String(open));
    if (open) form.querySelector("input, select").focus();
  };
  button.addEventListener("click", () => show(form.hidden));
  form.querySelector(".cancel").addEventListener("click", () => {
    show(false);
    button.focus();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    show(false);
    button.focus();
  });
}

// --- what became of it

/** Put the gateway's own page of now in the place of what is shown. */
async function refresh() {
  const fresh = (await document_(location.pathname)).querySelector("main");
  if (!fresh?.dataset.id) throw new Problem("The gateway no longer shows this proposal.", "Look at the front page.");
  const same = (name) => fresh.dataset[name] === card[name];
  if (same("state") && same("verdict") && same("approvals") && same("progress")) return;
  stopWatching();
  const main = document.adoptNode(fresh);
  document.querySelector("main").replaceWith(main);
  card = main.dataset;
  begin();
}

/** Follow the proposal while something can still happen to it. No call is held open while it only waits: a browser
 * has six connections to one address, and a notebook may show more cards than that. */
async function follow() {
  for (let idle = 0; idle < 600; ) {
    const waiting = card.state === "proposed";
    const judged = card.verified !== "yes" || card.verdict !== "";
    if (!OPEN.includes(card.state) && (card.state !== "executed" || judged)) return;
    await pause(waiting ? 4000 : card.state === "executed" ? 3000 : 300);
    if (document.hidden || against.has("busy")) continue;
    try {
      const moving = card.state === "approved" || card.state === "executing";
      const view = await get(path(moving ? "?wait=3" : ""));
      const approvals = String(view.approvers?.length ?? 0);
      const moved = view.state !== card.state || approvals !== card.approvals;
      if (moved || progress(view) !== card.progress || (view.judgement?.verdict ?? "") !== card.verdict) {
        await refresh();
      }
      if (!waiting) idle += 1;
    } catch (problem) {
      if (!waiting) say(problem);
      await pause(5000);
    }
  }
}

/** What `data-progress` says of a change that is being applied. */
function progress({ progress: said }) {
  return said ? `${said.done} ${said.waits?.since ?? ""}` : "";
}

/** Tell the one origin that may frame this page, and nobody else. */
function tell(message) {
  if (window.parent !== window && card.parent) window.parent.postMessage({ id: card.id, ...message }, card.parent);
}

function begin() {
  tell({ type: "skyflo.state", state: card.state });
  byId("back")?.addEventListener("click", onBack);
  if (card.state !== "proposed") return;
  byId("approve")?.addEventListener("click", onApprove);
  byId("entry")?.addEventListener("submit", onEntry);
  byId("why-not")?.addEventListener("submit", onReject);
  byId("other")?.addEventListener("submit", onModify);
  opens(byId("reject"), byId("why-not"));
  opens(byId("modify"), byId("other"));
  if (byId("entry")) armEntry();
  if (!byId("approve")) return armKey();
  armTyped();
  if (framed()) armFrame();
  else armWindow();
  countDown();
  armKey().then(() => stands("start", false));
}

// A page that the browser kept while it was left shows what was true then.
window.addEventListener("pageshow", (event) => event.persisted && refresh().catch(say));

begin();
follow();
new ResizeObserver(() => tell({ type: "skyflo.size", height: Math.ceil(document.body.scrollHeight) })).observe(document.body);
