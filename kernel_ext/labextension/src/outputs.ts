/** Finding a change's card among a cell's outputs, and putting the receipt in its place. */
import { ICodeCellModel } from '@jupyterlab/cells';
import { IDisplayData, IMimeBundle } from '@jupyterlab/nbformat';

const PROPOSAL = 'application/vnd.skyflo.proposal.v1+json';

export interface Card {
  index: number;
  proposal: string;
}

/** The card that is waiting in a cell's outputs, if there is one. A receipt is not a card. */
export function findCard(model: ICodeCellModel): Card | null {
  for (let index = 0; index < model.outputs.length; index++) {
    const data = model.outputs.get(index).data[PROPOSAL] as { id?: unknown } | undefined;
    if (typeof data?.id === 'string') {
      return { index, proposal: data.id };
    }
  }
  return null;
}

/** Show the receipt where the card of `proposal` still is; the kernel that made it may be gone. */
export function settle(model: ICodeCellModel, proposal: string, bundle: IMimeBundle): void {
  const card = findCard(model);
  if (card?.proposal === proposal) {
    const output: IDisplayData = { output_type: 'display_data', data: bundle, metadata: {} };
    model.outputs.set(card.index, output);
  }
}
