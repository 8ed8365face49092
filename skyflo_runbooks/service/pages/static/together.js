// Several changes on one page. Approve is armed when each of them was on the screen; each is signed by its own digest,
// in the order in which they stand, the next when the one before was applied. The first that is not applied ends it.

import { Problem, get, skew } from "./api.js";
import { decide, path } from "./deciding.js";
import { current } from "./keys.js";
import { say } from "./say.js";
import { seen } from "./visible.js";

const STEADY = 500;
const APPLY_SECONDS = 120;
const BUSY = ["approved", "executing"];
const WORDS = {
  start: "",
  key: "This browser holds no key to sign with. Open a new one-time link: skyflo-runbooks login --new-link",
  storage: "This browser does not let the page keep its key here.",
  frame: "Several changes are decided in a window of the gateway's own.",
  away: "Click into this window to decide.",
  unseen: "",
  typed: "",
  expired: "One of these expired. Load this page again.",
  busy: "",
  done: "",
};

const byId = (id) => document.getElementById(id);
const all = [...document.querySelectorAll("article.change[data-in=yes]")];
const approve = byId("approve");
const against = new Set(["start"]);
let key = null;

function stands(reason, does) {
  if (does) against.add(reason);
  else against.delete(reason);
  approve.disabled = against.size > 0;
  if (against.has("busy") || against.has("done")) return;
  say(Object.keys(WORDS).filter((name) => against.has(name)).map((name) => WORDS[name]).find(Boolean) ?? "");
}

const field = (article) => byId(`typed-${article.dataset.id}`);

function armTyped() {
  const look = () => stands("typed", all.some((one) => one.dataset.confirm !== (field(one)?.value ?? "")));
  for (const article of all) field(article)?.addEventListener("input", look);
  look();
}

function armSeen() {
  const blocks = [...document.querySelectorAll("article.change[data-in=yes] .block")];
  stands("unseen", true);
  const bar = byId("decide").offsetHeight;
  seen(blocks.filter((block) => block.closest("details") === null), bar, (count, of) => {
    byId("seen").textContent = count < of ? "Look at each change down to its end" : `All ${all.length} were on the screen`;
    stands("unseen", count < of);
  });
}

function armWindow() {
  stands("frame", window.top !== window.self);
  let timer = 0;
  const look = () => {
    clearTimeout(timer);
    stands("away", !(document.visibilityState === "visible" && document.hasFocus()));
    stands("start", true);
    timer = setTimeout(() => stands("start", false), STEADY);
  };
  for (const name of ["focus", "blur"]) window.addEventListener(name, look);
  document.addEventListener("visibilitychange", look);
  look();
}

function armTime() {
  const look = () => {
    const now = Date.now() + skew;
    stands("expired", !against.has("busy") && all.some((one) => Date.parse(one.dataset.expires) <= now));
    if (!against.has("done")) setTimeout(look, 1000);
  };
  look();
}

async function armKey() {
  try {
    key = await current();
    stands("key", key === null);
  } catch {
    stands("storage", true);
  }
}

// --- deciding

const standing = (article, words, tone = "") => {
  const line = article.querySelector(".standing");
  line.textContent = words;
  line.className = `standing ${tone}`;
};

/** Approve one and see it applied. Returns whether it was, or waits for others without standing in the way. */
async function one(article, waits) {
  const shown = article.dataset;
  standing(article, "Signing…");
  const expects = (requires) => {
    const { needed = 1, have = 0 } = requires.approvals ?? {};
    if (requires.typed && requires.typed !== shown.confirm) throw new Problem(`It is approved by typing ${requires.typed}.`);
    if (waits && have + 1 >= needed) {
      throw new Problem("One before it waits for another approver, so this one was not approved.");
    }
  };
  let view = await decide(key, shown, { decision: "approve", typed: field(article)?.value ?? "", expects });
  const until = Date.now() + APPLY_SECONDS * 1000;
  while (BUSY.includes(view.state) && Date.now() < until) {
    standing(article, "Approved. It is being applied, once.");
    view = await get(path(shown.id, "?wait=30"));
  }
  if (view.state === "proposed") {
    standing(article, "Your approval stands. It waits for another approver.", "warn");
    return "waits";
  }
  if (view.state !== "executed") {
    throw new Problem(`It is ${view.state}. ${view.receipt?.message ?? ""}`.trim());
  }
  standing(article, "Applied once, as approved.", "ok");
  return "applied";
}

async function each() {
  let waits = false;
  for (const [place, article] of all.entries()) {
    try {
      waits = (await one(article, waits)) === "waits" || waits;
    } catch (error) {
      const problem = error instanceof Error ? error : new Problem(String(error));
      standing(article, [problem.message, problem.nextStep ?? ""].filter(Boolean).join(" "), "bad");
      for (const later of all.slice(place + 1)) standing(later, "Not approved: it stopped before this one.", "soft");
      const rest = all.length - place - 1;
      throw new Problem(
        `Stopped at ${article.dataset.id}.`,
        `${rest === 0 ? "It was the last" : `${rest} after it ${rest === 1 ? "was" : "were"} not approved`}; ` +
          "what was applied before it stays applied.",
      );
    }
  }
  return waits;
}

async function onApprove(event) {
  event.preventDefault();
  if (!event.isTrusted || against.size > 0) return;
  if (key === null) return say(new Problem(WORDS.key));
  stands("busy", true);
  say("Signing each of them…");
  try {
    const waits = await each();
    say(waits ? "Your approvals stand; some wait for another approver." : `All ${all.length} were applied.`);
  } catch (problem) {
    say(problem);
  }
  // What happened stays on the screen; another try begins by looking again.
  stands("done", true);
  byId("seen").textContent = "";
  approve.hidden = true;
}

if (approve) {
  approve.addEventListener("click", onApprove);
  armTyped();
  armSeen();
  armTime();
  armKey().then(armWindow);
}
