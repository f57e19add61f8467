/** What has to be there before a container can start: its image and its configuration; pkg/kubelet/images of 1.34. */
import { mkdirSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError, containerEnv, expand } from './container-env.ts';
import { type Image, imageIdOf, type Pulls } from './images.ts';
import type { Container, Pod } from './objects.ts';
import type { View } from './sandbox.ts';
import type { Store } from './store.ts';

export interface LaunchContext {
  readonly store: Store;
  readonly images: Pulls;
  /** Between two tries of what is missing; in a real cluster the kubelet's sync period, and longer and longer for images. */
  readonly retryMs: number;
  readonly serviceEnv: Readonly<Record<string, string>>;
}

export interface Launch {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly terminationLog: string;
  readonly imageID: string;
}

interface Found {
  readonly launch?: Launch;
  /** What the container waits for, one state after the other, where it cannot start. */
  readonly waiting: readonly { reason: string; message: string }[];
  readonly events: readonly { type: 'Normal' | 'Warning'; reason: string; message: string }[];
  readonly retryMs: number;
}

const MAX_BACKOFF_FACTOR = 30;

/** Tries once to make a container ready. */
export async function launchOf(
  pod: Pod,
  { container, view, tries }: { container: Container; view: View; tries: number },
  { store, images, retryMs, serviceEnv }: LaunchContext,
): Promise<Found> {
  const name = container.image;
  const pulling = { type: 'Normal', reason: 'Pulling', message: `Pulling image "${name}"` } as const;
  const pulled = images.pull(name);
  if ('error' in pulled) {
    const { error, reason } = pulled;
    if (reason === 'InvalidImageName') {
      const event = { type: 'Warning', reason: 'InspectFailed', message: error } as const;
      return { waiting: [{ reason, message: error }], events: [event], retryMs };
    }
    const backOff = `Back-off pulling image "${name}"`;
    return {
      waiting: [
        { reason: 'ErrImagePull', message: error },
        { reason: 'ImagePullBackOff', message: `${backOff}: ErrImagePull: ${error}` },
      ],
      events: [
        pulling,
        { type: 'Warning', reason: 'Failed', message: `Failed to pull image "${name}": ${error}` },
        { type: 'Warning', reason: 'Failed', message: 'Error: ErrImagePull' },
        { type: 'Normal', reason: 'BackOff', message: backOff },
        { type: 'Warning', reason: 'Failed', message: 'Error: ImagePullBackOff' },
      ],
      retryMs: retryMs * Math.min(2 ** tries, MAX_BACKOFF_FACTOR),
    };
  }
  const { image } = pulled;
  if (image.pullMs !== undefined && tries === 0) await sleep(image.pullMs);
  const present = {
    type: 'Normal',
    reason: 'Pulled',
    message: `Container image "${name}" already present on machine`,
  } as const;
  try {
    const launch = makeLaunch(pod, { container, view, image, store, serviceEnv });
    return { launch, waiting: [], events: [present], retryMs };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const waiting = [{ reason: 'CreateContainerConfigError', message: error.message }];
    return { waiting, events: [{ type: 'Warning', reason: 'Failed', message: `Error: ${error.message}` }], retryMs };
  }
}

function makeLaunch(
  pod: Pod,
  given: { container: Container; view: View; image: Image } & Pick<LaunchContext, 'store' | 'serviceEnv'>,
): Launch {
  const { container, view, image, store, serviceEnv } = given;
  const own = containerEnv(pod, container, store);
  const env: Record<string, string> = {};
  for (const [key, value] of Object.entries({ HOSTNAME: pod.metadata.name, ...serviceEnv, ...image.env, ...own }))
    env[key] = view.map(value);
  const programs = programsOf(image, join(dirname(view.terminationLog), '..', 'bin', container.name));
  env['PATH'] = [programs, own['PATH'] ?? image.env?.['PATH'] ?? '/usr/local/bin:/usr/bin:/bin'].join(delimiter);
  const { command = [...(image.entrypoint ?? ['/bin/sh'])], args = [] } = container;
  return {
    command: [...command, ...args].map((each) => view.map(expand(each, own))),
    env,
    workingDir: view.workingDir,
    terminationLog: view.terminationLog,
    imageID: imageIdOf(container.image, image),
  };
}

function programsOf({ commands = { node: process.execPath } }: Image, folder: string): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, target] of Object.entries(commands)) {
    try {
      symlinkSync(target, join(folder, name));
    } catch (error) {
      // A container that runs again finds them.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  return folder;
}
