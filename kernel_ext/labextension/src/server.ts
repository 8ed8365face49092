/** What the page asks of the server extension. It never speaks to the gateway itself and holds no token of it. */
import { URLExt } from '@jupyterlab/coreutils';
import { IMimeBundle } from '@jupyterlab/nbformat';
import { ServerConnection } from '@jupyterlab/services';

/** The words of the cell grammar (`skyflo_runbooks.notebook.grammar`). */
export type Kind =
  | 'empty'
  | 'import'
  | 'parameters'
  | 'read'
  | 'change'
  | 'verify'
  | 'rollback'
  | 'record'
  | 'free';

/** One code cell as the grammar sees it. `auto` says whether it may run by itself when the notebook is opened. */
export interface Classified {
  id: string;
  kind: Kind;
  step: string;
  after: string[];
  auto: boolean;
}

export interface Classification {
  cells: Classified[];
  /** Why nothing runs by itself (another cluster, no gateway), or null. */
  refusal: string | null;
  /** What the kernel has to run before anything runs by itself: a module beside the notebook must not be imported. */
  prepare: string;
}

/** Where a proposal stands. `bundle` is the output to show once it is settled, `next` the proposal that took its place. */
export interface Standing {
  id: string;
  state: string;
  settled: boolean;
  next: string | null;
  bundle: IMimeBundle | null;
}

export interface Source {
  id: string;
  source: string;
}

export class Server {
  constructor(private readonly settings: ServerConnection.ISettings) {}

  classify(metadata: unknown, cells: Source[]): Promise<Classification> {
    return this.request('classify', { metadata, cells });
  }

  /** True for exactly one of all pages that ask for the same thing. */
  async lease(runbook: string, kernel: string, what: string): Promise<boolean> {
    const answer = await this.request<{ granted: boolean }>('lease', { runbook, kernel, what });
    return answer.granted;
  }

  /** Answers when the proposal is settled, or after about half a minute with how it stands then. */
  standing(id: string): Promise<Standing> {
    return this.request(`proposals/${encodeURIComponent(id)}`);
  }

  private async request<T>(path: string, body?: unknown): Promise<T> {
    const url = URLExt.join(this.settings.baseUrl, 'skyflo', path);
    const init: RequestInit = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
    const response = await ServerConnection.makeRequest(url, init, this.settings);
    if (!response.ok) {
      throw new ServerConnection.ResponseError(response);
    }
    return (await response.json()) as T;
  }
}
