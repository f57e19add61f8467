/** `mlv.lock` in any form that people or merges give it. Imports `yaml`, which is slow to load: reach this file through a dynamic import only. */
import { isMap, isScalar, isSeq } from 'yaml';
import type { LockedStages, LockNode } from './lock-file.ts';
import { readLockNodes } from './lock-file.ts';
import type { ParamValue } from './pipeline.ts';
import type { RepoPath } from './repo-path.ts';
import { keyOf, parseYamlFile } from './yaml-document.ts';

/** Throws `lock-conflict` (Git's conflict markers), `lock-version`, `lock-invalid`. */
export function parseLock(text: string, path: RepoPath): LockedStages {
  const { map } = parseYamlFile(text, {
    path,
    kind: 'lock',
    hint: 'Restore it with Git, or delete it: stages without a record run again, or come from the run cache.',
    conflictHint: `Choose a side, "git checkout --ours -- ${path}" or "--theirs"; stages without a record run again.`,
  });
  const nodes = nodeOf(map);
  return readLockNodes(nodes instanceof Map ? nodes : new Map(), path);
}

function nodeOf(node: unknown): LockNode {
  if (isMap(node)) return new Map(node.items.map((pair) => [keyOf(pair), nodeOf(pair.value)]));
  if (isSeq(node)) return node.items.map(nodeOf);
  return isScalar(node) ? (node.value as ParamValue) : null;
}
