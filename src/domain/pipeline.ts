/**
 * What a pipeline says, with everything filled in that `mlv.yaml` leaves to templates and defaults. It is plain data: it goes through JSON
 * unchanged, and so can be remembered as long as the files stay the same that it was read from.
 */
import type { Digest } from './digest.ts';
import type { RepoPath } from './repo-path.ts';

/** The file that declares stages; those of a project may lie in several folders and make one graph. */
export const PIPELINE_FILE = 'mlv.yaml';
/** Beside it: what each of its stages last used and made. */
export const LOCK_FILE = 'mlv.lock';

/** `train`, `train@1` of a list or matrix; `sub/mlv.yaml:train` of a file that is not in the project's own folder. */
export type StageId = string & { readonly __brand: 'StageId' };

/** What a value of a parameter can be. */
export type ParamValue =
  | null
  | boolean
  | number
  | string
  | readonly ParamValue[]
  | { readonly [key: string]: ParamValue };

export interface Stage {
  readonly id: StageId;
  /** In its file, with what `foreach` and `matrix` put behind the `@`. */
  readonly name: string;
  /** The file that declares it. */
  readonly file: RepoPath;
  /** Where in that, from 1. */
  readonly line: number;
  readonly desc?: string;
  readonly meta?: ParamValue;
  /** Run by a shell, one after another, as long as each succeeds. */
  readonly commands: readonly string[];
  /** Where they run. */
  readonly wdir: RepoPath;
  /** Files and folders that it reads; sorted, each once. */
  readonly deps: readonly RepoPath[];
  readonly params: readonly StageParams[];
  /** What it makes, metrics and plots too; sorted by path, each once. */
  readonly outs: readonly StageOutput[];
  /** Names of environment variables whose values matter. */
  readonly env: readonly string[];
  /** Commands that tell the version of a tool, by the tool's name. */
  readonly tools: Readonly<Record<string, string>>;
  readonly frozen: boolean;
  readonly alwaysChanged: boolean;
  /** No two stages that share one run at once. */
  readonly mutex: readonly string[];
  readonly resources: StageResources;
  /** Seconds for each try. */
  readonly timeout?: number;
  /** Tries after the first one. */
  readonly retries: number;
  readonly image?: string;
  /** The profile of the cluster that it runs on. */
  readonly kubernetes?: string;
  /** What it says for clusters alone; where it runs here, nothing of that counts. */
  readonly cluster?: StageCluster;
}

export interface StageCluster {
  /** Names of secrets of Kubernetes, whose keys the command finds as environment variables. In the order of the file: of two with one key the later wins. */
  readonly secrets?: readonly string[];
  /** The queue of Kueue that it waits in, instead of the profile's. */
  readonly queue?: string;
  /** Seconds that it may wait for a place to run. */
  readonly pendingTimeout?: number;
  /** Exit codes of its command after which no other try is made; ascending, each once. */
  readonly noRetryExitCodes?: readonly number[];
  /** A folder that its tries have in common. */
  readonly checkpoint?: RepoPath;
  /** A patch of the pod's template, applied last. */
  readonly pod?: PodPatch;
}

export type PodPatch = { readonly [key: string]: ParamValue };

export interface StageParams {
  /** YAML, JSON or TOML. */
  readonly file: RepoPath;
  /** Dotted, sorted; undefined for all that the file says. */
  readonly keys?: readonly string[];
}

export interface StageOutput {
  readonly path: RepoPath;
  readonly kind: 'out' | 'metric' | 'plot';
  /** False for what Git keeps. */
  readonly cache: boolean;
  /** True for what the command finds as it left it. */
  readonly persist: boolean;
  /** False for what stays on the machine that made it. */
  readonly push: boolean;
  readonly remote?: string;
  readonly desc?: string;
  readonly type?: string;
  readonly labels?: readonly string[];
  readonly meta?: ParamValue;
  /** How a plot is to be drawn, as declared. */
  readonly plot?: ParamValue;
}

export interface StageResources {
  readonly cpu?: number;
  /** Bytes, as the others. */
  readonly memory?: number;
  readonly gpu?: number;
  readonly gpuType?: string;
  readonly disk?: number;
  readonly shm?: number;
}

/** A version of something a stage reads or makes. */
export interface DataVersion {
  readonly type: 'file' | 'dir';
  /** Of a file its bytes, of a directory its tree root. */
  readonly hash: Digest;
  /** Bytes in all. */
  readonly size: number;
  /** Of a directory alone. */
  readonly files?: number;
  /** Set for a file that is executable. */
  readonly exec?: true;
}

/** What `mlv.lock` says of a stage. Paths are of the project. */
export interface LockedStage {
  readonly commands: readonly string[];
  readonly wdir: RepoPath;
  readonly deps: ReadonlyMap<RepoPath, DataVersion>;
  /** By file and dotted key; a key that the file did not have is not there. Of a file that matters whole: one entry with the key ''. */
  readonly params: ReadonlyMap<RepoPath, ReadonlyMap<string, ParamValue>>;
  /** Digests of the values, by name; null where it was not set. Values are nobody's business but the machine's. */
  readonly env: ReadonlyMap<string, Digest | null>;
  /** What the commands for versions printed, by the tool's name. */
  readonly tools: ReadonlyMap<string, string>;
  readonly image?: string;
  readonly outs: ReadonlyMap<RepoPath, LockedOutput>;
}

export interface LockedOutput extends DataVersion {
  /** As declared: false where Git keeps it. */
  readonly cache: boolean;
  readonly persist: boolean;
  readonly push: boolean;
  readonly remote?: string;
}

/** What a stage finds before it runs: what is compared with its `LockedStage`. */
export interface StageObservation {
  /** Undefined where nothing is there, and nothing is known of what was. */
  readonly deps: ReadonlyMap<RepoPath, DataVersion | undefined>;
  readonly params: LockedStage['params'];
  readonly env: LockedStage['env'];
  readonly tools: LockedStage['tools'];
  /** What is at its outputs. */
  readonly outs: ReadonlyMap<RepoPath, OutputState>;
}

/**
 * What is at an output: a version; nothing, though mlv or the stage once put something there; nothing because it was never brought into this
 * workspace; or, untouched, what mlv brought there before the lock file named another version.
 */
export type OutputState = DataVersion | 'deleted' | 'not-checked-out' | 'out-of-date';
