// One decision: asks for the nonce, signs what is shown and nothing else, and sends it. Whoever presses a button on a
// card or on the page of several goes through here.

import { Problem, get, post } from "./api.js";
import { sign } from "./keys.js";
import { assertion } from "./passkey.js";

export const path = (id, rest = "") => `/api/v1/proposals/${encodeURIComponent(id)}${rest}`;

/** What the policy asks for approving, as the gateway says it with each nonce. */
const NOTHING = { typed: "", passkey: false, refused: "" };

async function asked(shown, decision, reason, typed) {
  const query = new URLSearchParams({ decision, reason, typed });
  try {
    return await get(path(shown.id, `/nonce?${query}`));
  } catch (problem) {
    if (problem.answered === false) problem.message = "The gateway does not answer, so nothing was decided.";
    throw problem;
  }
}

async function send(shown, ballot) {
  try {
    return await post(path(shown.id, "/decision"), ballot);
  } catch (problem) {
    if (problem.answered === false) {
      problem.message = "The gateway did not answer. Whether the decision arrived is not known yet.";
      problem.nextStep = "This page looks again by itself; so does skyflo-runbooks show " + shown.id;
    }
    throw problem;
  }
}

/** Sign and send `decision` on what `shown` ({id, digest}) says. `expects` is called with what else the policy asks
 * for before anything is signed, and may refuse by throwing. Returns the proposal's view afterwards. */
export async function decide(key, shown, { decision, reason = "", typed = "", expects = () => {} }) {
  const answer = await asked(shown, decision, reason, typed);
  const { nonce, digest, message } = answer;
  const requires = { ...NOTHING, ...(decision === "approve" ? answer.requires : {}) };
  if (digest !== shown.digest) {
    throw new Problem("The change is no longer the one shown here.", "Load this page again.");
  }
  if (requires.refused) throw new Problem(requires.refused, requires.next_step);
  expects(requires);
  // A name is signed where the policy asks for one.
  const name = requires.typed ? typed : "";
  const signature = await sign(key, message, { proposal: shown.id, digest, decision, nonce, reason, typed: name });
  const ballot = { decision, reason, digest, nonce, signature, typed: name };
  if (requires.passkey) ballot.passkey = await assertion(answer.passkey);
  return send(shown, ballot);
}
