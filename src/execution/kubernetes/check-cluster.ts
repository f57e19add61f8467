/** Examines the cluster of a profile, step by step as a stage would use it. What is wrong is reported, not thrown. */
import { MlvError } from '../../domain/errors.ts';
import type { GpuType, KubernetesProfile } from '../../domain/kubernetes-profile.ts';
import type { Stage, StageId } from '../../domain/pipeline.ts';
import { PIPELINE_FILE } from '../../domain/pipeline.ts';
import type { RepoPath } from '../../domain/repo-path.ts';
import { REPO_ROOT } from '../../domain/repo-path.ts';
import type { Workspace } from '../../workspace/open.ts';
import { readPipeline } from '../../workspace/pipeline.ts';
import type { KubernetesApi } from './api.ts';
import type { Check } from './check.ts';
import { checking, failed } from './check.ts';
import { checkAccess } from './check-access.ts';
import type { Drafted } from './check-namespace.ts';
import { checkNames, checkPolicy, checkQuotas } from './check-namespace.ts';
import { draftOf, needsOf, tooLarge } from './draft.ts';
import type { SeenNode } from './node-fit.ts';
import { nodeFit } from './node-fit.ts';
import { nodesOf, openApi, profileUnknown, reachableRemote } from './open-cluster.ts';
import { requireUnderstood } from './submit.ts';

export interface ClusterReport {
  readonly profile: string;
  /** In the order of what a stage would meet. */
  readonly checks: readonly Check[];
}

interface Examined {
  readonly workspace: Workspace;
  readonly profile: KubernetesProfile;
  /** Those that name it. */
  readonly stages: readonly Stage[];
  readonly signal: AbortSignal;
}

/** Somebody waits for the answer. */
const PATIENCE_MS = 5_000;

/**
 * Examines the profile of that name, or all that settings and stages name. Throws `kubernetes-profile-unknown` for what neither names,
 * `kubernetes-no-profile`, and what reading the pipeline does.
 */
export async function checkClusters(
  workspace: Workspace,
  {
    name,
    signal = new AbortController().signal,
  }: { readonly name?: string | undefined; readonly signal?: AbortSignal | undefined },
): Promise<readonly ClusterReport[]> {
  const { stages } = await readPipeline(workspace);
  const { kubernetes: profiles } = workspace.settings;
  const named = stages.flatMap(({ kubernetes }) => kubernetes ?? []);
  const all = [...new Set([...profiles.keys(), ...named])];
  if (name !== undefined && !all.includes(name))
    throw profileUnknown(
      workspace,
      name,
      `the settings have no profile ${JSON.stringify(name)}, and no stage names it`,
    );
  if (all.length === 0) {
    throw new MlvError({
      code: 'kubernetes-no-profile',
      kind: 'missing',
      message: 'the settings have no profile of a cluster',
      hint: 'Set what one needs, for one: mlv config kubernetes.NAME.namespace NAMESPACE',
    });
  }
  const reports: ClusterReport[] = [];
  for (const each of name === undefined ? all : [name]) {
    const users = stages.filter(({ kubernetes }) => kubernetes === each);
    const profile = profiles.get(each);
    const unknown = `the settings have no profile ${JSON.stringify(each)}, which ${users.map(({ id }) => `stage ${id}`).join(', ')} ${users.length === 1 ? 'names' : 'name'}`;
    const checks =
      profile === undefined
        ? [failed('profile', profileUnknown(workspace, each, unknown))]
        : await examine({ workspace, profile, stages: users, signal });
    reports.push({ profile: each, checks });
  }
  return reports;
}

async function examine(examined: Examined): Promise<readonly Check[]> {
  const { workspace, profile, stages, signal } = examined;
  const checks: Check[] = [...(await checking('remote', async () => [remoteCheck(workspace)]))];
  const drafts: Drafted[] = [];
  for (const stage of stages.length > 0 ? stages : [sampleStage(profile)]) {
    const found = await checking('stage', async () => {
      drafts.push({ stage, job: draftOf(stage, profile, workspace.environment) });
      return [];
    });
    checks.push(...found);
  }
  const warned: string[] = [];
  const onWarning = (text: string): void => void warned.push(text);
  let api: KubernetesApi;
  try {
    api = await openApi(workspace, profile, { onWarning, patienceMs: PATIENCE_MS });
  } catch (error) {
    if (!(error instanceof MlvError)) throw error;
    return [failed('context', error), ...checks];
  }
  try {
    const context: Check = { what: 'context', result: 'ok', message: `${api.context}, namespace ${api.namespace}` };
    const server = await checking('server', async () => [
      { what: 'server', result: 'ok', message: `Kubernetes ${await api.version({ signal })}` },
    ]);
    if (server.some(({ result }) => result === 'failed')) return [context, ...server, ...checks];
    return [
      context,
      ...server,
      ...(await checking('permissions', () => checkAccess(api, signal))),
      ...(await checkPolicy(api, stages, signal)),
      ...(await checkQuotas(api, drafts, signal)),
      ...(await checking('nodes', () => checkNodes(api, profile, drafts))),
      ...(await checkNames(api, { profile, stages, signal })),
      ...checks,
      ...(await checking('job', () => checkJob(api, drafts, signal))),
      ...[...new Set(warned)].map((message): Check => ({ what: 'server', result: 'warning', message })),
    ];
  } finally {
    api.close();
  }
}

function remoteCheck(workspace: Workspace): Check {
  const what = 'remote';
  const { name, settings } = reachableRemote(workspace);
  const host = settings.endpoint === undefined ? undefined : new URL(settings.endpoint).hostname;
  if (host === undefined || !/^(localhost|.*\.localhost|127\..*|\[::1\])$/.test(host))
    return { what, result: 'ok', message: `${name}, ${settings.url}${host === undefined ? '' : ` at ${host}`}` };
  return {
    what,
    result: 'failed',
    message: `remote ${name} is at ${host}, which for a pod is the pod itself`,
    hint: `Give it an address that the cluster knows: mlv remote modify ${name} endpoint URL`,
  };
}

async function checkNodes(
  api: KubernetesApi,
  { name, gpuTypes }: KubernetesProfile,
  drafts: readonly Drafted[],
): Promise<readonly Check[]> {
  const nodes = await nodesOf(api);
  if (nodes === undefined)
    return [
      {
        what: 'nodes',
        result: 'not known',
        message: 'you may not list nodes: whether they have what is asked for shows when a stage runs',
      },
    ];
  const large = drafts.flatMap(({ stage, job }): Check[] => {
    const { nearest, fitting, mayGrow } = nodeFit(needsOf(job), nodes);
    if (nearest === undefined || fitting.length > 0) return [];
    return [{ ...failed('nodes', tooLarge(stage, api, nearest)), ...(mayGrow && { result: 'warning' }) }];
  });
  const count = `${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`;
  return [
    ...(nodes.length === 0
      ? [
          {
            what: 'nodes',
            result: 'warning',
            message: 'there are none now',
            hint: 'A stage waits until there is one.',
          } as const,
        ]
      : large.length > 0
        ? large
        : [{ what: 'nodes', result: 'ok', message: `${count}, large enough for each stage` } as const]),
    ...[...gpuTypes].map(([type, gpu]) => gpuCheck(`kubernetes.${name}.gpuTypes.${type}`, type, { gpu, nodes })),
  ];
}

function gpuCheck(
  setting: string,
  type: string,
  { gpu, nodes }: { readonly gpu: GpuType; readonly nodes: readonly SeenNode[] },
): Check {
  const what = `gpu ${type}`;
  const needs = {
    amounts: new Map([[gpu.resource, 1]]),
    nodeSelector: Object.fromEntries(gpu.nodeSelector),
    tolerations: gpu.tolerations,
  };
  const { fitting, nearest, mayGrow } = nodeFit(needs, nodes);
  if (fitting.length > 0) {
    const gpus = fitting.reduce((sum, { status }) => sum + Number(status?.allocatable?.[gpu.resource] ?? 0), 0);
    return {
      what,
      result: 'ok',
      message: `${gpus} of ${gpu.resource} on ${fitting.map(({ metadata }) => metadata.name).join(', ')}`,
    };
  }
  const why = nearest === undefined ? '' : `: ${nearest.node} comes nearest, and has ${nearest.lacks.join(', ')}`;
  return {
    what,
    result: mayGrow || nearest === undefined ? 'warning' : 'failed',
    message: `no node has it${why}`,
    hint: `Correct ${setting}, unless nodes of it come when they are asked for: kubectl get nodes --show-labels`,
  };
}

async function checkJob(
  api: KubernetesApi,
  drafts: readonly Drafted[],
  signal: AbortSignal,
): Promise<readonly Check[]> {
  const [first] = drafts;
  if (first === undefined) return [];
  await requireUnderstood(api, first.job, signal);
  return [{ what: 'job', result: 'ok', message: 'the cluster would take one, and keep all that it says' }];
}

/** For profiles that no stage names yet. */
function sampleStage(profile: KubernetesProfile): Stage {
  return {
    id: 'sample' as StageId,
    name: 'sample',
    file: PIPELINE_FILE as RepoPath,
    line: 1,
    commands: ['true'],
    wdir: REPO_ROOT,
    deps: [],
    params: [],
    outs: [],
    env: [],
    tools: {},
    frozen: false,
    alwaysChanged: false,
    mutex: [],
    resources: { disk: profile.disk ?? SAMPLE_DISK },
    retries: 0,
    image: profile.image,
    kubernetes: profile.name,
  };
}

const SAMPLE_DISK = 1024 ** 3;
