/**
 * What a stage's result depends on, as one text; its BLAKE3 is the name of the result in the run cache. Two stages share results when
 * their texts are equal, in whatever clone or folder they are: paths are relative to the folder of the stage's file.
 *
 * Left out, as it does not change what a command makes:
 * - the stage's name, file, line, `desc` and `meta`: renamed, moved or described, it is the same work;
 * - `run_on`, `resources`, `timeout`, `pending_timeout`, `retries`, `no_retry_exit_codes`, `queue`, `mutex`: where, when and how often it is
 *   tried; `checkpoint`: a command that goes on from there makes what it makes from the start, or else it is an output with `persist`;
 * - `secrets`: they open doors, and change without changing what is behind; `pod`: how a cluster is to run it;
 * - the name and tag of an image whose digest is given: where it comes from;
 * - `frozen`: whether it may run; and `always_changed`: whoever sets it gets no stored result at all;
 * - of outputs `push`, `remote`, `desc`, `type`, `labels`, whether they are metrics or plots and how those are drawn: what becomes of the
 *   bytes afterwards;
 * - of dependencies sizes and numbers of files, which follow from the hash, and times;
 * - the commands that ask for a tool's version: what they answer matters;
 * - environment variables that are not declared, the machine, its user and its clock: mlv cannot know which of them matter. `env` and
 *   `tools` are there to say so.
 */
import type { Canonical } from './canonical-json.ts';
import { canonicalJson } from './canonical-json.ts';
import { formatDigest } from './digest.ts';
import { imageIdentity } from './image-reference.ts';
import type { DataVersion, OutputState, Stage, StageObservation } from './pipeline.ts';
import { relativeTo } from './relative-path.ts';
import type { RepoPath } from './repo-path.ts';
import { repoDirname } from './repo-path.ts';

const FINGERPRINT_VERSION = 0;

interface Fingerprinted {
  /** The program, as far as mlv sees it. A list is not the same as its lines joined: a command that fails ends it. */
  readonly commands: Canonical;
  /** Inputs by content. Paths, since commands name them; type and mode, since `./tool` runs only when it is executable. */
  readonly deps: Canonical;
  /** Declared by the user to matter. Digests, as values may be secrets; a variable that is empty is not one that is not set. */
  readonly env: Canonical;
  /** What programs and libraries the command finds, where it runs in a container: by digest where there is one, else as it is called. */
  readonly image: Canonical;
  /**
   * What is to be kept: another set of outputs is another result. `cache` says which side, mlv or Git, keeps the bytes. What the command
   * finds at `persist` outputs is input as well, so what was there before is in.
   */
  readonly outs: Canonical;
  /** Values with their types: the number 1 is not the text "1". By file and key, as programs read them from there. */
  readonly params: Canonical;
  /** What reads the commands: the same line means other things to other shells. */
  readonly shell: Canonical;
  /** What the declared commands answered: a newer compiler or library may make other bytes. */
  readonly tools: Canonical;
  /** Of this text: should its meaning change, no old result is taken for a new one. */
  readonly version: Canonical;
  /** Commands name paths from here. */
  readonly wdir: Canonical;
}

/**
 * The canonical text, of a stage and what it finds right before it runs. A `persist` output that is not there counts as nothing: one that
 * is to be checked out for the run has to be there before.
 */
export function fingerprintText(stage: Stage, seen: StageObservation, shell: 'sh' | 'cmd' = 'sh'): string {
  const folder = repoDirname(stage.file);
  const local = (path: RepoPath): string => relativeTo(path, folder);
  const parts: Fingerprinted = {
    commands: stage.commands,
    deps: new Map(stage.deps.map((path) => [local(path), stateOf(seen.deps.get(path))])),
    env: mapValues(seen.env, (digest) => (digest === null ? null : formatDigest(digest))),
    image: stage.image === undefined ? null : imageIdentity(stage.image),
    outs: new Map(
      stage.outs.map(({ path, cache, persist }) => [
        local(path),
        { cache, persist, ...(persist && { previous: stateOf(seen.outs.get(path)) }) },
      ]),
    ),
    // A file that has none of the keys tells no more than one that is not declared.
    params: new Map(
      [...seen.params].filter(([, values]) => values.size > 0).map(([file, values]) => [local(file), values]),
    ),
    shell,
    tools: seen.tools,
    version: FINGERPRINT_VERSION,
    wdir: local(stage.wdir),
  };
  return canonicalJson(new Map(Object.entries(parts)));
}

function stateOf(state: OutputState | undefined): DataVersionText | null {
  if (state === undefined || typeof state === 'string') return null;
  const { type, hash, exec = false } = state;
  return { type, hash: formatDigest(hash), exec };
}

type DataVersionText = { readonly type: DataVersion['type']; readonly hash: string; readonly exec: boolean };

function mapValues<T>(map: ReadonlyMap<string, T>, of: (value: T) => Canonical): ReadonlyMap<string, Canonical> {
  return new Map([...map].map(([key, value]) => [key, of(value)]));
}
