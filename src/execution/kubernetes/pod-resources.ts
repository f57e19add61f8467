/** What the containers of a stage ask of a cluster. */
import { MlvError } from '../../domain/errors.ts';
import type { GpuType, KubernetesProfile } from '../../domain/kubernetes-profile.ts';
import { nearestName } from '../../domain/nearest-name.ts';
import type { Stage } from '../../domain/pipeline.ts';
import type { Resources } from './objects.ts';

/** What fetch and push need: buffers of some 200 MiB beside Node. */
export const TRANSFER_RESOURCES: Resources = {
  requests: { cpu: '250m', memory: '1Gi' },
  limits: { memory: '1Gi' },
};

const ANY_GPU: GpuType = { resource: 'nvidia.com/gpu', nodeSelector: new Map(), tolerations: [] };

/**
 * Of the container that runs the commands. Memory and disk are granted as they are asked for: what may grow beyond is ended when others need
 * it. No limit for cores, which would slow it down where they stand idle.
 */
export function stageResources(stage: Stage, profile: KubernetesProfile): Resources {
  const { cpu = profile.cpu, memory = profile.memory } = stage.resources;
  const disk = profile.storageClass === undefined ? diskOf(stage, profile) : undefined;
  const gpus = gpusOf(stage, profile);
  const fixed = {
    ...(memory !== undefined && { memory: quantity(memory) }),
    ...(disk !== undefined && { 'ephemeral-storage': quantity(disk) }),
  };
  const requests = { ...(cpu !== undefined && { cpu: cores(cpu * profile.cpuScale) }), ...fixed };
  const limits = { ...fixed, ...(gpus !== undefined && { [gpus.type.resource]: String(gpus.count) }) };
  return {
    ...(Object.keys(requests).length > 0 && { requests }),
    ...(Object.keys(limits).length > 0 && { limits }),
  };
}

/** Bytes of disk that it needs; undefined where nobody said. */
export function diskOf(stage: Stage, profile: KubernetesProfile): number | undefined {
  return stage.resources.disk ?? profile.disk;
}

/** The GPUs that it needs, at least one; undefined for none. A type alone means one. Throws `gpu-type-unknown`. */
export function gpusOf(
  { id, file, line, resources }: Stage,
  profile: KubernetesProfile,
): { readonly count: number; readonly type: GpuType } | undefined {
  const { gpuType: name, gpu: count = name === undefined ? 0 : 1 } = resources;
  const type = name === undefined ? ANY_GPU : profile.gpuTypes.get(name);
  if (type === undefined) {
    const known = [...profile.gpuTypes.keys()];
    const near = nearestName(name ?? '', known);
    throw new MlvError({
      code: 'gpu-type-unknown',
      kind: 'missing',
      message: `stage ${id} asks for GPUs of type ${name}, which profile ${profile.name} does not know`,
      hint:
        near === undefined
          ? `It knows ${known.join(', ') || 'none'}. Correct ${file}, line ${line}, or tell of which nodes: mlv config kubernetes.${profile.name}.gpuTypes.${name}.nodeSelector KEY=VALUE`
          : `Did you mean ${near}? It is in ${file}, line ${line}.`,
    });
  }
  return count === 0 ? undefined : { count, type };
}

/** Bytes as Kubernetes writes them, the shortest way: `8Gi`, `50G`, `1500`. */
export function quantity(bytes: number): string {
  const [binary, decimal] = [
    inUnits(bytes, 1024, ['Ki', 'Mi', 'Gi', 'Ti']),
    inUnits(bytes, 1000, ['k', 'M', 'G', 'T']),
  ];
  return decimal.length < binary.length ? decimal : binary;
}

function inUnits(bytes: number, step: number, units: readonly string[]): string {
  let value = Math.ceil(bytes);
  let unit = '';
  for (const next of units) {
    if (value === 0 || value % step !== 0) break;
    value /= step;
    unit = next;
  }
  return `${value}${unit}`;
}

/** Cores in thousandths, at least one of these: `7600m`, `2`. */
function cores(count: number): string {
  const milli = Math.max(1, Math.round(count * 1000));
  return milli % 1000 === 0 ? String(milli / 1000) : `${milli}m`;
}
