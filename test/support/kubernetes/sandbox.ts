/** A pod's folder: a real one for each of its volumes, and what stands for the paths at which containers see them. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Container, Pod, Volume } from './objects.ts';
import type { Store } from './store.ts';

export interface Sandbox {
  readonly folder: string;
  /** Makes a container's view: where its mount paths really are, its working folder, and the file for its termination message. */
  enter(container: Container, restart: number): View;
  remove(): void;
}

export interface View {
  readonly workingDir: string;
  readonly terminationLog: string;
  /** A text with the mount paths in it replaced. */
  map(text: string): string;
}

interface Mapping {
  readonly from: string;
  readonly to: string;
}

/** Why a volume cannot be mounted yet. */
export class MountError extends Error {}

/** Makes the volumes of a pod. Throws a MountError for a ConfigMap or Secret that is not there. */
export function openSandbox(pod: Pod, { store, root }: { store: Store; root: string }): Sandbox {
  const { namespace = '', uid } = pod.metadata;
  const folder = join(root, 'pods', uid);
  // Of an earlier try, in which something was missing.
  rmSync(folder, { recursive: true, force: true });
  const volumes = new Map<string, string>();
  for (const volume of pod.spec.volumes ?? []) {
    volumes.set(
      volume.name,
      makeVolume(volume, { store, namespace, root, folder: join(folder, 'volumes', volume.name) }),
    );
  }
  return {
    folder,
    enter(container, restart) {
      const mappings = (container.volumeMounts ?? []).map(({ name, mountPath, subPath = '' }): Mapping => {
        const to = join(volumes.get(name) ?? '', subPath);
        // The kubelet makes the folder of a subPath that is not there.
        if (subPath !== '') mkdirSync(to, { recursive: true });
        return { from: mountPath.replace(/(?<=.)\/+$/, ''), to };
      });
      const terminationLog = join(folder, 'termination', `${container.name}-${restart}`);
      mkdirSync(dirname(terminationLog), { recursive: true });
      writeFileSync(terminationLog, '');
      mappings.push({ from: container.terminationMessagePath ?? '/dev/termination-log', to: terminationLog });
      const map = pathMapper(mappings);
      const given = map(container.workingDir ?? '');
      const workingDir = given === '' || given === container.workingDir ? join(folder, 'root', container.name) : given;
      mkdirSync(workingDir, { recursive: true });
      return { workingDir, terminationLog, map };
    },
    remove() {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Replaces paths in texts, the longest first, and only where a path begins and a name in it ends. */
function pathMapper(mappings: readonly Mapping[]): (text: string) => string {
  const targets = new Map(mappings.map(({ from, to }) => [from, to]));
  if (targets.size === 0) return (text) => text;
  const longestFirst = [...targets.keys()].sort((a, b) => b.length - a.length);
  const escaped = longestFirst.map((from) => from.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const pattern = new RegExp(`(?<![\\w./-])(?:${escaped.join('|')})(?![\\w.-])`, 'g');
  return (text) => text.replaceAll(pattern, (found) => targets.get(found) ?? found);
}

function makeVolume(
  volume: Volume,
  { store, namespace, root, folder }: { store: Store; namespace: string; root: string; folder: string },
): string {
  const { configMap, secret, persistentVolumeClaim } = volume;
  if (persistentVolumeClaim !== undefined) {
    const claim = join(root, 'claims', namespace, persistentVolumeClaim.claimName);
    mkdirSync(claim, { recursive: true });
    return claim;
  }
  mkdirSync(folder, { recursive: true });
  if (configMap !== undefined) {
    const found = store.get({ resource: 'configmaps', namespace, name: configMap.name });
    if (found === undefined && configMap.optional !== true) {
      throw new MountError(
        `MountVolume.SetUp failed for volume "${volume.name}" : configmap "${configMap.name}" not found`,
      );
    }
    const binary = Object.entries(found?.binaryData ?? {}).map(
      ([key, value]) => [key, Buffer.from(value, 'base64')] as const,
    );
    writeKeys(
      folder,
      new Map<string, string | Buffer>([...Object.entries(found?.data ?? {}), ...binary]),
      configMap.items,
    );
  }
  if (secret !== undefined) {
    const found = store.get({ resource: 'secrets', namespace, name: secret.secretName });
    if (found === undefined && secret.optional !== true) {
      throw new MountError(
        `MountVolume.SetUp failed for volume "${volume.name}" : secret "${secret.secretName}" not found`,
      );
    }
    const entries = Object.entries(found?.data ?? {}).map(
      ([key, value]) => [key, Buffer.from(value, 'base64')] as const,
    );
    writeKeys(folder, new Map(entries), secret.items);
  }
  return folder;
}

/** As the kubelet's atomic writer does: every file is a link through a folder that is a link itself. */
function writeKeys(
  folder: string,
  contents: ReadonlyMap<string, string | Buffer>,
  items: readonly { key: string; path: string }[] = [...contents.keys()].map((key) => ({ key, path: key })),
): void {
  const real = '..2026_01_01_00_00_00.000000001';
  // An earlier try of this pod may have got as far as this, and no further.
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, real), { recursive: true });
  symlinkSync(real, join(folder, '..data'));
  for (const { key, path } of items) {
    const content = contents.get(key);
    if (content === undefined) throw new MountError(`references non-existent config key: ${key}`);
    const file = join(folder, real, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content, { mode: 0o444 });
    const [top = ''] = path.split('/');
    const link = join(folder, top);
    try {
      symlinkSync(join('..data', top), link);
    } catch (error) {
      // Two items may be in one folder.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}
