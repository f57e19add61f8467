/** What DVC makes of pipelines, as it said itself (test/support/dvc-resolved.py), and what mlv makes of them. */
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { MlvError } from '../../src/domain/errors.ts';
import { parseParamNode } from '../../src/domain/param-document.ts';
import { readPipelineFile } from '../../src/domain/pipeline-reader.ts';
import type { Stage } from '../../src/domain/pipeline.ts';
import { parseRepoPath } from '../../src/domain/repo-path.ts';

interface Case {
  readonly name: string;
  readonly yaml: string;
  readonly files: Readonly<Record<string, string>>;
  readonly dvc: { readonly error?: string; readonly stages?: Readonly<Record<string, DvcStage>> | null };
}

type DvcOutput = string | Readonly<Record<string, Readonly<Record<string, unknown>>>>;

interface DvcStage {
  readonly cmd: string | readonly string[];
  readonly wdir?: string;
  readonly deps?: readonly string[];
  readonly outs?: readonly DvcOutput[];
  readonly metrics?: readonly DvcOutput[];
  readonly plots?: readonly DvcOutput[];
  readonly params?: readonly (string | Readonly<Record<string, readonly string[]>>)[];
  readonly frozen?: boolean;
  readonly always_changed?: boolean;
  readonly desc?: string;
  readonly meta?: unknown;
}

const { cases } = JSON.parse(readFileSync(new URL('dvc-resolved.json', import.meta.url), 'utf8')) as {
  cases: readonly Case[];
};

function read({ yaml, files }: Case): Record<string, unknown> {
  const { stages } = readPipelineFile(yaml, parseRepoPath('mlv.yaml'), (path) => {
    const text = files[path];
    return text === undefined ? undefined : parseParamNode(text, path);
  });
  return Object.fromEntries(stages.map((stage) => [stage.name, ours(stage)]));
}

function ours(stage: Stage): unknown {
  const { commands, wdir, deps, params, outs, frozen, alwaysChanged, desc, meta } = stage;
  return { commands, wdir, deps, params, outs, frozen, alwaysChanged, desc, meta };
}

function theirs(stage: DvcStage): unknown {
  const wdir = stage.wdir ?? '';
  const place = (path: string): string => posix.join(wdir, path);
  const params = new Map<string, string[]>();
  for (const each of stage.params ?? []) {
    const named = typeof each === 'string' ? { 'params.yaml': [each] } : each;
    for (const [file, keys] of Object.entries(named))
      params.set(place(file), [...(params.get(place(file)) ?? []), ...keys]);
  }
  return {
    commands: typeof stage.cmd === 'string' ? stage.cmd.split('\n').filter((line) => line !== '') : stage.cmd,
    wdir,
    deps: (stage.deps ?? []).map(place).sort(),
    params: [...params].sort(([a], [b]) => (a < b ? -1 : 1)).map(([file, keys]) => ({ file, keys: keys.sort() })),
    outs: [
      ...theirOutputs(stage.outs, 'out', place),
      ...theirOutputs(stage.metrics, 'metric', place),
      ...theirOutputs(stage.plots, 'plot', place),
    ].sort((a, b) => (a.path < b.path ? -1 : 1)),
    frozen: stage.frozen ?? false,
    alwaysChanged: stage.always_changed ?? false,
    desc: stage.desc,
    meta: stage.meta,
  };
}

function theirOutputs(outs: readonly DvcOutput[] = [], kind: string, place: (path: string) => string) {
  return outs.flatMap((out) =>
    Object.entries(typeof out === 'string' ? { [out]: {} } : out).map(([path, options]) => {
      const { cache = true, persist = false, push = true, remote, desc, type, labels, meta, ...plot } = options;
      const known = Object.entries({ remote, desc, type, labels, meta }).filter(([, value]) => value !== undefined);
      const drawn = Object.keys(plot).length > 0 && { plot };
      return { path: place(path), kind, cache, persist, push, ...Object.fromEntries(known), ...drawn };
    }),
  );
}

describe('as DVC does', () => {
  test.each(cases)('$name', (each) => {
    const { error, stages } = each.dvc;
    if (error !== undefined) {
      expect(() => read(each)).toThrow(MlvError);
      return;
    }
    const expected = Object.fromEntries(Object.entries(stages ?? {}).map(([name, stage]) => [name, theirs(stage)]));
    expect(read(each)).toEqual(expected);
  });
});
