/**
 * One kernel for one notebook, which takes no module from the notebook's folder.
 *
 * Two tabs that open a notebook at the same moment each get a kernel of their own: the Jupyter server looks for a
 * session of that path before the other one is recorded. Then each would run the reads. The session that was recorded
 * first is the one that both use.
 */
import { NotebookPanel } from '@jupyterlab/notebook';
import { ServerConnection, SessionAPI } from '@jupyterlab/services';

/** Let `panel` use the kernel of the first session of its path. */
export async function joinKernel(panel: NotebookPanel, settings: ServerConnection.ISettings): Promise<void> {
  const session = panel.sessionContext.session;
  if (!session?.kernel) {
    return;
  }
  const running = await SessionAPI.listRunning(settings);
  const first = running.find(model => model.path === session.path)?.kernel;
  if (first && first.id !== session.kernel.id) {
    await panel.sessionContext.changeKernel({ id: first.id });
  }
}

/** Run `code` in the kernel, unseen; true where it ended well. */
export async function prepareKernel(panel: NotebookPanel, code: string): Promise<boolean> {
  const kernel = panel.sessionContext.session?.kernel;
  if (!kernel) {
    return false;
  }
  const answer = await kernel.requestExecute({ code, silent: true, store_history: false }).done;
  return answer?.content.status === 'ok';
}
