// The page of passkeys: registers one, and removes one. Both are signed by this browser's key.

import { Problem, get, post } from "./api.js";
import { current, signFor, signRevocation } from "./keys.js";
import { registration } from "./passkey.js";
import { say } from "./say.js";

const NO_KEY = "This browser holds no key to sign with. Open a new one-time link: skyflo-runbooks login --new-link";

async function key() {
  const found = await current();
  if (found === null) throw new Problem(NO_KEY);
  return found;
}

async function attempt(words, act) {
  const buttons = [...document.querySelectorAll("button")];
  for (const button of buttons) button.disabled = true;
  say(words);
  try {
    await act();
    location.reload();
  } catch (problem) {
    for (const button of buttons) button.disabled = false;
    say(problem);
  }
}

async function register() {
  const signer = await key();
  const { nonce, options } = await post("/api/v1/passkeys/options", {});
  const credential = await registration(options);
  const signature = await signFor(signer, nonce, credential.id);
  const label = document.getElementById("label").value.trim();
  await post("/api/v1/passkeys", { nonce, signature, credential, label });
}

async function remove(id) {
  const signer = await key();
  const { nonce } = await get("/api/v1/credentials/nonce?for=revoke");
  const named = `passkey:${id}`;
  await post("/api/v1/credentials/revoke", { nonce, signature: await signRevocation(signer, nonce, named), id: named });
}

document.getElementById("register")?.addEventListener("submit", (event) => {
  event.preventDefault();
  if (event.isTrusted) attempt("Waiting for the passkey…", register);
});
for (const button of document.querySelectorAll("button.remove")) {
  button.addEventListener("click", (event) => {
    if (event.isTrusted) attempt("Removing it…", () => remove(button.dataset.id));
  });
}
