/** The rights that docs/kubernetes.md asks for are enough to run stages, and none of them can be left out. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Rule } from '../support/kubernetes/access.ts';
import { unknownFields } from '../support/kubernetes/strict-schema.ts';
import { codeBlocks } from '../support/markdown.ts';
import type { ClusterProject } from '../execution/kubernetes/stage-rig.ts';
import { makeClusterProject, PIPELINE, TRAIN } from '../execution/kubernetes/stage-rig.ts';

interface Role {
  readonly rules: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

/** One verb of one resource. */
interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
}

const RIGHTS = roleOfPage().rules.flatMap(({ apiGroups, resources, verbs }) =>
  apiGroups.flatMap((group) =>
    resources.flatMap((resource) => verbs.map((verb): Right => ({ group, resource, verb }))),
  ),
);
/** Events are asked for every three seconds. */
const PATIENCE_MS = 8_000;

test('objects that the page shows are as Kubernetes has them', () => {
  expect(objectsOfPage().map((object) => [object.kind, unknownFields(object)])).toEqual([
    ['Role', []],
    ['RoleBinding', []],
    ['ServiceAccount', []],
    ['Namespace', []],
    ['PersistentVolumeClaim', []],
    ['NetworkPolicy', []],
  ]);
});

test('a stage is made, and what it prints is told, with these rights and not with one less', async () => {
  const project = await projectOf('mlv-stage');
  await project.run('repro', 'prepare');
  const { needed, isEnough } = await tryRights(project, made, (right) => !isForTrouble(right));
  expect(isEnough).toBe(true);
  expect(needed).toEqual(RIGHTS.filter((right) => !isForTrouble(right)));
});

test('why none is made is told, and the job ended, with these rights and not with one less', async () => {
  const project = await projectOf('nobody');
  await project.run('repro', 'prepare');
  const { needed, isEnough } = await tryRights(project, ended, isForTrouble);
  expect(isEnough).toBe(true);
  expect(needed).toEqual(RIGHTS.filter(isForTrouble));
});

function isForTrouble({ resource, verb }: Right): boolean {
  return resource === 'events' || verb === 'delete';
}

/** Whether it is done with all rights, and which of some it is not done without. */
async function tryRights(
  project: ClusterProject,
  isDone: (project: ClusterProject) => Promise<boolean>,
  isTried: (right: Right) => boolean,
): Promise<{ readonly needed: readonly Right[]; readonly isEnough: boolean }> {
  const { cluster } = project;
  const isDoneWith = async (rights: readonly Right[]): Promise<boolean> => {
    for (const resource of ['jobs', 'configmaps'] as const)
      for (const { metadata } of cluster.list(resource)) cluster.delete(resource, metadata.name);
    cluster.tokens.set('token', { user: 'ada', rules: rulesOf(rights) });
    return isDone(project);
  };
  const isEnough = await isDoneWith(RIGHTS);
  const needed: Right[] = [];
  for (const right of RIGHTS.filter(isTried))
    if (!(await isDoneWith(RIGHTS.filter((each) => each !== right)))) needed.push(right);
  return { needed, isEnough };
}

/** In which the cluster knows the service account `mlv-stage`. */
async function projectOf(serviceAccount: string): Promise<ClusterProject> {
  const files = { 'in.txt': 'a\n', 'train.sh': TRAIN };
  const project = await makeClusterProject(PIPELINE, files, { serviceAccounts: ['mlv-stage'] });
  await project.told('config', 'kubernetes.gpu.serviceAccount', serviceAccount);
  await project.told('config', 'kubernetes.gpu.interrupt', 'delete');
  return project;
}

/** Whether the stage is made, and what it prints arrives. */
async function made(project: ClusterProject): Promise<boolean> {
  const { code, stderr } = await project.run('repro', '-f', '-s', 'train');
  return code === 0 && stderr.includes('| trained\n');
}

/** Whether it is told why no pod comes, and the job ends with Ctrl-C. */
async function ended(project: ClusterProject): Promise<boolean> {
  const { process: child, result } = project.start('repro', '-f', '-s', 'train');
  const { stderr: stream } = child;
  if (stream === null) throw new Error('its standard error is not piped');
  let text = '';
  const isTold = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(false), PATIENCE_MS);
    const done = (told: boolean): void => {
      clearTimeout(timer);
      resolve(told);
    };
    child.once('close', () => done(false));
    stream.on('data', (piece: string) => {
      text += piece;
      if (text.includes('serviceaccount "nobody" not found')) done(true);
    });
  });
  child.kill('SIGINT');
  await result;
  return isTold && project.cluster.list('jobs').length === 0;
}

function rulesOf(rights: readonly Right[]): Rule[] {
  return rights.map(({ group, resource, verb }) => ({
    verbs: [verb],
    groups: [group],
    resources: [resource],
    namespaces: ['ml'],
  }));
}

function roleOfPage(): Role {
  const roles = objectsOfPage().filter(({ kind }) => kind === 'Role');
  if (roles.length !== 1) throw new Error('docs/kubernetes.md shows one Role');
  return roles[0] as unknown as Role;
}

/** The objects for `kubectl apply` that the page shows. */
function objectsOfPage(): { readonly apiVersion: string; readonly kind: string }[] {
  const page = readFileSync(new URL('../../docs/kubernetes.md', import.meta.url), 'utf8');
  return codeBlocks(page)
    .filter(({ language, text }) => language === 'yaml' && text.includes('apiVersion:'))
    .flatMap(({ text }) => parseAllDocuments(text))
    .map((document) => document.toJS() as { readonly apiVersion: string; readonly kind: string });
}
