import { hasErrorCode, MlvError } from '../../../domain/errors.ts';

/** How `fetch` and `push` end, for whoever decides whether a Job is worth another try. */
export const EXIT = {
  done: 0,
  /** The task is malformed, or not the one that its hash names; or the container was not started as it should be. */
  task: 64,
  /** Data is missing, or damaged, on the remote. */
  data: 65,
  /** The store refuses the credentials, or what they are to be used for. */
  credentials: 66,
  /** The remote cannot be reached, or is not there. */
  remote: 67,
  /** No room: on the pod's volume, or at the store. */
  space: 68,
  /** The stage did not make what it was to make, or made what cannot be stored. */
  output: 69,
  bug: 70,
  /** Told to end. */
  terminated: 143,
} as const;

type Ending = keyof typeof EXIT;

const ENDINGS: Readonly<Record<string, Ending>> = {
  'cluster-task-invalid': 'task',
  'cluster-task-version': 'task',
  'cluster-task-other': 'task',
  'pod-usage': 'task',
  'path-beyond-symlink': 'task',
  'output-beyond-symlink': 'output',
  'output-not-made': 'output',
  'output-unreadable': 'output',
  'path-missing': 'output',
  'path-is-symlink': 'output',
  'path-is-special': 'output',
  'path-ignored': 'output',
  'credentials-expired': 'credentials',
  'credentials-missing': 'credentials',
  'credentials-wrong': 'credentials',
  'remote-denied': 'credentials',
  'remote-not-writable': 'credentials',
  'remote-kms-denied': 'credentials',
  'clock-wrong': 'credentials',
  'no-space': 'space',
  'disk-full': 'space',
  'work-full': 'space',
  'remote-full': 'space',
  'remote-invalid': 'data',
  'remote-version': 'data',
  'remote-gone': 'data',
  'data-unavailable': 'data',
  'data-damaged': 'data',
  'object-missing': 'data',
  'object-short': 'data',
  'ca-bundle-unreadable': 'remote',
  'endpoint-invalid': 'remote',
  'proxy-invalid': 'remote',
};

/** The exit code for what was thrown. */
export function exitCodeOf(error: unknown): number {
  return EXIT[endingOf(error)];
}

function endingOf(error: unknown): Ending {
  if (hasErrorCode(error, 'ENOSPC', 'EDQUOT')) return 'space';
  if (!(error instanceof MlvError)) return 'bug';
  const known = ENDINGS[error.code];
  if (known !== undefined) return known;
  if (error.code.startsWith('remote-')) return 'remote';
  return error.kind === 'corrupt' || error.kind === 'unsupported' ? 'data' : 'bug';
}
