/** How a step looks: a quiet line at its left and a few words above it, which a screen reader says too. */
import { Cell } from '@jupyterlab/cells';

import { Kind } from './server';

const WORDS: Partial<Record<Kind, string>> = {
  read: 'Read · runs by itself',
  change: 'Change · waits for an approval',
  verify: 'Verify · runs when its change was decided',
  rollback: 'Roll back · only when you run it'
};

/** Mark one cell, or take its mark away when it is no longer a step. */
export function mark(cell: Cell, kind: Kind): void {
  const words = WORDS[kind];
  const node = cell.node;
  if (words === undefined) {
    delete node.dataset.skyflo;
    delete node.dataset.skyfloWords;
    node.removeAttribute('aria-description');
    return;
  }
  node.dataset.skyflo = kind;
  node.dataset.skyfloWords = words;
  node.setAttribute('aria-description', words);
}
