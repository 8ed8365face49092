/**
 * The JupyterLab part of Skyflo Runbooks.
 *
 * When a notebook that carries a runbook is opened, it marks the steps, runs the cells that only read, and follows
 * each proposed change to its decision. It holds no lock: a change cell, however it is run, makes a proposal and no
 * more, and only the gateway's own page can approve it.
 */
import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { INotebookTracker } from '@jupyterlab/notebook';

import { resizeFrames } from './frames';
import { Runbook } from './runbook';

const plugin: JupyterFrontEndPlugin<void> = {
  id: '@skyflo/runbooks:plugin',
  description: 'Runs the reading cells of a runbook, marks its steps, and follows its changes.',
  autoStart: true,
  requires: [INotebookTracker],
  activate: (app: JupyterFrontEnd, tracker: INotebookTracker): void => {
    resizeFrames(window);
    tracker.widgetAdded.connect((_, panel) => {
      const runbook = new Runbook(panel, app.serviceManager.serverSettings);
      panel.disposed.connect(() => runbook.dispose());
      void runbook.open();
    });
  }
};

export default plugin;
