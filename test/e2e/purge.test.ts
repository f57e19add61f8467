import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manyFiles, readFolder, writeFiles } from '../support/folders.ts';
import type { MlvRig } from '../support/mlv.ts';
import { makeMlvRig } from '../support/mlv.ts';
import { shareProject } from '../support/shared-project.ts';
import { data, refusal, told } from '../support/told.ts';

let rig: MlvRig;
beforeAll(() => {
  rig = makeMlvRig();
});
afterAll(() => rig.dispose(), 120_000);

const FACE = 'a face that nobody may see any more';
const TODAY = new Date().toISOString().slice(0, 10);

/** The files below folders that have these bytes. */
function filesWith(bytes: string | Buffer, ...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(folder, { recursive: true })
      .map((name) => join(folder, String(name)))
      .filter((path) => statSync(path).isFile() && readFileSync(path).includes(bytes)),
  );
}

async function hashOf(root: string, path: string): Promise<string> {
  const text = readFileSync(join(root, `${path}.mlv`), 'utf8');
  return /hash: (b3:\S+)/.exec(text)?.[1] ?? '';
}

/** A project with a folder of many small files, one of which is to go, in two versions; both pushed. */
async function faces(name: string) {
  const project = await shareProject(
    rig,
    name,
    { ...manyFiles(100, 'data/'), 'data/face.jpg': FACE, 'data/copies/same.jpg': FACE },
    'data',
  );
  await project.version({ 'data/more.txt': 'more' }, 'data');
  await told(rig, project.root, ['push']);
  return project;
}

describe('purge', () => {
  test('takes a file out of workspace, cache and remote in all versions, and leaves all else', async () => {
    const { root, git, remote } = await faces('packed');
    const before = readFolder(root, ['.git']);
    expect(filesWith(FACE, join(root, '.git/mlv'), remote)).toHaveLength(2);
    expect(await refusal(rig, root, ['purge', 'data/face.jpg'])).toContain('nothing was purged: nobody is there');
    const shown = await told(rig, root, ['purge', '--dry-run', 'data/face.jpg']);
    expect(shown).toContain('    data/copies/same.jpg\n    data/face.jpg\n');
    expect(shown).toMatch(/^cache +1 blob \(35 B\) in 1 file {2}/m);
    expect(shown).toMatch(/^store +1 blob \(35 B\) in 1 file {2}/m);
    expect(readFolder(root, ['.git'])).toEqual(before);

    await told(rig, root, ['purge', '--yes', '--reason', 'consent withdrawn', 'data/face.jpg']);
    expect(filesWith(FACE, root, remote)).toEqual([]);
    expect(readFileSync(join(root, '.mlv/purged'), 'utf8')).toMatch(
      new RegExp(`^mlv-purged 0\n[0-9a-f]{64} ${TODAY} consent withdrawn\n$`),
    );
    expect(git('status', '--short')).toBe('A  .mlv/purged\nM  data.mlv');
    const after = readFolder(root, ['.git']);
    for (const path of ['.mlv/purged', 'data.mlv', 'data/face.jpg', 'data/copies/same.jpg']) {
      delete (before as Record<string, unknown>)[path];
      delete (after as Record<string, unknown>)[path];
    }
    expect(after).toEqual(before);
    expect(await told(rig, root, ['verify'])).toMatch(/^cache .* sound: /);
    expect(await told(rig, root, ['status'])).toMatch(/^1 path unchanged /);
    expect(await told(rig, root, ['purge', '--yes'])).toMatch(/^purged {2}1 content/);
    git('commit', '--quiet', '-m', 'purged');
    await told(rig, root, ['push']);
    expect(await told(rig, root, ['verify', '--remote'])).toMatch(/ sound: /);
  });
});
