import { MlvError } from '../../domain/errors.ts';
import { addRemote, listRemotes, modifyRemote, removeRemote, setDefaultRemote } from '../../workspace/remotes.ts';
import { defineCommand } from '../command.ts';
import { columns, visible } from '../format.ts';

const NAME = { value: 'NAME', about: 'the name of the remote: letters, digits, "-" and "_"' } as const;
const LOCAL = { type: 'boolean', about: 'in the settings of this clone, not for everyone' } as const;

export const remoteAdd = defineCommand({
  details: [
    'A remote is a bucket, s3://BUCKET/PREFIX, or a folder: /mnt/store, ../store, ~/store, file:///mnt/store. Nothing is asked of it before the first push.',
    'Its name is kept in .mlv/config.yaml, for everyone who clones; never with credentials.',
  ],
  positionals: {
    name: { ...NAME, required: true },
    url: { value: 'URL', required: true, about: 'where it is; folders are relative to where you are' },
  },
  options: {
    default: { type: 'boolean', short: 'd', about: 'push, pull and fetch use it from now on' },
    local: LOCAL,
  },
  example: { command: 'mlv remote add -d store ../store', about: 'Sends data to a folder beside the project' },
  async run({ name, url, default: isDefault = false, local = false }, { cwd, environment, locks }) {
    const result = await addRemote({ cwd, environment, locks, name, url, isDefault, local });
    return {
      data: { name, isDefault, ...result },
      text: (style) => [
        `${style.good('added')}  ${name}  ${visible(result.url)}  in ${visible(result.file)}${staged(result)}`,
        ...(isDefault
          ? []
          : ['', ...columns([[style.command(`mlv remote default ${name}`), 'makes it the default']], '  ')]),
      ],
    };
  },
});

export const remoteList = defineCommand({
  details: ['The default one, which push, pull and fetch use unless told otherwise, has a star.'],
  positionals: {},
  options: {},
  example: { command: 'mlv remote list', about: 'Lists all remotes' },
  async run(_args, { cwd, environment }) {
    const remotes = await listRemotes({ cwd, environment });
    return {
      data: remotes,
      isAnswer: true,
      text: (style) =>
        remotes.length === 0
          ? ['There are no remotes yet', ...columns([[style.command('mlv remote add -d NAME URL'), 'makes one']], '  ')]
          : columns(
              remotes.map(({ name, url, isDefault, origin }) => [
                `${isDefault ? style.good('*') : ' '} ${name}`,
                visible(url),
                style.faint(visible(origin)),
              ]),
            ),
    };
  },
});

export const remoteModify = defineCommand({
  details: [
    'Settings of a remote are url, endpoint, region, pathStyle, storageClass, sse, kmsKeyId, requesterPays and, with --local, profile.',
  ],
  positionals: {
    name: { ...NAME, required: true },
    key: { value: 'KEY', required: true, about: 'the setting to change' },
    value: { value: 'VALUE', about: 'its new value' },
  },
  options: { local: LOCAL, unset: { type: 'boolean', about: 'remove the setting' } },
  example: { command: 'mlv remote modify store url ../elsewhere', about: 'Says where the remote has moved to' },
  async run({ name, key, value, local = false, unset = false }, { cwd, environment, locks }) {
    if (unset === (value !== undefined)) {
      throw new MlvError({
        code: 'usage',
        kind: 'usage',
        message: unset ? '--unset takes no VALUE' : 'mlv remote modify needs a VALUE, or --unset',
        hint: 'mlv remote modify --help',
      });
    }
    const result = await modifyRemote({ cwd, environment, locks, name, key, value, local });
    const { changeLine } = await import('./config.ts');
    const done = value === undefined ? 'unset' : `= ${value}`;
    return { data: { name, key, ...result }, text: (style) => [changeLine(`${name}.${key} ${done}`, result, style)] };
  },
});

export const remoteDefault = defineCommand({
  details: ['Without NAME prints which one it is.'],
  positionals: { name: NAME },
  options: { local: LOCAL },
  example: { command: 'mlv remote default store', about: 'push, pull and fetch use it from now on' },
  async run({ name, local = false }, { cwd, environment, locks }) {
    if (name === undefined) {
      const chosen = (await listRemotes({ cwd, environment })).find(({ isDefault }) => isDefault);
      if (chosen === undefined) throw noDefault();
      return { data: chosen, text: () => [chosen.name], isAnswer: true };
    }
    const result = await setDefaultRemote({ cwd, environment, locks, name, local });
    return {
      data: { name, ...result },
      text: (style) => [
        `${result.changed ? style.good('default') : style.faint('unchanged')}  ${name}  in ${visible(result.file)}${staged(result)}`,
      ],
    };
  },
});

export const remoteRemove = defineCommand({
  details: ['What it holds stays there. Data whose pointers name this remote needs another one.'],
  positionals: { name: { ...NAME, required: true } },
  options: { local: LOCAL },
  example: { command: 'mlv remote remove store', about: 'Forgets where the remote is' },
  async run({ name, local = false }, { cwd, environment, locks }) {
    const changes = await removeRemote({ cwd, environment, locks, name, local });
    return {
      data: { name, changes },
      text: (style) =>
        changes.map((each) => `${style.good('removed')}  ${name}  from ${visible(each.file)}${staged(each)}`),
    };
  },
});

function staged(result: { readonly staged: readonly string[] }): string {
  return result.staged.length > 0 ? ', staged in Git' : '';
}

function noDefault(): MlvError {
  return new MlvError({
    code: 'remote-no-default',
    kind: 'missing',
    message: 'no remote is the default',
    hint: 'mlv remote default NAME chooses one, mlv remote list shows them',
  });
}
