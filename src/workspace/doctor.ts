import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MlvError } from '../domain/errors.ts';
import { VERSION } from '../domain/version.ts';
import { gitVersion } from '../git/version.ts';
import type { DiskProbe } from '../platform/disk-probe.ts';
import { probeDisk } from '../platform/disk-probe.ts';
import { hashEngine } from '../platform/hash.ts';
import type { OpenOptions, SettingsFiles } from './open.ts';
import { findProject, isOnOneDisk, openWorkspace } from './open.ts';

export interface DoctorResult {
  readonly versions: { readonly mlv: string; readonly node: string; readonly platform: string };
  readonly hashing: 'native' | 'webassembly';
  readonly git: { readonly engine: 'git' | 'isomorphic-git'; readonly version: string | undefined };
  /** Undefined outside a project. */
  readonly project: ProjectReport | undefined;
  /** What stands in the way. */
  readonly problems: readonly { readonly code: string; readonly message: string; readonly hint: string | undefined }[];
}

export interface ProjectReport {
  readonly root: string;
  readonly gitDir: string | undefined;
  readonly isLinkedWorktree: boolean;
  readonly settings: readonly {
    readonly scope: keyof SettingsFiles;
    readonly file: string;
    readonly exists: boolean;
  }[];
  /** Undefined when the settings cannot be read. */
  readonly cache: CacheReport | undefined;
}

export interface CacheReport {
  readonly folder: string;
  /** Blobs below this many bytes are packed. */
  readonly packBelow: number;
  /** False where it is on another disk than the project, so that files can only be copied or linked by symlink. */
  readonly isOnProjectDisk: boolean;
  readonly disk: DiskProbe;
}

/** Finds out what mlv has to work with at `cwd`. What is wrong is reported, not thrown. */
export async function doctor(options: OpenOptions): Promise<DoctorResult> {
  const problems: MlvError[] = [];

  async function attempt<T>(run: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof MlvError)) throw error;
      problems.push(error);
      return undefined;
    }
  }

  const folders = await attempt(() => findProject(options.cwd, options.environment));
  const cache = folders === undefined ? undefined : await attempt(() => inspectCache(options));
  return {
    versions: { mlv: VERSION, node: process.versions.node, platform: `${process.platform} ${process.arch}` },
    hashing: hashEngine().name,
    git: await gitVersion(options.environment),
    project: folders && {
      root: folders.root,
      gitDir: folders.layout?.gitDir,
      isLinkedWorktree: folders.layout !== undefined && folders.layout.gitDir !== folders.layout.commonDir,
      settings: (['user', 'tracked', 'clone'] as const).map((scope) => {
        const file = folders.settingsFiles[scope];
        return { scope, file, exists: existsSync(file) };
      }),
      cache,
    },
    problems: problems.map(({ code, message, hint }) => ({ code, message, hint })),
  };
}

async function inspectCache(options: OpenOptions): Promise<CacheReport> {
  const workspace = await openWorkspace(options);
  try {
    const folder = workspace.cacheFolder;
    const disk = probeDisk(join(folder, 'tmp'));
    const packBelow = workspace.cache().packBelow();
    return { folder, packBelow, disk, isOnProjectDisk: isOnOneDisk(folder, workspace.root) };
  } finally {
    await workspace.close();
  }
}
