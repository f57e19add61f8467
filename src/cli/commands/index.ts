import type { CommandEntry } from '../command.ts';

/** Every command, in the order of the help. */
export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'init',
    summary: 'make this Git repository an mlv project',
    load: async () => (await import('./init.ts')).init,
  },
  {
    name: 'remote add',
    summary: 'name a bucket or folder to send data to',
    load: async () => (await import('./remote.ts')).remoteAdd,
  },
  {
    name: 'remote list',
    isStandard: true,
    summary: 'list the remotes',
    load: async () => (await import('./remote.ts')).remoteList,
  },
  {
    name: 'remote modify',
    summary: 'change a setting of a remote',
    load: async () => (await import('./remote.ts')).remoteModify,
  },
  {
    name: 'remote default',
    summary: 'show or choose the default remote',
    load: async () => (await import('./remote.ts')).remoteDefault,
  },
  {
    name: 'remote remove',
    summary: 'forget a remote; its data stays',
    load: async () => (await import('./remote.ts')).remoteRemove,
  },
  { name: 'config', summary: 'show and change settings', load: async () => (await import('./config.ts')).config },
  {
    name: 'add',
    summary: 'track files and folders, or record new versions',
    load: async () => (await import('./add.ts')).add,
  },
  {
    name: 'status',
    summary: 'what changed since it was recorded',
    load: async () => (await import('./status.ts')).status,
  },
  {
    name: 'diff',
    summary: 'what differs between versions, file by file and row by row',
    load: async () => (await import('./diff.ts')).diff,
  },
  {
    name: 'log',
    summary: 'the versions of data, newest first',
    load: async () => (await import('./log.ts')).log,
  },
  {
    name: 'commit',
    summary: 'record all edits of tracked data',
    load: async () => (await import('./commit.ts')).commit,
  },
  {
    name: 'checkout',
    summary: 'make the data what its pointers say',
    load: async () => (await import('./checkout.ts')).checkout,
  },
  { name: 'remove', summary: 'stop tracking; the data stays', load: async () => (await import('./remove.ts')).remove },
  { name: 'move', summary: 'rename tracked data', load: async () => (await import('./move.ts')).move },
  {
    name: 'unprotect',
    summary: 'turn links into files that can be edited',
    load: async () => (await import('./unprotect.ts')).unprotect,
  },
  {
    name: 'stage add',
    summary: 'write a stage into mlv.yaml: a command, what it reads and makes',
    load: async () => (await import('./stage.ts')).stageAdd,
  },
  {
    name: 'stage list',
    isStandard: true,
    summary: 'list the stages of the pipeline',
    load: async () => (await import('./stage.ts')).stageList,
  },
  {
    name: 'stage remove',
    summary: 'take stages out of mlv.yaml; what they made stays',
    load: async () => (await import('./stage.ts')).stageRemove,
  },
  {
    name: 'plan',
    summary: 'which stages would run, and why',
    load: async () => (await import('./plan.ts')).plan,
  },
  {
    name: 'repro',
    summary: 'bring stages up to date',
    load: async () => (await import('./repro.ts')).repro,
  },
  {
    name: 'freeze',
    summary: 'keep stages from running',
    load: async () => (await import('./freeze.ts')).freeze,
  },
  {
    name: 'unfreeze',
    summary: 'let frozen stages run again',
    load: async () => (await import('./freeze.ts')).unfreeze,
  },
  { name: 'dag', summary: 'how stages hang together', load: async () => (await import('./dag.ts')).dag },
  {
    name: 'logs',
    summary: 'what the commands of stages printed',
    load: async () => (await import('./logs.ts')).logs,
  },
  {
    name: 'jobs ls',
    isStandard: true,
    summary: 'the jobs of stages on clusters',
    load: async () => (await import('./jobs.ts')).jobsList,
  },
  {
    name: 'jobs cancel',
    summary: 'end a job on a cluster',
    load: async () => (await import('./jobs.ts')).jobsCancel,
  },
  {
    name: 'jobs gc',
    summary: 'delete from clusters what jobs left there',
    load: async () => (await import('./jobs.ts')).jobsCollect,
  },
  {
    name: 'metrics show',
    isStandard: true,
    summary: 'the metrics, here or at any revision',
    load: async () => (await import('./metrics.ts')).metricsShow,
  },
  {
    name: 'metrics diff',
    summary: 'which metrics differ between versions',
    load: async () => (await import('./metrics.ts')).metricsDiff,
  },
  {
    name: 'params diff',
    isStandard: true,
    summary: 'which parameters differ between versions',
    load: async () => (await import('./params.ts')).paramsDiff,
  },
  {
    name: 'run-cache list',
    isStandard: true,
    summary: 'the results of stages that are known here',
    load: async () => (await import('./run-cache.ts')).runCacheList,
  },
  {
    name: 'run-cache forget',
    summary: 'forget known results, so that stages run again',
    load: async () => (await import('./run-cache.ts')).runCacheForget,
  },
  { name: 'push', summary: 'send data to a remote', load: async () => (await import('./push.ts')).push },
  {
    name: 'pull',
    summary: 'get data from a remote and check it out',
    load: async () => (await import('./pull.ts')).pull,
  },
  {
    name: 'fetch',
    summary: 'get data from a remote into the cache',
    load: async () => (await import('./fetch.ts')).fetch,
  },
  {
    name: 'hooks install',
    summary: 'let git push and git switch look after data',
    load: async () => (await import('./hooks.ts')).hooksInstall,
  },
  {
    name: 'hooks status',
    isStandard: true,
    summary: 'which hooks are installed',
    load: async () => (await import('./hooks.ts')).hooksStatus,
  },
  {
    name: 'hooks remove',
    summary: "take mlv's part out of the hooks",
    load: async () => (await import('./hooks.ts')).hooksRemove,
  },
  {
    name: 'hooks run',
    summary: 'what the hooks call; not meant to be typed',
    load: async () => (await import('./hooks-run.ts')).hooksRun,
  },
  {
    name: 'ls',
    summary: 'list what is tracked, at any revision, in any repository',
    load: async () => (await import('./ls.ts')).ls,
  },
  {
    name: 'cat',
    summary: 'print a tracked file, likewise',
    load: async () => (await import('./cat.ts')).cat,
  },
  {
    name: 'get',
    summary: 'write a tracked file or folder to another place, likewise',
    load: async () => (await import('./get.ts')).get,
  },
  {
    name: 'verify',
    summary: 'whether data is whole, here or on a remote',
    load: async () => (await import('./verify.ts')).verify,
  },
  { name: 'du', summary: 'how much room data takes', load: async () => (await import('./du.ts')).du },
  {
    name: 'gc',
    summary: 'throw away what of the cache nothing needs',
    load: async () => (await import('./gc.ts')).gc,
  },
  {
    name: 'purge',
    summary: 'delete what must not exist any more, everywhere',
    load: async () => (await import('./purge.ts')).purge,
  },
  {
    name: 'doctor',
    summary: 'what this machine, disk and project can do',
    load: async () => (await import('./doctor.ts')).doctor,
  },
  {
    name: 'driver pointer',
    isForGit: true,
    summary: 'for Git: merge two versions of a pointer',
    load: async () => (await import('./driver.ts')).driverPointer,
  },
  {
    name: 'driver ancestor',
    isForGit: true,
    summary: 'for Git: merge two ancestors of a pointer',
    load: async () => (await import('./driver.ts')).driverAncestor,
  },
  {
    name: 'driver lock',
    isForGit: true,
    summary: 'for Git: merge two versions of mlv.lock',
    load: async () => (await import('./driver.ts')).driverLock,
  },
  {
    name: 'driver textconv',
    isForGit: true,
    summary: 'for Git: what a pointer names, as lines to compare',
    load: async () => (await import('./driver.ts')).driverTextconv,
  },
  { name: 'version', summary: 'the version of mlv', load: async () => (await import('./version.ts')).version },
  { name: 'root', summary: 'the folder of the project', load: async () => (await import('./root.ts')).root },
];
