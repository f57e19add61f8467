import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { CheckoutPlan, CheckoutStep } from '../../src/domain/three-way.ts';
import { planCheckout, selectiveCursor } from '../../src/domain/three-way.ts';
import type { TreeEntry } from '../../src/domain/tree.ts';
import { sameEntry } from '../../src/domain/tree-diff.ts';
import type { TreePath } from '../../src/domain/tree-path.ts';
import { treePathFromText } from '../../src/domain/tree-path.ts';
import type { TreeCursor } from '../../src/domain/tree-reader.ts';
import { openTree } from '../../src/domain/tree-reader.ts';
import type { Selection } from '../../src/workspace/checkout-record.ts';
import { isSelected, mayHoldSelected } from '../../src/workspace/checkout-record.ts';
import type { Objects } from '../support/trees.ts';
import { boundaryNames, buildTree, createObjects, entriesIn, entryAt, innerNames } from '../support/trees.ts';

/** A version of a path: a letter is content, `-` is nothing. */
type Version = 'A' | 'B' | 'C' | '-';
type Outcome = 'write' | 'remove' | 'keep' | 'conflict' | 'nothing';

/** What happens at a path, for each way in which base, target and workspace may agree. */
const TABLE: readonly (readonly [
  base: Version,
  target: Version,
  workspace: Version,
  plain: Outcome,
  forced: Outcome,
  restoring: Outcome,
])[] = [
  ['-', '-', '-', 'nothing', 'nothing', 'nothing'],
  ['-', '-', 'A', 'keep', 'keep', 'keep'],
  ['-', 'A', '-', 'write', 'write', 'write'],
  ['-', 'A', 'A', 'nothing', 'nothing', 'nothing'],
  ['-', 'A', 'B', 'conflict', 'write', 'conflict'],
  ['A', '-', '-', 'nothing', 'nothing', 'nothing'],
  ['A', '-', 'A', 'remove', 'remove', 'remove'],
  ['A', '-', 'B', 'conflict', 'remove', 'conflict'],
  ['A', 'A', '-', 'keep', 'write', 'write'],
  ['A', 'A', 'A', 'nothing', 'nothing', 'nothing'],
  ['A', 'A', 'B', 'keep', 'write', 'keep'],
  ['A', 'B', '-', 'conflict', 'write', 'write'],
  ['A', 'B', 'A', 'write', 'write', 'write'],
  ['A', 'B', 'B', 'nothing', 'nothing', 'nothing'],
  ['A', 'B', 'C', 'conflict', 'write', 'conflict'],
];

type Content = ReadonlyMap<TreePath, TreeEntry>;
const VERSIONS = { A: 0, B: 1, C: 2 } as const;

function contentOf(paths: Readonly<Record<string, Version | 'd'>>): Content {
  const entries = Object.entries(paths).flatMap(([path, version]) => {
    if (version === '-') return [];
    return [version === 'd' ? entryAt(path, 0, 'd') : entryAt(path, VERSIONS[version])];
  });
  return new Map(entries.map((entry) => [entry.path, entry]));
}

interface Situation extends Partial<
  Omit<CheckoutPlan, 'base' | 'target' | 'workspace' | 'wasSelected' | 'restoreDeleted'>
> {
  readonly base: Content;
  readonly target: Content;
  readonly workspace: Content;
  readonly selected?: Selection;
  readonly wasSelected?: Selection;
  readonly restoreDeleted?: boolean;
}

function cursorOf(content: Content, selected: Selection, objects: Objects): TreeCursor {
  const cursor = openTree(buildTree(content.values(), objects).root, objects.load);
  if (selected === 'all') return cursor;
  return selectiveCursor(cursor, {
    has: (path) => isSelected(selected, path),
    mayHold: (after, last) => mayHoldSelected(selected, after, last),
  });
}

function plan(situation: Situation, objects = createObjects()): CheckoutStep[] {
  const {
    base,
    target,
    workspace,
    selected = 'all',
    wasSelected = selected,
    restoreDeleted = false,
    ...options
  } = situation;
  return [
    ...planCheckout({
      force: false,
      relink: false,
      maySkip: String(selected) === String(wasSelected) && options.relink !== true,
      restoreDeleted: () => restoreDeleted,
      isUnfinished: false,
      isLeftover: () => false,
      wasTaken: () => false,
      isPurged: () => false,
      isThere: () => true,
      ...options,
      base: cursorOf(base, selected, objects),
      target: cursorOf(target, selected, objects),
      workspace: cursorOf(workspace, selected, objects),
      wasSelected: (path) => isSelected(wasSelected, path),
    }),
  ];
}

/** `path action`, in order. */
function outcomes(steps: readonly CheckoutStep[]): string[] {
  return steps.map(({ path, action }) => `${path} ${action}`);
}

describe('at a path that base, target and workspace have as', () => {
  test.each(TABLE)(
    '%s %s %s, the plan is to %s; forced, %s; restoring what was deleted, %s',
    (base, target, workspace, plain, forced, restoring) => {
      const contents = {
        base: contentOf({ p: base }),
        target: contentOf({ p: target }),
        workspace: contentOf({ p: workspace }),
      };
      const outcome = (options: Partial<Situation>): string =>
        plan({ ...contents, ...options })[0]?.action ?? 'nothing';
      expect([outcome({}), outcome({ force: true }), outcome({ restoreDeleted: true })]).toEqual([
        plain,
        forced,
        restoring,
      ]);
    },
  );

  test('a step says what is wanted and what was found', () => {
    const [a, b, c] = [entryAt('p', 0), entryAt('p', 1), entryAt('p', 2)];
    const p = a.path;
    const steps = (
      base: Version,
      target: Version,
      workspace: Version,
      options: Partial<Situation> = {},
    ): CheckoutStep[] =>
      plan({
        base: contentOf({ p: base }),
        target: contentOf({ p: target }),
        workspace: contentOf({ p: workspace }),
        ...options,
      });
    expect(steps('A', 'B', 'A')).toEqual([{ action: 'write', path: p, want: b, found: a }]);
    expect(steps('-', 'B', '-')).toEqual([{ action: 'write', path: p, want: b, found: undefined }]);
    expect(steps('A', '-', 'A')).toEqual([{ action: 'remove', path: p, found: a }]);
    expect(steps('A', 'A', 'B')).toEqual([{ action: 'keep', path: p, found: b }]);
    expect(steps('A', 'B', 'C')).toEqual([{ action: 'conflict', path: p, want: b, found: c }]);
    expect(steps('A', 'A', 'A', { relink: true })).toEqual([{ action: 'write', path: p, want: a, found: a }]);
  });

  test('another mode is another version', () => {
    const [plain, executable] = [
      contentOf({ p: 'A' }),
      new Map([entryAt('p', 0, 'x')].map((entry) => [entry.path, entry])),
    ];
    expect(outcomes(plan({ base: plain, target: executable, workspace: plain }))).toEqual(['p write']);
    expect(outcomes(plan({ base: plain, target: plain, workspace: executable }))).toEqual(['p keep']);
  });

  test('a leftover of an interrupted checkout is replaced', () => {
    const contents = { base: contentOf({ p: 'A' }), target: contentOf({ p: 'B' }), workspace: contentOf({ p: 'C' }) };
    const asked: unknown[] = [];
    const steps = plan({ ...contents, isLeftover: (found, want) => asked.push(found, want) > 0 });
    expect(outcomes(steps)).toEqual(['p write']);
    expect(asked).toEqual([entryAt('p', 2), entryAt('p', 1)]);
  });
});

test('what an interrupted checkout had taken away comes back, and is no deletion', () => {
  const [one, none] = [contentOf({ p: 'A' }), contentOf({})];
  const situation = { base: one, target: one, workspace: none, isUnfinished: true };
  expect(outcomes(plan({ ...situation, wasTaken: () => true }))).toEqual(['p write']);
  expect(outcomes(plan(situation))).toEqual(['p keep']);
});

/** Content A was purged: of a workspace that has A, a snapshot shows it where it is, and where it was left out. */
test.each<[base: Version, target: Version, workspace: Version, isThere: boolean, plain: Outcome, forced: Outcome]>([
  ['-', 'A', '-', false, 'nothing', 'nothing'],
  ['A', 'A', 'A', false, 'nothing', 'nothing'],
  ['A', 'A', 'A', true, 'remove', 'remove'],
  ['A', 'A', 'B', true, 'keep', 'keep'],
  ['A', '-', 'A', false, 'nothing', 'nothing'],
  ['A', '-', 'A', true, 'remove', 'remove'],
  ['A', '-', 'B', true, 'keep', 'keep'],
  ['A', 'B', 'A', false, 'write', 'write'],
  ['A', 'B', 'A', true, 'write', 'write'],
  ['A', 'B', 'C', true, 'conflict', 'write'],
  ['B', 'A', 'B', true, 'remove', 'remove'],
  ['B', 'A', 'C', true, 'conflict', 'remove'],
  ['B', 'A', '-', true, 'nothing', 'nothing'],
])('of what was purged: %s %s %s, and it is there: %s; the plan is to %s; forced, %s', (...given) => {
  const [base, target, workspace, isThere, plain, forced] = given;
  const { digest: purged } = entryAt('p', VERSIONS.A);
  const outcome = (force: boolean): string =>
    plan({
      base: contentOf({ p: base }),
      target: contentOf({ p: target }),
      workspace: contentOf({ p: workspace }),
      isPurged: ({ digest }) => digest === purged,
      isThere: () => isThere,
      maySkip: false,
      force,
    })[0]?.action ?? 'nothing';
  expect([outcome(false), outcome(true)]).toEqual([plain, forced]);
});

describe('a file and a folder in one place', () => {
  test.each<
    [string, Record<string, Version | 'd'>, Record<string, Version | 'd'>, Record<string, Version | 'd'>, string[]]
  >([
    ['my file, their folder', {}, { 'a/b': 'A' }, { a: 'A' }, ['a keep', 'a/b conflict']],
    ['my folder, their file', {}, { a: 'A' }, { 'a/b': 'A' }, ['a write', 'a/b conflict']],
    ['my file between others', {}, { 'a-b': 'A', 'a/b': 'A' }, { a: 'A' }, ['a keep', 'a-b write', 'a/b conflict']],
    ['a folder that becomes a file', { 'a/b': 'A' }, { a: 'A' }, { 'a/b': 'A' }, ['a write', 'a/b remove']],
    [
      'the same with my file in it',
      { 'a/b': 'A' },
      { a: 'A' },
      { 'a/b': 'A', 'a/c': 'A' },
      ['a write', 'a/b remove', 'a/c conflict'],
    ],
    ['a file that becomes a folder', { a: 'A' }, { 'a/b': 'A' }, { a: 'A' }, ['a remove', 'a/b write']],
    ['my empty folder, their files', {}, { 'a/b': 'A' }, { a: 'd' }, ['a keep', 'a/b write']],
    ['their empty folder, my files', {}, { a: 'd' }, { 'a/b': 'A' }, ['a write', 'a/b keep']],
    ['my file in an empty folder', { a: 'd' }, { a: 'd' }, { 'a/b': 'A' }, ['a keep', 'a/b keep']],
    ['my file, their empty folder below', {}, { 'a/b': 'd' }, { a: 'A' }, ['a keep', 'a/b conflict']],
  ])('%s', (_, base, target, workspace, expected) => {
    expect(
      outcomes(plan({ base: contentOf(base), target: contentOf(target), workspace: contentOf(workspace) })),
    ).toEqual(expected);
  });

  test('is seen across pages that are passed over', () => {
    const between = Object.fromEntries(
      [...boundaryNames(3, 'a!'), ...boundaryNames(3, 'a-')].map((name) => [name, 'A' as const]),
    );
    const objects = createObjects();
    const steps = plan(
      {
        base: contentOf(between),
        target: contentOf({ ...between, 'a/b': 'A' }),
        workspace: contentOf({ ...between, a: 'A' }),
      },
      objects,
    );
    expect(outcomes(steps)).toEqual(['a keep', 'a/b conflict']);
  });
});

describe('what was not selected before', () => {
  const base = contentOf({ 'in/x': 'A', 'out/x': 'A' });

  test('is inherited, not deleted: the workspace seems to have it, and it is written', () => {
    const steps = plan({ base, target: base, workspace: base, wasSelected: [treePathFromText('in')] });
    expect(outcomes(steps)).toEqual(['out/x write']);
    expect(steps[0]).toMatchObject({ found: undefined });
  });

  test('is not brought while it is not selected', () => {
    const only = [treePathFromText('in')];
    const target = contentOf({ 'in/x': 'B', 'out/x': 'B' });
    expect(outcomes(plan({ base, target, workspace: base, selected: only }))).toEqual(['in/x write']);
  });

  test('is in conflict where the workspace has something else there', () => {
    const workspace = contentOf({ 'in/x': 'A', 'out/x': 'C' });
    expect(outcomes(plan({ base, target: base, workspace, wasSelected: [treePathFromText('in')] }))).toEqual([
      'out/x conflict',
    ]);
  });
});

const NAMES = [
  ...boundaryNames(12, 'p'),
  ...innerNames(12, 'p'),
  ...boundaryNames(3, 'a-'),
  ...boundaryNames(3, 'a/'),
  'a',
  'a-b',
  'a/b',
  'a/b/c',
  'a/d',
  'a0',
];

/** No path is a folder of another. */
function tree(): fc.Arbitrary<Content> {
  const entry = fc.record({
    path: fc.constantFrom(...NAMES),
    version: fc.constantFrom('A' as const, 'A' as const, 'B' as const, 'C' as const, 'd' as const),
  });
  return fc.uniqueArray(entry, { selector: ({ path }) => path, maxLength: 40 }).map((entries) => {
    const valid = entries.filter(({ path }) => !entries.some((other) => other.path.startsWith(`${path}/`)));
    return contentOf(Object.fromEntries(valid.map(({ path, version }) => [path, version])));
  });
}

const selections = fc.oneof(
  fc.constant('all' as const),
  fc.uniqueArray(
    fc.constantFrom('a', 'a/b', 'p', 'a0', NAMES[3] ?? '', NAMES[20] ?? '').map((path) => path as TreePath),
    { maxLength: 3 },
  ),
);

const situation = fc
  .record({
    base: tree(),
    changes: fc.tuple(tree(), tree()),
    share: fc.tuple(fc.nat(3), fc.nat(3)),
    selected: selections,
    wasSelected: fc.option(selections, { nil: undefined }),
    force: fc.boolean(),
    relink: fc.boolean(),
    restoreDeleted: fc.boolean(),
  })
  .map(({ base, changes, share, selected, wasSelected = selected, ...options }) => {
    // Mostly like the base, so that there are pages to pass over.
    const blend = (other: Content, every: number): Content => {
      if (every === 0) return other;
      const merged = new Map(base);
      for (const [index, [path, entry]] of [...other].entries()) if (index % (every * 2) === 0) merged.set(path, entry);
      const paths = [...merged.keys()];
      return new Map([...merged].filter(([path]) => !paths.some((each) => each.startsWith(`${path}/`))));
    };
    return {
      base,
      target: blend(changes[0], share[0]),
      workspace: blend(changes[1], share[1]),
      selected,
      wasSelected,
      ...options,
    };
  });

function same(a: TreeEntry | undefined, b: TreeEntry | undefined): boolean {
  return a === undefined || b === undefined ? a === b : sameEntry(a, b);
}

/** The row of the table for three entries. */
function lookUp(base: TreeEntry | undefined, target: TreeEntry | undefined, workspace: TreeEntry | undefined) {
  const letters: [TreeEntry, Version][] = [];
  const letter = (entry: TreeEntry | undefined): Version => {
    if (entry === undefined) return '-';
    const known = letters.find(([each]) => sameEntry(each, entry));
    if (known !== undefined) return known[1];
    const next = (['A', 'B', 'C'] as const)[letters.length] ?? 'C';
    letters.push([entry, next]);
    return next;
  };
  const key = [letter(base), letter(target), letter(workspace)].join('');
  const row = TABLE.find((each) => each.slice(0, 3).join('') === key);
  if (row === undefined) throw new Error(`no row for ${key}`);
  return { plain: row[3], forced: row[4], restoring: row[5] };
}

function naivePlan(given: ReturnType<typeof situation.generate>['value']): string[] {
  const { base, target, workspace, selected, wasSelected, force, relink, restoreDeleted } = given;
  const steps: string[] = [];
  const standing: TreeEntry[] = [];
  for (const path of [...new Set([...base.keys(), ...target.keys(), ...workspace.keys()])].sort()) {
    if (!isSelected(selected, path)) continue;
    const was = isSelected(wasSelected, path);
    const before = was ? base.get(path) : undefined;
    const want = target.get(path);
    const inherited = !was && same(workspace.get(path), base.get(path));
    const found = inherited ? undefined : workspace.get(path);
    const { plain, forced, restoring } = lookUp(before, want, found);
    let outcome = force ? forced : restoreDeleted ? restoring : plain;
    if (relink && same(found, want) && want !== undefined && want.kind !== 'd') outcome = 'write';
    const left = outcome === 'write' ? want : outcome === 'keep' || outcome === 'nothing' ? found : undefined;
    if (left !== undefined && standing.some((file) => path.startsWith(`${file.path}/`))) outcome = 'conflict';
    else if (left !== undefined && left.kind !== 'd') standing.push(left);
    if (outcome !== 'nothing') steps.push(`${path} ${outcome}`);
  }
  return steps;
}

describe('whatever base, target, workspace and selection are', () => {
  test('the plan is what the table says for each path', () => {
    fc.assert(
      fc.property(situation, (given) => {
        expect(outcomes(plan(given))).toEqual(naivePlan(given));
      }),
      { numRuns: 2_000 },
    );
  });

  test('nothing is overwritten or removed that is neither absent, nor base, nor target, unless forced', () => {
    fc.assert(
      fc.property(situation, (given) => {
        for (const step of plan({ ...given, force: false })) {
          if (step.action !== 'write' && step.action !== 'remove') continue;
          const known = [given.workspace.get(step.path)].every(
            (real) =>
              real === undefined || same(real, given.base.get(step.path)) || same(real, given.target.get(step.path)),
          );
          expect(known).toBe(true);
          expect(isSelected(given.selected, step.path)).toBe(true);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  test('even forced, nothing goes that neither base nor target know', () => {
    fc.assert(
      fc.property(situation, (given) => {
        const changed = plan({ ...given, force: true }).filter(
          ({ action }) => action === 'write' || action === 'remove',
        );
        const unknown = changed.filter(({ path }) => !given.base.has(path) && !given.target.has(path));
        expect(unknown).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('carried out without a conflict, the workspace is the target with what was kept, and a second plan changes nothing', () => {
    fc.assert(
      fc.property(situation, (given) => {
        const all = { ...given, selected: 'all' as const, wasSelected: 'all' as const, relink: false };
        const steps = plan(all);
        if (steps.some(({ action }) => action === 'conflict')) return;
        const after = new Map(all.workspace);
        const kept = new Map<TreePath, TreeEntry | undefined>();
        for (const step of steps) {
          if (step.action === 'write') after.set(step.path, step.want);
          if (step.action === 'remove') after.delete(step.path);
          if (step.action === 'keep') kept.set(step.path, step.found);
        }
        for (const path of new Set([...after.keys(), ...all.target.keys()])) {
          const expected = kept.has(path) ? kept.get(path) : all.target.get(path);
          expect(same(after.get(path), expected)).toBe(true);
        }
        // An empty folder that has got something is no entry any more.
        const paths = [...after.keys()];
        const settled = new Map([...after].filter(([path]) => !paths.some((each) => each.startsWith(`${path}/`))));
        const again = plan({ ...all, base: all.target, workspace: settled });
        const changes = again.filter(({ action, path }) => action !== 'keep' && all.target.get(path)?.kind !== 'd');
        expect(outcomes(changes)).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });
});

test('what all three have is not read', () => {
  const names = [...boundaryNames(10, 'p'), ...innerNames(40, 'p')];
  const all = Object.fromEntries(names.map((name) => [name, 'A' as const]));
  const objects = createObjects();
  const base = contentOf(all);
  const target = contentOf({ ...all, [names[0] ?? '']: 'B' });
  const steps = (options: Partial<Situation>): number => {
    objects.loaded.length = 0;
    const count = plan({ base, target, workspace: base, ...options }, objects).length;
    expect(count).toBeGreaterThan(0);
    return objects.loaded.length;
  };
  expect(steps({})).toBe(3 + 3);
  expect(steps({ relink: true })).toBe(3 + 3 * 11);
});

test('a selective cursor has what is selected, and opens no page without it', () => {
  const path = fc.constantFrom(...NAMES);
  fc.assert(
    fc.property(
      tree(),
      fc.uniqueArray(
        fc.oneof(path, fc.constantFrom('p', 'zz', 'a-')).map((each) => each as TreePath),
        { maxLength: 3 },
      ),
      (content, selected) => {
        const expected = [...content.keys()].filter((each) => isSelected(selected, each)).sort();
        expect(entriesIn(cursorOf(content, selected, createObjects())).map((entry) => entry.path)).toEqual(expected);
      },
    ),
  );
  const objects = createObjects();
  const content = contentOf(
    Object.fromEntries(NAMES.map((name) => [name, name === 'a' || name === 'a/b' ? '-' : 'A'])),
  );
  entriesIn(cursorOf(content, [treePathFromText('zz')], objects));
  expect(objects.loaded).toHaveLength(1);
});
