// Passkeys (WebAuthn): the gateway's options as JSON in, the browser's answer as JSON out.

import { Problem } from "./api.js";

const NEXT = "Register one on the gateway's page /passkeys, or let somebody decide who has one.";

function bytes(text) {
  const raw = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(raw, (char) => char.charCodeAt(0));
}

function encoded(buffer) {
  return btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const described = (list) => (list ?? []).map((one) => ({ ...one, id: bytes(one.id) }));

async function ask(call, words) {
  if (!window.isSecureContext || !navigator.credentials || !window.PublicKeyCredential) {
    throw new Problem("This browser has no passkeys here.", "Open the gateway on https or on localhost, in its own window.");
  }
  try {
    return await call();
  } catch (error) {
    throw new Problem(`${words} (${error?.name ?? "error"}), so nothing was decided.`, NEXT);
  }
}

/** Let the person confirm with a passkey; `options` are a PublicKeyCredentialRequestOptionsJSON. */
export async function assertion(options) {
  if (!options?.challenge || !options.allowCredentials?.length) {
    throw new Problem("It is approved with a passkey, and you have none here.", NEXT);
  }
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    allowCredentials: described(options.allowCredentials),
  };
  const made = await ask(() => navigator.credentials.get({ publicKey }), "No passkey confirmed it");
  const { response } = made;
  return {
    id: made.id,
    rawId: encoded(made.rawId),
    type: made.type,
    clientExtensionResults: {},
    response: {
      clientDataJSON: encoded(response.clientDataJSON),
      authenticatorData: encoded(response.authenticatorData),
      signature: encoded(response.signature),
      userHandle: response.userHandle ? encoded(response.userHandle) : null,
    },
  };
}

/** Make a passkey; `options` are a PublicKeyCredentialCreationOptionsJSON. */
export async function registration(options) {
  const publicKey = {
    ...options,
    challenge: bytes(options.challenge),
    user: { ...options.user, id: bytes(options.user.id) },
    excludeCredentials: described(options.excludeCredentials),
  };
  const made = await ask(() => navigator.credentials.create({ publicKey }), "No passkey was made");
  return {
    id: made.id,
    rawId: encoded(made.rawId),
    type: made.type,
    clientExtensionResults: {},
    response: {
      clientDataJSON: encoded(made.response.clientDataJSON),
      attestationObject: encoded(made.response.attestationObject),
      transports: made.response.getTransports?.() ?? [],
    },
  };
}
