/** The twin of the sample project in Python: what runs again for some kinds of change, where scikit-learn can be had. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { makeMlvRig } from '../support/mlv.ts';

const SAMPLE = fileURLToPath(new URL('../../fixtures/penguins-sklearn', import.meta.url));
const PENGUINS = fileURLToPath(new URL('../../node_modules/vega-datasets/data/penguins.json', import.meta.url));
/** Kept between runs. */
const VENV = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'mlv-test', 'scikit-learn');

const rig = makeMlvRig();
afterAll(() => rig.dispose());

/** Why scikit-learn cannot be had here; undefined where it is. */
function whyNotInstalled(): string | undefined {
  // It is 60 MB, which nobody expects of a test that was not asked for by name.
  if (process.env['MLV_PYTHON_SAMPLE'] !== 'install') return 'scikit-learn is for npm run test:python-sample';
  if (existsSync(join(VENV, 'installed'))) return undefined;
  try {
    execFileSync('python3', ['-m', 'venv', VENV], { stdio: 'pipe' });
    const install = ['install', '--quiet', '--disable-pip-version-check', 'scikit-learn'];
    execFileSync(join(VENV, 'bin/pip'), install, { stdio: 'pipe', timeout: 300_000 });
    writeFileSync(join(VENV, 'installed'), '');
    return undefined;
  } catch (error) {
    rmSync(VENV, { recursive: true, force: true });
    return `scikit-learn could not be installed: ${String(error).split('\n').at(-1)}`;
  }
}

const reason = whyNotInstalled();
if (reason !== undefined) console.log(`skipped: ${reason}`);

test.skipIf(reason !== undefined)(
  'reruns exactly what it should for each kind of change, in Python',
  { timeout: 300_000 },
  async () => {
    const { root, git } = await rig.project('python');
    const env = { PATH: [join(VENV, 'bin'), process.env['PATH']].join(delimiter), PYTHONDONTWRITEBYTECODE: '1' };
    const mlv = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await rig.mlv(root, ['--json', ...args], { env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return stdout;
    };
    const repro = async (): Promise<string[]> =>
      (await mlv('repro'))
        .trim()
        .split('\n')
        .slice(0, -1)
        .map((row) => JSON.parse(row) as { readonly stage: string; readonly type: string })
        .filter(({ type }) => type !== 'up-to-date')
        .map(({ stage, type }) => `${stage} ${type}`);
    const replace = (path: string, from: string, to: string): void => {
      const text = readFileSync(join(root, path), 'utf8');
      expect(text).toContain(from);
      writeFileSync(join(root, path), text.replace(from, to));
    };

    cpSync(SAMPLE, root, { recursive: true });
    cpSync(PENGUINS, join(root, 'data/penguins.json'));
    await mlv('add', 'data/penguins.json');
    const all = ['prepare', 'features', 'train@forest', 'train@nearest', 'evaluate'].map((stage) => `${stage} ran`);
    const found: Record<string, readonly string[]> = { 'the first time': await repro() };
    git('add', '--all');
    git('commit', '--quiet', '--message', 'the first models');
    const after = async (what: string, change: () => void): Promise<void> => {
      change();
      found[what] = await repro();
    };
    await after('nothing', () => {});
    await after('a parameter of one model', () => replace('params.yaml', 'n_neighbors: 5', 'n_neighbors: 7'));
    await after('the same, back', () => replace('params.yaml', 'n_neighbors: 7', 'n_neighbors: 5'));
    await after('code to no effect', () => replace('src/prepare.py', 'import json', '# read by all\nimport json'));
    await after('an output deleted', () => rmSync(join(root, 'models/forest.pickle')));
    await after('how data is split', () => replace('params.yaml', 'seed: 7', 'seed: 8'));
    await after('data', () => replace('data/penguins.json', '39.1', '41.1'));
    expect(found).toEqual({
      'the first time': all,
      nothing: [],
      'a parameter of one model': ['train@nearest ran', 'evaluate ran'],
      'the same, back': ['train@nearest restored', 'evaluate restored'],
      'code to no effect': ['prepare ran'],
      'an output deleted': ['train@forest restored'],
      'how data is split': all.slice(1),
      data: all,
    });
  },
);
