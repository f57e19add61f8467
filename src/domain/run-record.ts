/**
 * What a run of a stage made, and who ran it: an entry of the run cache. It may come from a remote, where anybody with access writes:
 * nothing in it is trusted before it was looked at.
 */
import { canonicalJson } from './canonical-json.ts';
import type { Digest } from './digest.ts';
import { formatDigest } from './digest.ts';
import { MlvError } from './errors.ts';
import { otherVersion } from './format-version.ts';
import { digestOf, fieldsOf, parseJson, versionOf } from './json-record.ts';
import { checkPath } from './path-rules.ts';
import type { LockedOutput } from './pipeline.ts';

export interface RunRecord {
  /** Of the text that tells what the result depends on. */
  readonly fingerprint: Digest;
  /** The stage's id where it ran; another stage with the same fingerprint may take the result. */
  readonly stage: string;
  /** By path relative to the folder of the stage's file: `model`, `../shared/model`. */
  readonly outs: ReadonlyMap<string, LockedOutput>;
  readonly producer?: { readonly name: string; readonly email: string };
  /** HEAD while it ran. */
  readonly commit?: string;
  /** `linux-x64`. */
  readonly platform: string;
  /** By the clock of the machine that ran it, in UTC: `2026-11-22T05:04:03Z`. */
  readonly finished: string;
  /** That it took. */
  readonly seconds: number;
}

const RUN_RECORD_VERSION = 0;
/** A larger one is refused unread. */
export const MAX_RUN_RECORD_BYTES = 1 << 20;

const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const TIME = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?Z$/;
const CLIMBING = /^(?:\.\.\/)*/;

/** The one text of a record: canonical JSON in a line. Throws `run-record-too-large` where outputs are so many that nobody would read it. */
export function formatRunRecord(record: RunRecord): string {
  const { fingerprint, stage, outs, producer, commit, platform, finished, seconds } = record;
  const made = [...outs].map(([path, { hash, ...rest }]) => [path, { ...rest, hash: formatDigest(hash) }] as const);
  const text = canonicalJson(
    new Map(
      Object.entries({
        version: RUN_RECORD_VERSION,
        fingerprint: formatDigest(fingerprint),
        stage,
        outs: new Map(made),
        ...(producer !== undefined && { producer }),
        ...(commit !== undefined && { commit }),
        platform,
        finished,
        seconds,
      }),
    ),
  );
  if (Buffer.byteLength(text) >= MAX_RUN_RECORD_BYTES) {
    throw new MlvError({
      code: 'run-record-too-large',
      kind: 'refused',
      message: `stage ${stage} has ${outs.size} outputs, too many for the run cache`,
      hint: 'Declare the folder that holds them as one output.',
    });
  }
  return `${text}\n`;
}

/** The record that a text is, named `name` in messages. Fields that it does not know are passed over. Throws `run-record-invalid`, `run-record-version`. */
export function parseRunRecord(text: string, name: string): RunRecord {
  const invalid = (what: string): MlvError =>
    new MlvError({
      code: 'run-record-invalid',
      kind: 'corrupt',
      message: `${name}: ${what}`,
      hint: 'It is passed over, and the stage runs. Forget it: mlv run-cache forget',
    });
  if (text.length > MAX_RUN_RECORD_BYTES || Buffer.byteLength(text) > MAX_RUN_RECORD_BYTES)
    throw invalid(`it is larger than ${MAX_RUN_RECORD_BYTES} bytes`);
  const fields = fieldsOf(parseJson(text));
  const version = fields?.get('version');
  if (fields === undefined || typeof version !== 'number') throw invalid('this is no result of a stage');
  if (version !== RUN_RECORD_VERSION) throw otherVersion('run-record', name, { version, reads: RUN_RECORD_VERSION });

  const string = (key: string, from = fields): string => {
    const value = from.get(key);
    if (typeof value === 'string') return value;
    throw invalid(`"${key}" must be a text`);
  };
  const fingerprint = digestOf(fields.get('fingerprint'));
  if (fingerprint === undefined) throw invalid('"fingerprint" must be "b3:" and 64 hex digits');
  const outs = fieldsOf(fields.get('outs'));
  if (outs === undefined) throw invalid('"outs" must be a map');
  const made = new Map<string, LockedOutput>();
  for (const [path, value] of outs) {
    const shown = JSON.stringify(path.slice(0, 300));
    // How far it may climb depends on the folder it is used in.
    const reason = checkPath(path.replace(CLIMBING, ''));
    if (reason !== undefined) throw invalid(`no path of an output: ${shown}: ${reason}`);
    const output = outputOf(value);
    if (output === undefined) throw invalid(`this is no version of an output: ${shown}`);
    made.set(path, output);
  }
  const finished = string('finished');
  if (!TIME.test(finished)) throw invalid('"finished" must be a time in UTC');
  const seconds = fields.get('seconds');
  if (typeof seconds !== 'number' || !(seconds >= 0 && seconds < Infinity))
    throw invalid('"seconds" must be a number from 0');
  const commit = fields.has('commit') ? string('commit') : undefined;
  if (commit !== undefined && !COMMIT.test(commit)) throw invalid('"commit" must be the hash of a commit');
  const producer = fields.has('producer') ? fieldsOf(fields.get('producer')) : undefined;
  if (fields.has('producer') && producer === undefined) throw invalid('"producer" must be a map');
  return {
    fingerprint,
    stage: string('stage'),
    outs: made,
    ...(producer && { producer: { name: string('name', producer), email: string('email', producer) } }),
    ...(commit !== undefined && { commit }),
    platform: string('platform'),
    finished,
    seconds,
  };
}

function outputOf(node: unknown): LockedOutput | undefined {
  const fields = fieldsOf(node);
  const version = fields && versionOf(fields);
  if (version === undefined) return undefined;
  const [cache, persist, push, remote] = ['cache', 'persist', 'push', 'remote'].map((key) => fields?.get(key));
  if (typeof cache !== 'boolean' || typeof persist !== 'boolean' || typeof push !== 'boolean') return undefined;
  if (remote !== undefined && typeof remote !== 'string') return undefined;
  return { ...version, cache, persist, push, ...(remote !== undefined && { remote }) };
}
