// The page of a one-time link. Nothing happens until the button is pressed, or the address says ?auto=1 and a name.

import { pair } from "./keys.js";
import { say } from "./say.js";

const main = document.querySelector("main");
const form = document.getElementById("pair");
const query = new URLSearchParams(location.search);

/** Where to go afterwards: a path of this origin, else the front page. */
function next() {
  const wanted = query.get("next") ?? "/";
  try {
    const url = new URL(wanted, location.origin);
    const here = url.origin === location.origin && wanted.startsWith("/") && !wanted.startsWith("//");
    return here ? url.pathname + url.search : "/";
  } catch {
    return "/";
  }
}

async function submit() {
  const name = form.elements.name.value.trim();
  const button = form.querySelector("button");
  if (!name) return;
  button.disabled = true;
  say("Making a key…");
  try {
    const key = await pair(main.dataset.token, name);
    say(`Signed in as ${key.name}.`);
    location.replace(next());
  } catch (problem) {
    say(problem);
    button.disabled = false;
  }
}

if (form) {
  if (!form.elements.name.value) form.elements.name.value = (query.get("name") ?? "").slice(0, 80);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  if (query.get("auto") === "1" && form.elements.name.value) submit();
  else form.elements.name.focus();
}
