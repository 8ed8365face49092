// One line for what goes on, or for what went wrong and what to do next.

export function say(what) {
  const status = document.getElementById("status");
  if (!status) return;
  const problem = what instanceof Error;
  status.classList.toggle("bad", problem);
  const words = problem ? [what.message, what.nextStep ?? ""].filter(Boolean).join(" ") : what;
  if (status.textContent !== words) status.textContent = words;
}
