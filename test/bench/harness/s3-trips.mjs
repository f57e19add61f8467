// Pushes and fetches of the same data with each tool, each time to a server that is new and empty. What comes back is compared.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { settle } from './disks.mjs';
import { hermeticEnv, mlv, MLV, run as runCommand } from './processes.mjs';
import { commitAll, git, makeRepository, requireSame } from './repositories.mjs';
import { BUCKET, s3Env, startDelay } from './s3-servers.mjs';

/** A repository whose `data` is in the cache and committed: hashing belongs to adding, so it is in nobody's figures. */
export async function makeSource(folder, write) {
  const repo = await makeRepository(join(folder, 'repo'));
  write(join(repo, 'data'));
  const env = hermeticEnv(folder);
  await mlv(repo, ['add', 'data'], env);
  await mlv(repo, ['remote', 'add', '-d', 'store', `s3://${BUCKET}/team`], env);
  commitAll(repo, 'data');
  return repo;
}

/**
 * Starts a server on a new disk, and calls `visit` with a new disk to arrive at: `folder`, `env`, and `timed`, which runs a
 * command while nothing else is being written. `freshDisk()` makes the disks; `delayMs`, if any, is the way to the server.
 */
export async function withServer({ server, freshDisk, delayMs }, visit) {
  const [store, target] = [freshDisk(), freshDisk()];
  const running = await server.start(store.folder);
  const delay = delayMs === undefined ? undefined : await startDelay(running.endpoint, delayMs);
  const env = { ...hermeticEnv(target.folder), ...s3Env((delay ?? running).endpoint) };
  const timed = async (name, command, args, cwd) => {
    settle(store.folder);
    settle(target.folder);
    return { name, ...(await runCommand(command, args, { cwd, env, memory: true })) };
  };
  try {
    return await visit({ folder: target.folder, env, timed, counts: running.counts });
  } finally {
    await delay?.close();
    await running.close();
    target.close();
    store.close();
  }
}

/** Push, then fetch into the empty cache of a clone; with `andPull`, pull into another clone, and what `cp -r` of the data takes. */
export async function tripOfMlv({ folder, env, timed }, repo, { andPull = false } = {}) {
  const data = join(repo, 'data');
  // The source has sent nothing yet, however often it did: it knows nothing of this server.
  rmSync(join(repo, '.git/mlv/remotes'), { recursive: true, force: true });
  const call = (name, args, cwd) => timed(name, process.execPath, [MLV, ...args], cwd);
  settle(repo, data, join(repo, '.git/mlv/cache'));
  const measured = [await call('mlv push', ['push'], repo)];
  const clone = join(folder, 'clone');
  git(folder, 'clone', '--quiet', repo, clone);
  measured.push(await call('mlv fetch', ['fetch'], clone));
  if (andPull) {
    const other = join(folder, 'other');
    git(folder, 'clone', '--quiet', repo, other);
    measured.push(await call('mlv pull', ['pull'], other));
    requireSame(data, join(other, 'data'));
    measured.push(await timed('cp -r', 'cp', ['-r', data, 'copy'], folder));
  }
  await mlv(clone, ['checkout'], env);
  requireSame(data, join(clone, 'data'));
  return measured.map(({ peak, ...rest }) => (rest.name.startsWith('mlv') ? { ...rest, peak } : rest));
}

/** The same with s5cmd, as it comes; with `andFlush`, what comes is also made durable, as mlv does. */
export async function tripOfS5cmd({ folder, env, timed }, repo, program, { andFlush = false } = {}) {
  const data = join(repo, 'data');
  const arrived = join(folder, 'arrived');
  settle(repo, data);
  const call = (name, args) => timed(name, program, ['--log', 'error', ...args], folder);
  const up = await call('s5cmd cp, up', ['cp', `${data}/`, `s3://${BUCKET}/team/`]);
  const down = await call('s5cmd cp, down', ['cp', `s3://${BUCKET}/team/*`, `${arrived}/`]);
  const measured = [up, down].map(({ name, seconds }) => ({ name, seconds }));
  if (andFlush) {
    const { seconds } = await runCommand('sync', ['-f', folder], { cwd: folder, env });
    measured.push({ name: 's5cmd cp, down, and sync', seconds: down.seconds + seconds });
  }
  requireSame(data, arrived);
  return measured;
}

/** The same with DVC, from a repository of its own whose data is in its cache. */
export async function tripOfDvc({ folder, env, timed }, repo, program) {
  const data = join(repo, 'data');
  const clone = join(folder, 'clone');
  const call = (name, args, cwd) => timed(name, program, args, cwd);
  settle(repo, data, join(repo, '.dvc/cache'));
  const push = await call('dvc push', ['push', '--quiet'], repo);
  git(folder, 'clone', '--quiet', repo, clone);
  const fetch = await call('dvc fetch', ['fetch', '--quiet'], clone);
  await runCommand(program, ['checkout', '--quiet'], { cwd: clone, env });
  requireSame(data, join(clone, 'data'));
  return [push, fetch].map(({ name, seconds }) => ({ name, seconds }));
}
