/** A copy of a scene in which the command is killed, looked at, and run again. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repositoryAt } from '../../support/git.ts';
import type { MlvResult, MlvRig } from '../../support/mlv.ts';
import { OWNER } from '../../support/s3-server/rig.ts';
import type { S3Server } from '../../support/s3-server/server.ts';
import { told } from '../../support/told.ts';
import { fillBucket, type Scene } from './scenes.ts';

const execute = promisify(execFile);
/** Stands for a trial's own prefix. */
const PREFIX = 'prefix-of-trial';
const OTHER_TEXTS = ['mlv.lock', '.gitignore', 'other/.gitignore'];

export interface Stage {
  readonly rig: MlvRig;
  readonly server: S3Server;
  /** Both versions recorded, with what remotes may have at first; and below `pipeline`, of a pipeline. */
  readonly origin: string;
}

export interface Trial {
  readonly scene: Scene;
  readonly folder: string;
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  mlv(...args: string[]): Promise<MlvResult>;
  git(...args: string[]): string;
  /** Texts of the pointers that there are, and of lock and ignore files. */
  pointers(): Readonly<Record<string, string>>;
  /** A clone beside it, with nothing in its cache. */
  clone(): Promise<string>;
  dispose(): Promise<void>;
}

const originOf = ({ origin }: Stage, scene: Scene): string => (scene.of === 'data' ? origin : join(origin, scene.of));

/** Prepares a scene; what comes back is copied by `openTrial`. */
export async function prepareScene(stage: Stage, scene: Scene): Promise<string> {
  const { rig, server } = stage;
  const origin = originOf(stage, scene);
  const folder = join(rig.folder, `scene ${scene.name}`);
  mkdirSync(folder);
  await execute('cp', ['-a', join(origin, 'v2'), join(folder, 'store')]);
  const root = join(folder, 'project');
  await execute('git', ['clone', '--quiet', join(origin, 'project'), root], { env: rig.env });
  await scene.prepare(folder);
  rmSync(join(folder, 'store'), { recursive: true });
  // A remote that has less than at the last look would be another one.
  if (scene.remoteHas === 'nothing' || scene.remoteHas === 'v1')
    rmSync(join(root, '.git/mlv/remotes'), { recursive: true, force: true });
  if (scene.remote === 'folder') await execute('cp', ['-a', join(origin, scene.remoteHas), join(folder, 'store')]);
  else {
    await told(rig, root, ['remote', 'modify', '--local', 'store', 'url', `s3://data/${PREFIX}`]);
    await told(rig, root, ['config', '--local', 'remotes.store.endpoint', server.endpoint]);
  }
  return folder;
}

export async function openTrial(stage: Stage, scene: Scene, template: string, name: string): Promise<Trial> {
  const { rig, server } = stage;
  const origin = originOf(stage, scene);
  const folder = join(rig.folder, name);
  const root = join(folder, 'project');
  await execute('cp', ['-a', template, folder]);
  if (scene.remote === 'bucket') {
    const settings = join(root, '.git/mlv/config.yaml');
    writeFileSync(settings, readFileSync(settings, 'utf8').replace(PREFIX, name));
    await fillBucket(server.bucket(), name, join(origin, scene.remoteHas));
  }
  const env = {
    ...rig.env,
    AWS_ACCESS_KEY_ID: OWNER.accessKeyId,
    AWS_SECRET_ACCESS_KEY: OWNER.secretAccessKey,
    AWS_EC2_METADATA_DISABLED: 'true',
  };
  return {
    scene,
    folder,
    root,
    env,
    mlv: (...args) => rig.mlv(root, ['--no-progress', ...args], { env }),
    git: (...args) => repositoryAt(root).git(...args),
    pointers: () =>
      Object.fromEntries(
        [
          ...scene.names.map((each) => [each, join(root, `${each}.mlv`)] as const),
          ...OTHER_TEXTS.map((each) => [each, join(root, each)] as const),
        ]
          .filter(([, file]) => existsSync(file))
          .map(([each, file]) => [each, readFileSync(file, 'utf8')]),
      ),
    async clone() {
      const clone = join(folder, 'clone');
      await execute('git', ['clone', '--quiet', root, clone], { env: rig.env });
      if (scene.remote === 'bucket') await execute('cp', [join(root, '.git/mlv/config.yaml'), `${clone}.yaml`]);
      mkdirSync(join(clone, '.git/mlv'), { recursive: true });
      if (scene.remote === 'bucket') await execute('mv', [`${clone}.yaml`, join(clone, '.git/mlv/config.yaml')]);
      return clone;
    },
    async dispose() {
      await execute('rm', ['-rf', folder]);
      const bucket = server.bucket();
      for (const key of bucket.objects().keys()) if (key.startsWith(`${name}/`)) await bucket.delete(key);
    },
  };
}
