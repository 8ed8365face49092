// The front page: puts the gateway's own page of now in its place when something moved, and keeps what was marked.

import { document_ } from "./api.js";

const EVERY = 5000;
const rows = (main) => [...main.querySelectorAll(".row")].map((row) => row.textContent).join("\n");

function marked(main) {
  return [...main.querySelectorAll("input[name=id]:checked")].map((box) => box.value);
}

setInterval(async () => {
  if (document.hidden || document.querySelector("details[open]")) return;
  try {
    const fresh = (await document_(location.pathname + location.search)).querySelector("main");
    const main = document.querySelector("main");
    if (fresh === null || rows(fresh) === rows(main)) return;
    const keep = marked(main);
    main.replaceWith(document.adoptNode(fresh));
    for (const box of document.querySelectorAll("input[name=id]")) box.checked = keep.includes(box.value);
  } catch {
    // The gateway is away: what is shown stays, and the next look may find it again.
  }
}, EVERY);
