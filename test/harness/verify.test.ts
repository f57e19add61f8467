import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manyFiles, writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose(), 120_000);

interface Verified {
  readonly clean: boolean;
  readonly problems: readonly { kind: string; where: string; reason: string; paths: string[]; blobs: number }[];
  readonly missing: readonly { path: string; files: number }[];
  readonly missingFiles: number;
  readonly notInCache: number;
  readonly sides: readonly { side: string; bytes: number; unindexed: number }[];
  readonly repaired: readonly { restored: number; lost: { path: string }[]; setAside: string[]; reindexed: number }[];
  readonly seed?: number;
}

/** The exit code says the same as the result. */
async function verify(root: string, ...args: string[]): Promise<Verified> {
  const { code, stdout } = await rig.mlv(root, ['--json', 'verify', ...args]);
  const result = JSON.parse(stdout) as Verified;
  expect(code).toBe(result.clean ? 0 : 1);
  return result;
}

async function textOf(root: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await rig.mlv(root, ['--no-progress', 'verify', ...args]);
  expect(stderr).toBe('');
  return stdout;
}

/** Changes a byte of the first file that holds the text. */
function damage(folder: string, text: string): string {
  for (const name of readdirSync(folder, { recursive: true })) {
    const path = join(folder, String(name));
    const bytes = statSync(path).isFile() ? readFileSync(path) : Buffer.alloc(0);
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    chmodSync(path, 0o644);
    bytes.writeUInt8(bytes.readUInt8(at) ^ 0xff, at);
    writeFileSync(path, bytes);
    return path;
  }
  throw new Error(`nothing in ${folder} holds ${text}`);
}

const files = { ...manyFiles(200, 'data/'), 'data/precious': 'the precious bytes', model: 'the model' };

describe('what is whole', () => {
  test('is said to be, in a line for each side, and nothing is written', async () => {
    const { root, remote } = await shareProject(rig, 'whole', files, 'data', 'model');
    await told(rig, root, ['push']);
    expect(await told(rig, root, ['verify'])).toMatch(
      /^cache {2}\S+\/cache {2}sound: 1 pack, 3 blobs in files of their own, 1 index, [\d.]+ kB read\n$/,
    );
    expect(await told(rig, root, ['verify', '--remote'])).toMatch(
      /^store {2}\S+\/whole-store {2}sound: 204 rows, 2 packs and objects, 1 index, [\d.]+ kB read\n$/,
    );
    expect(await told(rig, root, ['verify', '--quick'])).toBe(
      `store  ${remote}  complete: 204 rows, 2 packs and objects, 1 index, no data read\n`,
    );
    expect(existsSync(join(root, '.git/mlv/damaged'))).toBe(false);
    expect(await verify(root, '--repair')).toMatchObject({ clean: true, repaired: [] });
    expect(await verify(root, '--remote', '--repair')).toMatchObject({ clean: true, repaired: [] });
  });

  test('may be elsewhere, as far as nobody asked for it here', async () => {
    const project = await shareProject(rig, 'elsewhere', files, 'data', 'model');
    await told(rig, project.root, ['push']);
    const { root } = project.clone('elsewhere-clone');
    expect(await verify(root)).toMatchObject({ clean: true, missing: [], notInCache: 202 });
    expect(await verify(root, 'data')).toMatchObject({ clean: false, missing: [{ path: 'data', files: 201 }] });
    await told(rig, root, ['pull', 'data/precious']);
    expect(await verify(root)).toMatchObject({ clean: true, notInCache: 201 });
    expect(await verify(root, 'data/precious')).toMatchObject({ clean: true, notInCache: 0 });
    expect(await verify(root, '--rev', 'HEAD')).toMatchObject({ clean: false, missingFiles: 201 });
    await told(rig, root, ['fetch']);
    expect(await verify(root, '--rev', 'HEAD')).toMatchObject({ clean: true, notInCache: 0 });
  });
});

describe('a CI job asks whether everything was pushed', () => {
  test('and learns what was not, without any data', async () => {
    const project = await shareProject(rig, 'ci', files, 'data', 'model');
    await told(rig, project.root, ['push']);
    const pushed = project.git('rev-parse', 'HEAD');
    await project.version({ 'data/new': 'n', 'data/newer': 'n2', model: 'the next model' }, 'data', 'model');
    const { root } = project;
    expect(await verify(root, '--quick', '--rev', pushed)).toMatchObject({ clean: true, missing: [] });
    const result = await verify(root, '--quick', '--rev', 'HEAD');
    const short = project.git('rev-parse', 'HEAD').slice(0, 10);
    expect(result).toMatchObject({ clean: false, missingFiles: 3 });
    expect(result.missing.map(({ path }) => path).sort()).toEqual([
      `data (as of ${short})/new`,
      `data (as of ${short})/newer`,
      `model (as of ${short})`,
    ]);
    expect(await textOf(root, '--quick')).toContain(
      'missing: 3 files that should be in store\n  data/new\n  data/newer\n  model\n\nhint: Push it from the clone that has it: mlv push\n',
    );
    // A clone has neither the tree nor a git program.
    const clone = project.clone('ci-clone').root;
    const env = { PATH: join(rig.folder, 'home') };
    const { code, stdout } = await rig.mlv(clone, ['--json', 'verify', '--quick', '--rev', 'HEAD'], { env });
    expect([code, (JSON.parse(stdout) as Verified).missing.map(({ files: count }) => count)]).toEqual([
      1,
      [202 + 1, 1],
    ]);
    await told(rig, root, ['push']);
    expect(await told(rig, clone, ['verify', '--quick', '--rev', 'HEAD'], { env })).toContain('complete');
    expect(existsSync(join(clone, '.git/mlv/cache/b3'))).toBe(false);
  });
});

describe('damage of the cache', () => {
  test('is told with the paths that it hits, and mended from the workspace where there is no remote', async () => {
    const repository = await rig.project('local');
    const { root } = repository;
    writeFiles(root, files);
    await told(rig, root, ['add', 'data', 'model']);
    const pack = damage(join(root, '.git/mlv/cache/packs'), 'the precious');
    const loose = damage(join(root, '.git/mlv/cache/b3'), 'the model');
    const text = await textOf(root);
    expect(text).toContain(
      `damaged: pack ${pack}\n  1 of its blobs is not what its digest says\n  hits data/precious\n`,
    );
    expect(text).toContain(`damaged: blob ${loose}\n  its bytes are not what its name says\n  hits model\n`);
    expect(text).toContain('hint: "mlv verify --repair" mends it');
    expect(await verify(root, '--repair')).toMatchObject({ clean: true, repaired: [{ restored: 2, lost: [] }] });
    expect(await verify(root)).toMatchObject({ clean: true, problems: [] });
    rmSync(join(root, 'data'), { recursive: true });
    await told(rig, root, ['checkout', 'data']);
    expect(readFileSync(join(root, 'data/precious'), 'utf8')).toBe('the precious bytes');
    const day = readdirSync(join(root, '.git/mlv/damaged'))[0] ?? '';
    expect(readdirSync(join(root, '.git/mlv/damaged', day))).toHaveLength(2);
  });

  test('that nothing can mend is listed; the rest is mended, and the next run finds it missing', async () => {
    const { root } = await shareProject(rig, 'lost', files, 'data', 'model');
    damage(join(root, '.git/mlv/cache/packs'), 'the precious');
    writeFileSync(join(root, 'data/precious'), 'edited');
    const result = await verify(root, '--repair');
    expect(result).toMatchObject({ clean: false, repaired: [{ restored: 0, lost: [{ path: 'data/precious' }] }] });
    expect(await verify(root)).toMatchObject({ clean: false, problems: [], missing: [{ path: 'data/precious' }] });
    writeFileSync(join(root, 'data/precious'), 'the precious bytes');
    expect(await verify(root, '--repair')).toMatchObject({ clean: true, repaired: [{ restored: 1 }] });
    expect(await verify(root)).toMatchObject({ clean: true });
  });

  test('of pointers and records is told, with what to do', async () => {
    const { root } = await shareProject(rig, 'records', files, 'data', 'model');
    writeFileSync(join(root, 'model.mlv'), 'version: 1\ntype: fil');
    const [record = ''] = readdirSync(join(root, '.git/mlv/checkout'))
      .map((name) => join(root, '.git/mlv/checkout', name))
      .filter((path) => readFileSync(path, 'utf8').includes('"data"'));
    writeFileSync(record, '{"version":1,"pa');
    const { problems, clean } = await verify(root);
    expect([clean, problems.map(({ kind, paths }) => [kind, paths])]).toEqual([
      false,
      [
        ['pointer', ['model']],
        ['checkout-record', ['data']],
      ],
    ]);
    const text = await textOf(root, '--repair');
    expect(text).toContain('  Take it back from Git: git restore model.mlv\n');
    expect(text).toContain('  Delete that file: mlv then takes nothing for granted');
  });
});

describe('damage of a remote', () => {
  test('that nothing can mend keeps the rest within reach, until somebody pushes what is lost', async () => {
    const project = await shareProject(rig, 'remote-lost', files, 'data', 'model');
    const { root, remote } = project;
    await told(rig, root, ['push']);
    const owner = project.clone('remote-lost-owner').root;
    await told(rig, owner, ['pull']);
    damage(join(remote, 'packs'), 'the precious');
    const poor = project.clone('remote-lost-poor').root;
    const found = await verify(poor, '--remote');
    expect(found.problems).toMatchObject([{ kind: 'pack', blobs: 1, paths: ['data/precious'] }]);
    const result = await verify(poor, '--remote', '--repair');
    expect(result.repaired).toMatchObject([{ restored: 0, lost: [{ path: 'data/precious' }] }]);
    // Now it is known to be incomplete, and nothing is damaged any more.
    const after = await verify(poor, '--remote');
    expect(after).toMatchObject({ clean: false, problems: [], missing: [{ path: 'data/precious' }] });
    const { code } = await rig.mlv(poor, ['fetch']);
    expect(code).toBe(1);
    expect((await verify(poor, 'data')).missing).toMatchObject([{ path: 'data/precious' }]);

    await told(rig, owner, ['push', 'data']);
    expect(await verify(poor, '--remote')).toMatchObject({ clean: true });
    await told(rig, poor, ['pull']);
    expect(readFileSync(join(poor, 'data/precious'), 'utf8')).toBe('the precious bytes');
  });

  test('is found in a share of it, the same for the same seed', async () => {
    const { root } = await shareProject(rig, 'percent', files, 'data', 'model');
    await told(rig, root, ['push']);
    for (let version = 0; version < 6; version++) {
      writeFileSync(join(root, 'model'), `model ${version}`.repeat(1000));
      await told(rig, root, ['add', 'model']);
      await told(rig, root, ['push', 'model']);
    }
    const first = await verify(root, '--remote', '--percent', '50');
    expect(first.seed).toBeGreaterThan(0);
    const again = await verify(root, '--remote', '--percent', '50', '--seed', String(first.seed));
    expect(again.sides).toEqual(first.sides);
    const shares = new Set<number>();
    for (let seed = 1; seed < 6; seed++) {
      const { sides } = await verify(root, '--remote', '--percent', '50', '--seed', String(seed));
      shares.add(sides[0]?.bytes ?? 0);
    }
    expect(shares.size).toBeGreaterThan(1);
  });
});

test.each([
  [['--quick', '--repair'], '--quick reads no data'],
  [['--percent', '5'], '--percent is for remotes'],
  [['--remote', '--percent', '200'], '--percent needs a number from 1 to 100'],
  [['--seed', '5'], '--seed repeats the choice of --percent'],
])('refuses %s', async (args, message) => {
  const { root } = await rig.project(`usage${args.join('')}`);
  expect(await refusal(rig, root, ['verify', ...args], { code: 2 })).toContain(message);
});
