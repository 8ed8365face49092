/**
 * One open runbook.
 *
 * Rules:
 * - What runs by itself is decided by the grammar, in Python, over the cells' sources; a notebook's tags, metadata
 *   and trust decide nothing.
 * - The reads run by themselves once per kernel: whoever gets the gateway's lease runs them all, in their order, so
 *   two tabs and a reload run no cell twice.
 * - Before them the kernel is prepared: no module beside the notebook can stand in for an installed one.
 * - A change cell never runs by itself. A verify cell does, once, after each of its changes was seen to be decided,
 *   and only on the kernel that made the changes: another one does not know their names.
 */
import { CodeCell, ICodeCellModel } from '@jupyterlab/cells';
import { NotebookActions, NotebookPanel } from '@jupyterlab/notebook';
import { Kernel, ServerConnection } from '@jupyterlab/services';
import { IDisposable } from '@lumino/disposable';

import { Banner } from './banner';
import { joinKernel, prepareKernel } from './kernel';
import { mark } from './marks';
import { findCard, settle } from './outputs';
import { Classification, Classified, Server } from './server';

/** After a change of the notebook, wait until it pauses before the cells are classified again. */
const PAUSE_MS = 300;
const RETRY_MS = 3000;

interface Metadata {
  id: string;
}

export class Runbook implements IDisposable {
  private readonly server: Server;
  private readonly banner: Banner;
  /** Proposals whose decision is being waited for. */
  private readonly following = new Set<string>();
  /** Proposals that the kernel of now did not make: they get their receipt, and no verdict by themselves. */
  private readonly strangers = new Set<string>();
  /** The decided proposal of each change step. */
  private readonly decided = new Map<string, string>();
  private cells: Classified[] = [];
  private timer = 0;
  private disposed = false;

  constructor(
    private readonly panel: NotebookPanel,
    private readonly settings: ServerConnection.ISettings
  ) {
    this.server = new Server(settings);
    this.banner = new Banner(panel);
  }

  get isDisposed(): boolean {
    return this.disposed;
  }

  dispose(): void {
    this.disposed = true;
    window.clearTimeout(this.timer);
  }

  /**
   * Mark the cells, run what only reads, and follow the cards. Does nothing on a notebook that is not a runbook.
   * The panel says `data-skyflo="open"` when nothing more will begin by itself.
   */
  async open(): Promise<void> {
    await this.panel.context.ready;
    if (this.metadata === null) {
      return;
    }
    await this.panel.revealed;
    const classification = await this.classify();
    await this.panel.sessionContext.ready;
    await joinKernel(this.panel, this.settings);
    this.panel.sessionContext.statusChanged.connect(this.onStatus, this);
    this.panel.content.model?.contentChanged.connect(this.onContent, this);
    const first = classification?.refusal === null && (await this.lease('reads'));
    if (first) {
      this.estrange();
    }
    this.followCards();
    if (first && classification !== null && (await prepareKernel(this.panel, classification.prepare))) {
      await this.runReads();
    }
    this.panel.node.dataset.skyflo = 'open';
  }

  private get metadata(): Metadata | null {
    const found = this.panel.model?.getMetadata('skyflo') as Partial<Metadata> | undefined;
    return typeof found?.id === 'string' ? (found as Metadata) : null;
  }

  private onContent(): void {
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.classify().then(() => this.followCards()), PAUSE_MS);
  }

  private onStatus(_: unknown, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting') {
      this.estrange();
    }
  }

  /** The kernel is a new one: the changes that are shown are not its own. */
  private estrange(): void {
    for (const cell of this.codeCells()) {
      const card = findCard(cell.model);
      if (card !== null) {
        this.strangers.add(card.proposal);
      }
    }
  }

  private codeCells(): CodeCell[] {
    return this.panel.content.widgets.filter((cell): cell is CodeCell => cell instanceof CodeCell);
  }

  private async classify(): Promise<Classification | null> {
    if (this.disposed) {
      return null;
    }
    const sources = this.codeCells().map(cell => ({ id: cell.model.id, source: cell.model.sharedModel.getSource() }));
    let answer: Classification;
    try {
      answer = await this.server.classify(this.panel.model?.getMetadata('skyflo'), sources);
    } catch (error) {
      this.banner.say(`The Skyflo part of this Jupyter server did not answer: ${String(error)}. Nothing runs by itself.`);
      return null;
    }
    this.cells = answer.cells;
    this.banner.say(answer.refusal);
    for (const cell of this.codeCells()) {
      mark(cell, this.classified(cell)?.kind ?? 'free');
    }
    return answer;
  }

  private classified(cell: CodeCell): Classified | undefined {
    return this.cells.find(found => found.id === cell.model.id);
  }

  private async runReads(): Promise<void> {
    for (const cell of this.codeCells()) {
      if (this.classified(cell)?.auto && !(await this.run(cell))) {
        return;
      }
    }
  }

  /** True when it is this page, and no other tab or earlier load of it, that does `what` on this kernel. */
  private async lease(what: string): Promise<boolean> {
    const kernel = this.panel.sessionContext.session?.kernel?.id;
    const runbook = this.metadata?.id;
    if (this.disposed || kernel === undefined || runbook === undefined) {
      return false;
    }
    return this.server.lease(runbook, kernel, what);
  }

  private run(cell: CodeCell): Promise<boolean> {
    return NotebookActions.runCells(this.panel.content, [cell], this.panel.sessionContext);
  }

  private followCards(): void {
    for (const cell of this.codeCells()) {
      const card = findCard(cell.model);
      const found = this.classified(cell);
      if (card !== null && found?.kind === 'change' && !this.following.has(card.proposal)) {
        this.following.add(card.proposal);
        void this.follow(cell.model, found.step, card.proposal);
      }
    }
  }

  /** Wait for the decision of a card's proposal, or of the one that took its place; then judge. */
  private async follow(model: ICodeCellModel, step: string, shown: string): Promise<void> {
    let proposal = shown;
    while (!this.disposed && !model.isDisposed) {
      try {
        const standing = await this.server.standing(proposal);
        if (standing.next !== null) {
          proposal = standing.next;
        } else if (standing.settled) {
          if (standing.bundle !== null) {
            settle(model, shown, standing.bundle);
          }
          this.decided.set(step, proposal);
          if (!this.strangers.has(shown)) {
            await this.judge(step);
          }
          return;
        }
      } catch (error) {
        console.warn(`Skyflo: asking for ${proposal} failed, asking again.`, error);
        await new Promise(resolve => window.setTimeout(resolve, RETRY_MS));
      }
    }
  }

  /** Run the verify cells that wait for `step` and for nothing that is still undecided. */
  private async judge(step: string): Promise<void> {
    for (const cell of this.codeCells()) {
      const found = this.classified(cell);
      if (found?.kind !== 'verify' || !found.after.includes(step) || !found.after.every(it => this.decided.has(it))) {
        continue;
      }
      const changes = found.after.map(change => this.decided.get(change)).join('+');
      if (await this.lease(`${cell.model.id}+${changes}`)) {
        await this.run(cell);
      }
    }
  }
}
