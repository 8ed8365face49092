/** One line above the notebook. Not a toast: a toast would cover the approval card, which then refuses a click. */
import { NotebookPanel } from '@jupyterlab/notebook';
import { Widget } from '@lumino/widgets';

export class Banner {
  private widget: Widget | null = null;

  constructor(private readonly panel: NotebookPanel) {}

  /** Show `words`, or nothing. */
  say(words: string | null): void {
    if (words === null) {
      this.widget?.dispose();
      this.widget = null;
      return;
    }
    if (this.widget === null) {
      this.widget = new Widget();
      this.widget.addClass('skyflo-banner');
      this.widget.node.setAttribute('role', 'status');
      this.panel.contentHeader.addWidget(this.widget);
    }
    this.widget.node.textContent = words;
  }
}
