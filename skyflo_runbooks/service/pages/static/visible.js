// Whether a card in a frame is really seen (IntersectionObserver v2), so that a page around it cannot lay something
// over it and have the click.
//
// Rules: the buttons are wholly in view and nothing lies over them; no part of the card that is in view is covered; and
// the diff was in view, uncovered, since the page was loaded. All that for `STEADY` milliseconds without a break.

const STEADY = 500;

export function supported() {
  return "IntersectionObserver" in window && "isVisible" in IntersectionObserverEntry.prototype;
}

/** Call `tell` with "seen", "covered" or "unseen" whenever that changes. */
export function watch({ buttons, parts, diff }, tell) {
  const latest = new Map();
  let seenDiff = false;
  let timer = 0;
  let told = "";

  const report = (word) => {
    if (word !== told) tell((told = word));
  };

  const judge = () => {
    const covered = [...latest.values()].some((entry) => entry.intersectionRatio > 0 && !entry.isVisible);
    const shown = latest.get(diff);
    seenDiff ||= !covered && shown !== undefined && shown.isIntersecting && shown.isVisible;
    const foot = latest.get(buttons);
    if (!covered && seenDiff && foot?.isVisible && foot.intersectionRatio > 0.95) {
      timer ||= setTimeout(() => report("seen"), STEADY);
      return;
    }
    clearTimeout(timer);
    timer = 0;
    report(covered ? "covered" : "unseen");
  };

  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) latest.set(entry.target, entry);
    judge();
  }, { threshold: [0, 0.25, 0.5, 0.75, 0.96, 1], trackVisibility: true, delay: 100 });
  for (const part of [buttons, diff, ...parts]) observer.observe(part);
  return () => {
    observer.disconnect();
    clearTimeout(timer);
  };
}
