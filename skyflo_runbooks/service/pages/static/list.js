// The front page: loads itself anew when what it shows changed and nobody is reading in it.

import { get } from "./api.js";

const EVERY = 5000;
const shape = (views) => views.map((view) => `${view.id} ${view.state}`).join();
let before = null;

setInterval(async () => {
  if (document.hidden || document.querySelector("details[open]")) return;
  try {
    const now = shape(await get("/api/v1/proposals"));
    if (before !== null && now !== before) location.reload();
    before = now;
  } catch {
    // The gateway is away: what is shown stays, and the next look may find it again.
  }
}, EVERY);
