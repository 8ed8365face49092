// Whether a card in a frame is really seen (IntersectionObserver v2), so that a page around it cannot lay something
// over it and have the click.
//
// Rules: the buttons are wholly in view and nothing lies over them; no part of the card that is wholly in view is
// covered; and each block of the diff was wholly in view, uncovered, since the page was loaded. All that for `STEADY`
// milliseconds without a break. A part that is partly scrolled away says nothing: the browser calls it not visible,
// because what it is scrolled under lies over its rest. It tests whole pixels, so parts that touch would cover each
// other: the style sheet keeps them two pixels apart.

const STEADY = 500;
const WHOLE = 0.999;

export function supported() {
  return "IntersectionObserver" in window && "isVisible" in IntersectionObserverEntry.prototype;
}

/** Call `tell` with "seen", "covered" or "unseen" whenever that changes. */
export function watch({ buttons, parts, blocks }, tell) {
  const latest = new Map();
  const unseen = new Set(blocks);
  let timer = 0;
  let told = "";

  const report = (word) => {
    if (word !== told) tell((told = word));
  };

  const judge = () => {
    const covered = [...latest.values()].some((entry) => entry.intersectionRatio >= WHOLE && !entry.isVisible);
    const foot = latest.get(buttons);
    if (!covered && unseen.size === 0 && foot?.isVisible && foot.intersectionRatio >= WHOLE) {
      timer ||= setTimeout(() => report("seen"), STEADY);
      return;
    }
    clearTimeout(timer);
    timer = 0;
    report(covered ? "covered" : "unseen");
  };

  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      latest.set(entry.target, entry);
      if (entry.isVisible && entry.intersectionRatio >= WHOLE) unseen.delete(entry.target);
    }
    judge();
  }, { threshold: [0, 0.5, WHOLE], trackVisibility: true, delay: 100 });
  for (const part of [buttons, ...blocks, ...parts]) observer.observe(part);
  return () => {
    observer.disconnect();
    clearTimeout(timer);
  };
}

/** In a window of the gateway's own: call `tell` with how many of `blocks` were wholly on the screen, whenever that
 * grows. `below` pixels at the bottom of the screen are not counted: a bar lies there. */
export function seen(blocks, below, tell) {
  const left = new Set(blocks);
  const observer = new IntersectionObserver((entries) => {
    const before = left.size;
    for (const entry of entries) if (entry.intersectionRatio >= WHOLE) left.delete(entry.target);
    if (left.size < before || before === 0) tell(blocks.length - left.size, blocks.length);
    if (left.size === 0) observer.disconnect();
  }, { threshold: [0, WHOLE], rootMargin: `0px 0px -${below}px 0px` });
  for (const block of blocks) observer.observe(block);
  if (blocks.length === 0) tell(0, 0);
}
