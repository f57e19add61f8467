/** What must hold after a power loss, and after the same command has been run again. */
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { MlvResult, MlvRig } from '../../support/mlv.ts';
import { isTakenAway, lostEdits, recordedSince, recordsIn, wrongLock } from '../kill/pipeline-scenes.ts';
import { type State, stateOf } from '../kill/workspace-state.ts';
import type { Scene } from './scenes.ts';

/** What a project looks like before the command, or after one that nothing happened to. */
export interface Look {
  readonly folder: string;
  /** Pointers, settings, lock and ignore files, by path. */
  readonly texts: State;
  /** Everything else in the work tree. */
  readonly data: State;
}

export function lookAt(folder: string): Look {
  const root = join(folder, 'project');
  const texts: Record<string, string> = {};
  const walk = (path: string): void => {
    for (const entry of readdirSync(join(root, path), { withFileTypes: true })) {
      const inside = path === '' ? entry.name : `${path}/${entry.name}`;
      if (inside === '.git' || entry.name.startsWith('.mlv-tmp-')) continue;
      if (entry.isDirectory()) walk(inside);
      else if (isText(inside)) texts[inside] = readFileSync(join(root, inside), 'utf8');
    }
  };
  walk('');
  const own = join(root, '.git/mlv/config.yaml');
  if (existsSync(own)) texts['.git/mlv/config.yaml'] = readFileSync(own, 'utf8');
  const all = stateOf(
    root,
    readdirSync(root).filter((name) => name !== '.git' && name !== '.mlv'),
  );
  const isData = ([path, what]: [string, string]): boolean =>
    !isText(path) && what !== 'empty' && !basename(path).startsWith('.mlv-tmp-');
  const data = Object.entries(all)
    .filter(isData)
    .map(([path, what]) => [path, what.replace(folder, '')] as const);
  return { folder, texts, data: Object.fromEntries(data) };
}

function isText(path: string): boolean {
  return path.endsWith('.mlv') || path.startsWith('.mlv/') || ['.gitignore', LOCK].includes(basename(path));
}

const LOCK = 'mlv.lock';

export interface Case {
  readonly rig: MlvRig;
  readonly scene: Scene;
  readonly before: Look;
  readonly after: Look;
  /** The folder that holds the state. */
  readonly folder: string;
  /** The command had ended, and told that it was done. */
  readonly hasEnded: boolean;
}

/** Undefined, or what is wrong. */
export async function whatIsWrong(given: Case): Promise<string | undefined> {
  try {
    await check(given);
    return undefined;
  } catch (error) {
    if (error instanceof Wrong) return error.message;
    throw error;
  }
}

class Wrong extends Error {}

async function check({ rig, scene, before, after, folder, hasEnded }: Case): Promise<void> {
  const root = join(folder, 'project');
  const mlv = (...args: string[]): Promise<MlvResult> => rig.mlv(root, ['--no-progress', ...args]);
  const must = async (what: string, ...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await mlv(...args);
    if (code !== 0) throw new Wrong(`${what}: mlv ${args.join(' ')} exits with ${code}: ${stdout}${stderr}`);
    return stdout;
  };

  const found = lookAt(folder);
  checkTexts(found, before, after, hasEnded);
  checkData(found, { scene, before, after });
  if (hasEnded && scene.damaged === 'cache') checkDamageKept(folder, after.folder);
  if (scene.name === 'init' && found.texts['.mlv/config.yaml'] === undefined) {
    if (hasEnded) throw new Wrong('the project is gone');
  } else await checkBytes(given(), 'after the loss');
  await checkPipeline(given(), 'after the loss');
  const isAsked = scene.damaged === undefined && scene.name !== 'init';
  const status = isAsked ? await must('after the loss', '--json', 'status') : '{"items":[]}';
  const { items } = JSON.parse(status) as { items: { path: string; unfinishedCheckout: boolean }[] };
  const unfinished = items.filter(({ unfinishedCheckout }) => unfinishedCheckout).map(({ path }) => path);

  const { code, stdout, stderr } = await mlv(...scene.args);
  if (code !== 0 && !(scene.isDone?.test(stderr) === true))
    throw new Wrong(`run again: mlv ${scene.args.join(' ')} exits with ${code}: ${stdout}${stderr}`);

  const finished = lookAt(folder);
  // Between removing a pointer and its line: what is not tracked any more is not looked at again.
  const mayStay = (path: string, text: string | undefined): boolean =>
    code !== 0 && basename(path) === '.gitignore' && text === before.texts[path];
  for (const path of new Set([...Object.keys(after.texts), ...Object.keys(finished.texts)])) {
    const text = finished.texts[path];
    if (text !== after.texts[path] && !mayStay(path, text))
      throw new Wrong(`run again: ${path} is not as it should be`);
  }
  for (const path of new Set([...Object.keys(after.data), ...Object.keys(finished.data)])) {
    if (finished.data[path] === after.data[path]) continue;
    // What a finished checkout wrote is told as an edit; see "Power loss" in docs/operations.md.
    const isUnfinished = unfinished.some((each) => path === each || path.startsWith(`${each}/`));
    const isReplaced =
      before.data[path] !== after.data[path] && isReplaceable(path, { found: finished, before, after });
    if (scene.checksOut === true && !isUnfinished && isReplaced) continue;
    throw new Wrong(`run again: ${path} is ${finished.data[path] ?? 'gone'}, not ${after.data[path] ?? 'nothing'}`);
  }
  await must('run again', 'verify', ...(scene.heldAfter ?? []));
  await checkPipeline(given(), 'run again');
  if (scene.sends === true) {
    await must('run again', 'verify', '--quick', ...QUICK);
    await must('run again', 'verify', '--remote', ...QUICK);
  }

  function given() {
    return { scene, must, mlv, hasEnded, before, after, folder };
  }
}

type Given = Pick<Case, 'scene' | 'before' | 'after' | 'folder' | 'hasEnded'> & {
  readonly must: (what: string, ...args: string[]) => Promise<string>;
  readonly mlv: (...args: string[]) => Promise<MlvResult>;
};

/** What somebody wrote is there, or in the cache; what stages have recorded is in the cache; results that are not whole do no harm. */
async function checkPipeline({ scene, must, before, after, folder }: Given, when: string): Promise<void> {
  if (scene.pipeline === undefined) return;
  const { edits, records } = scene.pipeline;
  const root = join(folder, 'project');
  const lost = await lostEdits(root, edits);
  if (lost.length > 0) throw new Wrong(`${when}: ${lost.join(', ')} is neither there nor in the cache`);
  const lock = join(root, LOCK);
  const recorded = recordedSince(before.texts[LOCK], existsSync(lock) ? readFileSync(lock, 'utf8') : undefined);
  if (recorded.length > 0) await must(when, 'verify', ...recorded);
  const place = records === 'sent' ? 'store/runs' : 'project/.git/mlv/runs';
  const [found, wanted] = [folder, after.folder].map((each) => recordsIn(join(each, place)));
  // Those that are not whole do no harm.
  if (when !== 'run again' && recordsIn(join(root, '.git/mlv/runs')).others.length > 0)
    for (const args of [
      ['run-cache', 'list'],
      ['gc', '--dry-run'],
    ])
      await must(when, ...args);
  if (records === 'sent' && found !== undefined && found.others.length > 0)
    throw new Wrong(`${when}: the remote has ${found.others.join(', ')}, which are no results`);
  // Of results that are taken from a remote none is missing for good.
  if (records === undefined || when !== 'run again') return;
  if (JSON.stringify(found?.whole) !== JSON.stringify(wanted?.whole))
    throw new Wrong(`${when}: results are ${String(found?.whole)}, not ${String(wanted?.whole)}`);
}

const QUICK = ['--all-tags'];

function checkTexts(found: Look, before: Look, after: Look, hasEnded: boolean): void {
  for (const path of new Set([
    ...Object.keys(before.texts),
    ...Object.keys(after.texts),
    ...Object.keys(found.texts),
  ])) {
    const [was, is, will] = [before.texts[path], found.texts[path], after.texts[path]];
    if (path === LOCK) {
      const wrong = wrongLock(is, [was, will]);
      if (wrong !== undefined) throw new Wrong(`${path} is torn: ${wrong}`);
    } else if (is !== was && is !== will) throw new Wrong(`${path} is torn: ${JSON.stringify(is)}`);
    if (hasEnded && is !== will) throw new Wrong(`${path} was told to be written, or removed, and is not`);
  }
}

/** Nothing that the command leaves alone has changed, and nothing that only the workspace has is gone. */
function checkData(found: Look, { scene, before, after }: Pick<Case, 'scene' | 'before' | 'after'>): void {
  if (scene.moves === true) {
    const same = (a: State, b: State): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
    if (!same(found.data, before.data) && !same(found.data, after.data))
      throw new Wrong('what was moved is at neither place');
    return;
  }
  for (const path of new Set([...Object.keys(before.data), ...Object.keys(after.data), ...Object.keys(found.data)])) {
    if (
      found.data[path] === before.data[path] ||
      ((before.data[path] !== after.data[path] || (scene.pipeline !== undefined && isTakenAway(path))) &&
        isReplaceable(path, { found, before, after }))
    )
      continue;
    throw new Wrong(`${path} is ${found.data[path] ?? 'gone'}, and was ${before.data[path] ?? 'nothing'}`);
  }
}

function sorted(state: State): [string, string][] {
  return Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Whether it is old, new, not there, or of the new what was not lost, where that may be. */
function isReplaceable(path: string, { found, before, after }: { found: Look; before: Look; after: Look }): boolean {
  const is = found.data[path];
  if (is === undefined || is === before.data[path] || is === after.data[path]) return true;
  const [file, whole] = [found, after].map(({ folder }) => join(folder, 'project', path));
  if (file === undefined || whole === undefined || after.data[path] === undefined) return false;
  if (!lstatSync(file).isFile() || !lstatSync(whole).isFile()) return false;
  return isTorn(readFileSync(file), readFileSync(whole));
}

function isTorn(bytes: Buffer, whole: Buffer): boolean {
  return bytes.length <= whole.length && bytes.every((byte, at) => byte === 0 || byte === whole[at]);
}

/** What was set aside is there to be looked at. */
function checkDamageKept(folder: string, afterFolder: string): void {
  const [found, wanted] = [folder, afterFolder].map((each) => {
    const damaged = join(each, 'project/.git/mlv/damaged');
    return existsSync(damaged) ? readdirSync(damaged, { recursive: true }).map(String).sort() : [];
  });
  if (JSON.stringify(found) !== JSON.stringify(wanted))
    throw new Wrong(`set aside is ${String(found)}, not ${String(wanted)}`);
}

interface Verified {
  readonly clean: boolean;
  readonly problems: readonly unknown[];
  readonly missingFiles: number;
}

/** All that is named is there, and nothing that has a name is damaged. */
async function checkBytes(
  { scene, must, mlv, hasEnded }: Pick<Given, 'scene' | 'must' | 'mlv' | 'hasEnded'>,
  when: string,
): Promise<void> {
  if (scene.damaged !== 'cache' || hasEnded)
    await must(when, 'verify', ...((hasEnded ? scene.heldAfter : scene.held) ?? []));
  if (scene.sends !== true) return;
  if (hasEnded) {
    await must(when, 'verify', '--quick', ...QUICK);
    await must(when, 'verify', '--remote', ...QUICK);
    return;
  }
  if (scene.damaged !== undefined) return;
  const [quick, whole] = await Promise.all(
    ['--quick', '--remote'].map(async (how) => {
      const { stdout } = await mlv('--json', 'verify', how);
      const result = JSON.parse(stdout) as Verified | { readonly error: { readonly code: string } };
      return 'error' in result ? result.error.code : result;
    }),
  );
  if (quick === undefined || whole === undefined) return;
  // Before anything was written, there is no remote.
  if (typeof quick === 'string' || typeof whole === 'string') {
    if (quick !== 'no-remote' || whole !== 'no-remote')
      throw new Wrong(`${when}: the remote says ${JSON.stringify([quick, whole])}`);
  } else if (whole.problems.length > 0 || quick.clean !== whole.clean || quick.missingFiles !== whole.missingFiles)
    throw new Wrong(`${when}: the indexes of the remote say what is not true: ${JSON.stringify([quick, whole])}`);
}
