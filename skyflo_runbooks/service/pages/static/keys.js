// The operator's key: ECDSA P-256, made here, not extractable, kept in this origin's IndexedDB. A page of another
// port on the same host shares cookies with us and cannot have this.

import { Problem, post } from "./api.js";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const STORE = "keys";
const CURRENT = "operator";
const SCHEMA = "skyflo.dev/decision/v1";
const MEMBERS = ["decision", "digest", "nonce", "proposal", "reason", "schema"];

function settle(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function inStore(mode, use) {
  try {
    const open = indexedDB.open("skyflo", 1);
    open.onupgradeneeded = () => open.result.createObjectStore(STORE);
    const database = await settle(open);
    try {
      return await settle(use(database.transaction(STORE, mode, { durability: "strict" }).objectStore(STORE)));
    } finally {
      database.close();
    }
  } catch (error) {
    throw new Problem(`This browser does not let the page keep a key (${error?.name ?? "error"}).`,
      "Allow storage for this address, leave private browsing, or decide in a terminal: skyflo-runbooks login.");
  }
}

/** The stored key: {pair, name}, or null. */
export async function current() {
  return (await inStore("readonly", (store) => store.get(CURRENT))) ?? null;
}

/** Make a key, have the gateway remember it under `name`, keep it. The link is used up by this and by nothing else. */
export async function pair(token, name) {
  if (!globalThis.crypto?.subtle) {
    throw new Problem("Browsers make keys only on https or on localhost.", "Open the gateway by one of these.");
  }
  const made = { pair: await crypto.subtle.generateKey(ALGORITHM, false, ["sign"]), name };
  // Stored before the link is used: a browser that cannot keep a key must not burn it.
  await inStore("readwrite", (store) => store.put(made, "made"));
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", made.pair.publicKey);
  const session = await post("/api/v1/pair", { token, name, key: { kty, crv, x, y } });
  const kept = { ...made, name: session?.operator ?? name };
  await inStore("readwrite", (store) => store.put(kept, CURRENT));
  await inStore("readwrite", (store) => store.delete("made"));
  return kept;
}

/** Sign the gateway's message, after looking that it says what was clicked and nothing else. Base64url of r and s. */
export async function sign(key, message, expected) {
  let said;
  try {
    said = JSON.parse(message);
  } catch {
    said = null;
  }
  const members = expected.typed ? [...MEMBERS, "typed"] : MEMBERS;
  const exact = said !== null && typeof said === "object" &&
    JSON.stringify(Object.keys(said).sort()) === JSON.stringify(members) && said.schema === SCHEMA &&
    members.every((member) => member === "schema" || said[member] === expected[member]);
  if (!exact) {
    throw new Problem("What the gateway wants signed is not what this page shows, so it was not signed.",
      "Load this page again and look at the change once more.");
  }
  return signature(key, message);
}

/** The key's signature over a text: base64url of r and s. */
async function signature(key, text) {
  const bytes = new TextEncoder().encode(text);
  const made = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key.pair.privateKey, bytes);
  return btoa(String.fromCharCode(...new Uint8Array(made)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Sign for a passkey of this operator's: the schema says that it is nothing else (docs/architecture.md). */
export function signFor(key, nonce, credential) {
  // Members in the order of their names and no space: the canonical form (RFC 8785) of three plain texts.
  return signature(key, JSON.stringify({ credential, nonce, schema: "skyflo.dev/passkey/v1" }));
}

/** Sign for the end of a credential of this operator's. */
export function signRevocation(key, nonce, id) {
  return signature(key, JSON.stringify({ id, nonce, schema: "skyflo.dev/revoke/v1" }));
}
