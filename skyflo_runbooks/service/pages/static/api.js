// The gateway's API as its own pages speak it. The header tells these calls from a form that another site posts.

const HEADER = { "X-Skyflo-Page": "1" };

/** What went wrong, in words, and what to do next. `answered` is false where nobody knows whether it arrived. */
export class Problem extends Error {
  constructor(message, nextStep = "", answered = true) {
    super(message);
    this.nextStep = nextStep;
    this.answered = answered;
  }
}

/** Difference between the gateway's clock and this one, in milliseconds, as of the last answer. */
export let skew = 0;

async function send(path, options) {
  let answer;
  try {
    answer = await fetch(path, { credentials: "same-origin", redirect: "error", cache: "no-store", ...options });
  } catch {
    throw new Problem(
      "The gateway does not answer.",
      "Look whether it still runs (skyflo-runbooks serve), then load this page again.",
      false,
    );
  }
  const date = Date.parse(answer.headers.get("Date") ?? "");
  if (!Number.isNaN(date)) skew = date - Date.now();
  return answer;
}

async function read(answer) {
  const body = await answer.json().catch(() => null);
  if (answer.ok && body !== null) return body;
  const error = body?.error;
  if (typeof error?.message === "string") throw new Problem(error.message, error.next_step ?? "");
  throw new Problem(`The gateway answered ${answer.status} without saying why.`, "Load this page again.");
}

export async function get(path) {
  return read(await send(path, { headers: HEADER }));
}

export async function post(path, body) {
  const headers = { ...HEADER, "Content-Type": "application/json" };
  return read(await send(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

/** Another page of this gateway, as a document. */
export async function document_(path) {
  const answer = await send(path, { headers: { ...HEADER, Accept: "text/html" } });
  if (!answer.ok) throw new Problem(`The gateway answered ${answer.status}.`, "Load this page again.");
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}
