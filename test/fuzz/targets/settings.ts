import type { Scope } from '../../../src/domain/setting-table.ts';
import { parsePlainSettings } from '../../../src/domain/settings-file.ts';
import { editSettings, parseSettings } from '../../../src/domain/settings-document.ts';
import { parseSetting, resolveSettings, settingsFromEnvironment } from '../../../src/domain/settings.ts';
import { endpointOf, parseRemoteUrl } from '../../../src/domain/remote-url.ts';
import { MlvError } from '../../../src/domain/errors.ts';
import type { Target } from '../target.ts';
import { accepted, check, checkSame, outcome } from '../target.ts';
import { YAML_WORDS } from './pointers.ts';

const PATH = 'config.yaml';

export function settingTargets(): Target[] {
  return [
    {
      name: 'settings file',
      seeds: [
        'version: 1\nremote: origin\nremotes:\n  origin:\n    url: s3://bucket/prefix\n    region: eu-west-1 # there\n',
        'version: 1\ncache:\n  dir: ~/cache\n  links: [reflink, copy]\n  packBelow: 16KiB\ncore:\n  autostage: false\n',
        '{"version": 1, "remotes": {"a": {"url": "../store", "endpoint": "https://s3.example.org", "pathStyle": true}}}',
        'remotes:\n# origin:\n',
        '',
      ],
      words: [
        'version: 1\n',
        'remote: ',
        'remotes:\n',
        '  origin:\n',
        '    url: ',
        '    endpoint: http://127.0.0.1\n',
        'cache:\n',
        'core:\n',
        '  links: [copy, symlink]\n',
        '  dir: ',
        'sse: aws:kms\n',
        'secretKey: ',
        's3://',
        ...YAML_WORDS,
      ],
      run(input) {
        const text = input.toString('utf8');
        for (const scope of ['tracked', 'clone'] as const) runSettings(text, scope);
      },
    },
    {
      name: 'setting',
      seeds: [
        'cache.packBelow\n1.5MiB',
        'cache.links\ncopy, symlink',
        'remotes.origin.url\ns3://bucket/a/b',
        'remotes.origin.endpoint\nhttps://s3.example.org:8443/a',
        'remotes.origin.sse\naws:kms',
        'core.autostage\ntrue',
        'remote\norigin',
      ],
      words: ['remotes.', '.url', '.endpoint', 'cache.', 'KiB', 'http://', '127.0.0.1', '[::1]', 'localhost'],
      run: runSetting,
    },
    {
      name: 'remote URL',
      seeds: [
        's3://bucket/prefix/more/',
        'file:///srv/store%20a',
        'file://localhost/C:/store',
        '~/store',
        '../store',
        '/srv/store',
        'C:\\store',
        'git@host:path',
        'https://user:hunter2@host/path?X-Amz-Signature=0123',
        'gs://bucket',
        's3://user:hunter2@bucket/prefix',
      ],
      words: ['s3://', 'file://', 'localhost/', 'https://', 'user:hunter2@', '~', '//', '/./', '/../', '?', '#'],
      run: runUrl,
    },
  ];
}

function runSettings(text: string, scope: Scope): void {
  const plain = outcome(() => parsePlainSettings(text, scope, PATH));
  const full = outcome(() => parseSettings(text, scope, PATH));
  // Of a text without any setting, only the plain parser says that there are none.
  if (plain.refused !== undefined || (plain.value ?? []).length > 0)
    checkSame(plain, full, 'both parsers read plain settings alike');
  if (full.value === undefined) return;
  const { entries } = resolveSettings([full.value]);
  for (const { key, scope: from } of full.value) {
    check(from === scope, 'a setting is of the place where it stands');
    check(
      entries.some((entry) => entry.key === key),
      'every setting holds',
    );
    if (scope === 'tracked') check(!/profile|cache\.dir|cache\.links/.test(key), 'nobody who clones gets these');
  }
  const place = { scope, path: PATH };
  const edited = outcome(() => editSettings(text, 'remotes.fuzz.url', '../other', place));
  if (edited.value !== undefined) {
    const layer = accepted('the parser', () => parseSettings(edited.value ?? '', scope, PATH));
    check(
      layer.some(({ key, value }) => key === 'remotes.fuzz.url' && value === '../other'),
      'an edit is there when it is read',
    );
  }
  for (const { key } of full.value.slice(0, 3)) {
    const without = outcome(() => editSettings(text, key, undefined, place));
    if (without.value === undefined) continue;
    const layer = accepted('the parser', () => parseSettings(without.value ?? '', scope, PATH));
    check(!layer.some((entry) => entry.key === key), 'what is removed is gone');
  }
}

function runSetting(input: Buffer): void {
  const [key = '', ...rest] = input.toString('utf8').split('\n');
  const value = rest.join('\n');
  const name = `MLV_${key.replace(/[A-Z]/g, '_$&').replaceAll('.', '_').toUpperCase()}`;
  outcome(() => settingsFromEnvironment({ [name]: value }));
  for (const scope of ['tracked', 'clone', 'flag'] as const) {
    const { value: entry } = outcome(() => parseSetting(key, value, { scope, origin: PATH }));
    if (entry === undefined) continue;
    check(entry.key === key, 'a setting has the key that was asked for');
    if (typeof entry.value === 'number')
      check(Number.isSafeInteger(entry.value) && entry.value >= 0, 'a size is a size');
    if (typeof entry.value === 'string')
      check(!/[\x00-\x1f\x7f]/.test(entry.value), 'no control characters in a setting');
  }
}

function runUrl(input: Buffer): void {
  const text = input.toString('utf8');
  const isSecret = /^[a-z][a-z0-9+.-]*:\/\/[^/?#]*hunter2[^/?#]*@/i.test(text) && text.split('hunter2').length === 2;
  try {
    outcome(() => endpointOf({ endpoint: text }, {}));
    const url = parseRemoteUrl(text);
    check(!isSecret, 'no password is accepted');
    check(
      !/[\x00-\x1f\x7f]/.test(url.kind === 's3' ? url.bucket + url.prefix : url.path),
      'no control characters in a URL',
    );
    if (url.kind !== 's3') return;
    checkSame(
      accepted('the parser', () => parseRemoteUrl(`s3://${url.bucket}${url.prefix === '' ? '' : `/${url.prefix}`}`)),
      url,
      'a URL is read as it is written',
    );
    const segments = url.prefix === '' ? [] : url.prefix.split('/');
    check(!segments.some((segment) => ['', '.', '..'].includes(segment)), 'a prefix of names alone');
  } catch (error) {
    if (error instanceof MlvError && isSecret) check(!error.message.includes('hunter2'), 'no password in a message');
    throw error;
  }
}
