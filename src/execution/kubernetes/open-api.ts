/** Opens the API of the cluster that kubeconfig and profile name. Slow to load: reach this file through a dynamic import only. */
import type { Environment } from '../../workspace/open.ts';
import type { KubernetesApi } from './api.ts';
import { createAsker } from './ask.ts';
import { createConnection } from './connection.ts';
import { createCredentials } from './credentials.ts';
import type { AccessOptions } from './kubeconfig.ts';
import { findCluster } from './kubeconfig.ts';
import { createRequests } from './requests.ts';
import { createStreams } from './streams.ts';

export interface OpenOptions extends AccessOptions {
  readonly environment: Environment;
  /** Whether plugins may ask whoever sits at the terminal. */
  readonly isInteractive?: boolean;
  /** Milliseconds for which what fails in passing is tried again. */
  readonly patienceMs?: number;
  /** Milliseconds after which an answer that does not come, or stops coming, is asked for again. */
  readonly silenceMs?: number;
  /** Seconds after which the server is to end a watch, more or less. */
  readonly watchSeconds?: number;
  /** Takes what the server warns of, each warning once. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

const PATIENCE_MS = 60_000;
const SILENCE_MS = 60_000;
const WATCH_SECONDS = 300;

/** Finds the cluster; nothing is sent yet. Throws as `findCluster` does, and `proxy-invalid`. */
export async function openKubernetes(options: OpenOptions): Promise<KubernetesApi> {
  const { environment, isInteractive = false, patienceMs = PATIENCE_MS, onWarning } = options;
  const { silenceMs = SILENCE_MS, watchSeconds = WATCH_SECONDS } = options;
  const access = await findCluster(options);
  const { context, namespace } = access;
  const connection = createConnection(access, environment);
  const credentials = createCredentials({ access, environment, isInteractive });
  const { ask } = createAsker({ connection, credentials, context, patienceMs, onWarning });
  return {
    context,
    namespace,
    ...createRequests({ ask, context, silenceMs }),
    ...createStreams({ ask, context, silenceMs, watchSeconds }),
    close: () => connection.close(),
  };
}
