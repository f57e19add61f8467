/** A project whose stages run on the cluster double, with a bucket between them. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Files } from '../../support/folders.ts';
import { writeFiles } from '../../support/folders.ts';
import { repositoryAt, type TestRepository } from '../../support/git.ts';
import type { Cluster, ClusterOptions } from '../../support/kubernetes/cluster.ts';
import { startRig as startCluster } from '../../support/kubernetes/rig.ts';
import type { MlvResult, MlvRig, RunningMlv } from '../../support/mlv.ts';
import { makeMlvRig } from '../../support/mlv.ts';
import { OWNER, startRig as startStore } from '../../support/s3-server/rig.ts';
import type { S3Server } from '../../support/s3-server/server.ts';
import { told } from '../../support/told.ts';

export interface ClusterProject {
  readonly mlv: MlvRig;
  readonly cluster: Cluster;
  readonly store: S3Server;
  readonly root: string;
  readonly git: TestRepository['git'];
  write(files: Files): void;
  run(...args: string[]): Promise<MlvResult>;
  /** Its standard output, once it has succeeded. */
  told(...args: string[]): Promise<string>;
  start(...args: string[]): RunningMlv;
  /** Another clone of what is committed. */
  clone(name: string): Promise<ClusterProject>;
}

interface ClusterProjectOptions extends ClusterOptions {
  /** Of the profile `gpu`, beside what it has. */
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Others: as that one, but for this. */
  readonly profiles?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

const SECRET = {
  AWS_ACCESS_KEY_ID: OWNER.accessKeyId,
  AWS_SECRET_ACCESS_KEY: OWNER.secretAccessKey,
  AWS_EC2_METADATA_DISABLED: 'true',
};

/** The stage that runs on the cluster. */
const TRAIN_STAGE = `  train:
    cmd: sh train.sh
    deps: [rows.txt, train.sh]
    outs: [model]
    metrics:
      - metrics.json: {cache: false}
    image: busybox:1
    run_on: {kubernetes: gpu}
`;
/** That stage alone. */
export const ONE_STAGE = `stages:\n${TRAIN_STAGE}`;
/** Prepared here, trained there, judged here. */
export const PIPELINE = `stages:
  prepare:
    cmd: sort in.txt > rows.txt
    deps: [in.txt]
    outs: [rows.txt]
${TRAIN_STAGE}  evaluate:
    cmd: cat model/weights > report.txt
    deps: [model]
    outs: [report.txt]
`;
export const TRAIN = `mkdir -p model
sed 's/^/w /' rows.txt > model/weights
echo trained
echo "{\\"lines\\": 3}" > metrics.json
`;

export async function makeClusterProject(
  pipeline: string,
  files: Files,
  { settings = {}, profiles = {}, secrets = {}, ...options }: ClusterProjectOptions = {},
): Promise<ClusterProject> {
  const mlv = makeMlvRig();
  onTestFinished(() => mlv.dispose());
  const store = await startStore();
  onTestFinished(() => store.close());
  const cluster = await startCluster({ secrets: { bucket: SECRET, ...secrets }, ...options });
  const { root } = await mlv.project('project');
  const project = projectAt({ mlv, cluster, store, root });
  const remote = { url: 's3://data/team', endpoint: `http://127.0.0.1:${store.port}`, pathStyle: true };
  const gpu = { namespace: 'ml', credentials: 'bucket', interrupt: 'detach', ...settings };
  const all = {
    gpu,
    ...Object.fromEntries(Object.entries(profiles).map(([name, more]) => [name, { ...gpu, ...more }])),
  };
  appendFileSync(
    join(root, '.mlv/config.yaml'),
    // JSON is YAML.
    `remote: store\nremotes: ${JSON.stringify({ store: remote, spare: { ...remote, url: 's3://data/spare' } })}\nkubernetes: ${JSON.stringify(all)}\n`,
  );
  project.write({ 'mlv.yaml': pipeline, ...files });
  project.git('add', '--all');
  project.git('commit', '--quiet', '-m', 'pipeline');
  return project;
}

function projectAt(given: Pick<ClusterProject, 'mlv' | 'cluster' | 'store' | 'root'>): ClusterProject {
  const { mlv, cluster, root } = given;
  const env = { ...SECRET, KUBECONFIG: cluster.kubeconfigFile };
  const { git } = repositoryAt(root);
  return {
    ...given,
    git,
    write: (files) => writeFiles(root, files),
    run: (...args) => mlv.mlv(root, ['--no-progress', ...args], { env }),
    told: (...args) => told(mlv, root, args, { env }),
    start: (...args) => mlv.start(root, ['--no-progress', ...args], { env }),
    async clone(name) {
      const folder = join(mlv.folder, name);
      git('clone', '--quiet', root, folder);
      return projectAt({ ...given, root: folder });
    },
  };
}
