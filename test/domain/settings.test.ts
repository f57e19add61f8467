import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Scope } from '../../src/domain/setting-table.ts';
import { editSettings, parseEntries, parseSettings } from '../../src/domain/settings-document.ts';
import { parsePlainEntries, parsePlainSettings } from '../../src/domain/settings-file.ts';
import { parseSetting, resolveSettings, settingsFromEnvironment } from '../../src/domain/settings.ts';

const PATH = '.mlv/config.yaml';
const TRACKED = `# for everyone
version: 1
remote: origin
core:
  autostage: false # we review
cache:
  packBelow: 16KiB
remotes:
  origin:
    url: s3://bucket/prefix
    region: eu-central-1
    pathStyle: true
  # archive: not yet
`;
const CLONE = `version: 1
cache:
  dir: /scratch/cache
  links: [symlink, copy]
remotes:
  origin:
    profile: work
`;

describe('a settings file', () => {
  test('is read, each setting with its line', () => {
    expect(parsePlainSettings(TRACKED, 'tracked', PATH)).toEqual(
      (
        [
          ['remote', 'origin', 3],
          ['core.autostage', false, 5],
          ['cache.packBelow', 16384, 7],
          ['remotes.origin.url', 's3://bucket/prefix', 10],
          ['remotes.origin.region', 'eu-central-1', 11],
          ['remotes.origin.pathStyle', true, 12],
        ] as const
      ).map(([key, value, line]) => ({ key, value, scope: 'tracked', origin: `${PATH}:${line}` })),
    );
  });

  test('reads the same in another dress', () => {
    const dressed = `{version: 1, remote: "origin", core: {autostage: false}, cache: {packBelow: '16KiB'},\n remotes: {origin: {url: "s3://bucket/prefix", region: >-\n eu-central-1\n, pathStyle: true}}}`;
    const plain = dressed.replace('>-\n eu-central-1\n', 'eu-central-1');
    expect(parsePlainSettings(plain, 'tracked', PATH)).toBeUndefined();
    const values = (text: string): unknown =>
      parseSettings(text, 'tracked', PATH).map(({ key, value }) => [key, value]);
    expect(values(plain)).toEqual(values(TRACKED));
    expect(values(TRACKED.replaceAll('\n', '\r\n'))).toEqual(values(TRACKED));
    expect(
      parseSettings('version: 1\ncache:\n- links\n'.replace('- links', '  links:\n  - copy'), 'clone', 'c').map(
        ({ value }) => value,
      ),
    ).toEqual([['copy']]);
  });

  test('may be empty, or say nothing yet', () => {
    for (const text of [
      '',
      '# nothing\n',
      'version: 1\n',
      'remotes:\n',
      'remotes:\n  origin:\n    # url: x\ncache:\n',
    ]) {
      expect(parsePlainSettings(text, 'tracked', PATH)).toEqual([]);
    }
  });

  test.each([
    [
      'a misspelt key',
      'cache:\n  pakBelow: 1\n',
      'config-unknown',
      '2:3: no setting is called "cache.pakBelow"',
      'Did you mean cache.packBelow?',
    ],
    [
      'a misspelt key of a remote',
      'remotes:\n  eu:\n    ur1: x\n',
      'config-unknown',
      '3:5: no setting is called "remotes.eu.ur1"',
      'Did you mean remotes.eu.url?',
    ],
    [
      'a key by itself',
      'cache: x\n',
      'config-unknown',
      '1:1: no setting is called "cache"',
      'Settings are core.autostage, ',
    ],
    ['a key without a value', 'remote:\n', 'config-value', '1:1: remote has no value', undefined],
    [
      'an unknown key without a value',
      'remoe:\n',
      'config-unknown',
      '1:1: no setting is called "remoe"',
      'Did you mean remote?',
    ],
    ['a prototype', 'constructor: x\n', 'config-unknown', '1:1: no setting is called "constructor"', 'Settings are'],
    [
      'a prototype of a remote',
      'remotes:\n  a:\n    toString: x\n',
      'config-unknown',
      '3:5: no setting is called "remotes.a.toString"',
      'Settings are remotes.a.url, ',
    ],
    [
      'no boolean',
      'core:\n  autostage: yes\n',
      'config-value',
      '2:3: core.autostage must be true or false, not "yes"',
      undefined,
    ],
    [
      'a list for a word',
      'remote: [a, b]\n',
      'config-value',
      "1:1: remote must be a remote's name, not a list",
      undefined,
    ],
    [
      'a size',
      'cache:\n  packBelow: 1x\n',
      'config-value',
      '2:3: cache.packBelow must be "auto" or a size such as 16KiB, not "1x"',
      undefined,
    ],
    [
      'a name of a remote',
      'remotes:\n  -x:\n    url: y\n',
      'config-value',
      '3:5: "-x" is not a remote\'s name',
      'A name is letters',
    ],
    [
      'a URL',
      'remotes:\n  a:\n    url: gs://bucket\n',
      'remote-url-unsupported',
      '3:5: mlv has no remotes of the kind gs://: gs://bucket',
      'Google',
    ],
    [
      'an endpoint',
      'remotes:\n  a:\n    endpoint: s3.example.org\n',
      'config-value',
      '3:5: remotes.a.endpoint must be an address such as https://s3.example.org, not "s3.example.org"',
      undefined,
    ],
    [
      'an endpoint with a password',
      'remotes:\n  a:\n    endpoint: https://u:p@host\n',
      'remote-url-credentials',
      '3:5: a URL may not hold credentials: https://…@host',
      'mlv never stores',
    ],
    [
      'a profile',
      'remotes:\n  a:\n    profile: x\n',
      'config-not-here',
      '3:5: remotes.a.profile cannot be set for everyone who clones',
      'mlv config --local remotes.a.profile x ',
    ],
    [
      'the cache folder',
      'cache:\n  dir: /x y\n',
      'config-not-here',
      '2:3: cache.dir cannot be set for everyone who clones',
      'mlv config --local cache.dir VALUE ',
    ],
    [
      'link types',
      'cache:\n  links: [symlink]\n',
      'config-not-here',
      '2:3: cache.links cannot be set for everyone who clones',
      'mlv config --local cache.links symlink ',
    ],
    [
      'plain http',
      'remotes:\n  a:\n    endpoint: http://minio.lan:9000\n',
      'config-not-here',
      '3:5: a plain http endpoint cannot be set for everyone who clones: http://minio.lan:9000',
      'mlv config --local',
    ],
    [
      'a secret',
      'remotes:\n  a:\n    secretAccessKey: hunter2\n',
      'config-not-here',
      '3:5: mlv never stores credentials: remotes.a.secretAccessKey',
      'The S3 SDK finds them',
    ],
    [
      'a context',
      'kubernetes:\n  gpu:\n    context: prod\n',
      'config-not-here',
      '3:5: kubernetes.gpu.context cannot be set for everyone who clones',
      'mlv config --local kubernetes.gpu.context prod ',
    ],
    [
      'a misspelt key of a profile',
      'kubernetes:\n  gpu:\n    pullSecret: x\n',
      'config-unknown',
      '3:5: no setting is called "kubernetes.gpu.pullSecret"',
      'Did you mean kubernetes.gpu.pullSecrets?',
    ],
    [
      'a password of a profile',
      'kubernetes:\n  gpu:\n    registryPassword: x\n',
      'config-not-here',
      '3:5: mlv never stores credentials: kubernetes.gpu.registryPassword',
      'The S3 SDK finds them',
    ],
    [
      'a misspelt key of a GPU type',
      'kubernetes:\n  gpu:\n    gpuTypes:\n      a100:\n        toleration: x\n',
      'config-unknown',
      '5:9: no setting is called "kubernetes.gpu.gpuTypes.a100.toleration"',
      'Did you mean kubernetes.gpu.gpuTypes.a100.tolerations?',
    ],
    [
      'a GPU type that is no map',
      'kubernetes:\n  gpu:\n    gpuTypes:\n      a100: x\n',
      'config-unknown',
      '4:7: no setting is called "kubernetes.gpu.gpuTypes.a100"',
      'Settings are kubernetes.gpu.gpuTypes.a100.resource, ',
    ],
    [
      'a name of a profile',
      'kubernetes:\n  my gpu:\n    queue: y\n',
      'config-value',
      '3:5: "my gpu" is not the name of a profile',
      'A name is letters',
    ],
    [
      'a name of a GPU type',
      'kubernetes:\n  gpu:\n    gpuTypes:\n      "a100!":\n        resource: y\n',
      'config-value',
      '5:9: "a100!" is not the name of a type of GPU',
      'A name is letters',
    ],
    [
      'root',
      'kubernetes:\n  gpu:\n    runAsUser: 0\n',
      'config-value',
      '3:5: kubernetes.gpu.runAsUser must be a number from 1 to 2147483647, not "0"',
      undefined,
    ],
    [
      'more cores than are asked for',
      'kubernetes:\n  gpu:\n    cpuScale: 1.5\n',
      'config-value',
      '3:5: kubernetes.gpu.cpuScale must be a number above 0, at most 1, not "1.5"',
      undefined,
    ],
    [
      'a toleration of no effect',
      'kubernetes:\n  gpu:\n    gpuTypes:\n      a100:\n        tolerations: [spot:Never]\n',
      'config-value',
      '5:9: kubernetes.gpu.gpuTypes.a100.tolerations must be a list of KEY, KEY:EFFECT or KEY=VALUE:EFFECT, an effect being NoSchedule, PreferNoSchedule or NoExecute, not a list',
      undefined,
    ],
    ['a later version', 'version: 7\nnew: x\n', 'config-version', undefined, 'Install a newer mlv'],
    ['a version in words', 'version: one\n', 'config-value', '1:1: version must be a number', undefined],
    ['a key twice', 'remote: a\nremote: b\n', 'config-invalid', '2:1: "remote" is there twice', 'Correct it'],
    [
      'an alias',
      'remote: &a x\ncache:\n  dir:   *a\n',
      'config-invalid',
      '3:10: YAML aliases are not supported',
      'Correct it',
    ],
    [
      'a list of lists',
      'cache:\n  links: [[a]]\n',
      'config-invalid',
      '2:11: not a value that a list of words can have',
      'Correct it',
    ],
    ['broken YAML', 'cache: {\n', 'config-invalid', undefined, 'Correct it'],
    [
      'conflict markers',
      '<<<<<<< HEAD\nremote: a\n=======\nremote: b\n>>>>>>> x\n',
      'config-conflict',
      undefined,
      'git checkout --ours',
    ],
  ])('is refused with %s', (_, text, code, message, hint) => {
    const expected = expect.objectContaining({
      code,
      message: message === undefined ? (expect.stringContaining(PATH) as string) : `${PATH}:${message}`,
      hint: hint === undefined ? undefined : (expect.stringContaining(hint) as string),
    }) as Error;
    const read = (): unknown => parsePlainSettings(text, 'tracked', PATH) ?? parseSettings(text, 'tracked', PATH);
    expect(read).toThrow(expected);
    expect(() => parseSettings(text, 'tracked', PATH)).toThrow(expected);
  });

  test('says which mlv reads which version', () => {
    expect(() => parsePlainSettings('version: 7\n', 'clone', 'c.yaml')).toThrow(
      /^c\.yaml:1: its format is version 7, and mlv \d+\.\d+\.\d+\S* reads version 1$/,
    );
  });

  test('may hold in a clone what it may not hold for everyone', () => {
    const text = `${CLONE}    endpoint: http://minio.lan:9000\n`;
    expect(parsePlainSettings(text, 'clone', 'c')?.map(({ key, value }) => [key, value])).toEqual([
      ['cache.dir', '/scratch/cache'],
      ['cache.links', ['symlink', 'copy']],
      ['remotes.origin.profile', 'work'],
      ['remotes.origin.endpoint', 'http://minio.lan:9000'],
    ]);
  });

  test.each([
    'http://localhost:9000',
    'http://127.0.0.1:9000',
    'http://[::1]:9000',
    'http://127.8.8.8',
    'https://anywhere.example.org/path',
  ])('may name the endpoint %s', (endpoint) => {
    const origin = { scope: 'tracked', origin: PATH } as const;
    expect(parseSetting('remotes.a.endpoint', endpoint, origin).value).toBe(endpoint);
  });

  test('may not name an endpoint that is another one once its line break is gone', () => {
    const origin = { scope: 'clone', origin: PATH } as const;
    expect(() => parseSetting('remotes.a.endpoint', 'https://s3.example.org\n.evil.example', origin)).toThrow(
      expect.objectContaining({ code: 'config-value' }),
    );
  });

  test.each([
    'http://localhost.example.org',
    'http://127.0.0.1.example.org',
    'http://0.0.0.0',
    'http://10.0.0.1',
    'http://[::2]',
  ])('may not name the endpoint %s', (endpoint) => {
    expect(() => parseSetting('remotes.a.endpoint', endpoint, { scope: 'tracked', origin: PATH })).toThrow(
      expect.objectContaining({ code: 'config-not-here' }),
    );
  });

  test('a key that is too long for YAML is left to the full parser, which says so', () => {
    const text = `${'k'.repeat(1026)}: x\n`;
    expect(parsePlainEntries(text)).toBeUndefined();
    expect(() => parseEntries(text, PATH)).toThrow(expect.objectContaining({ code: 'config-invalid' }));
  });

  test('reads alike by both parsers, wherever the plain one reads it at all', () => {
    const pick = (...words: string[]): fc.Arbitrary<string> => fc.constantFrom(...words);
    const mostly = (usual: fc.Arbitrary<string>, odd: fc.Arbitrary<string>): fc.Arbitrary<string> =>
      fc.oneof({ weight: 9, arbitrary: usual }, { weight: 1, arbitrary: odd });
    const value = mostly(
      fc.oneof(
        fc.constant(''),
        fc.stringMatching(/^[A-Za-z0-9./~:@%+=-]{1,4}$/),
        pick('/a', 's3://b/c', '[a, b]', '[a=b, c.d/e:F]', '[null, a1]', 'true', '0x1f', 'a:b', 'x=', '..'),
      ),
      pick(
        '[a=,b]',
        '[a:, b]',
        '[a: b]',
        '[a-, b]',
        '[a, -b]',
        'null',
        'Null',
        'NULL',
        '~',
        '...',
        '---',
        'a:',
        '[a,b]',
        '[]',
        '"q"',
        'x #y',
        '.inf',
        '|',
        '>-',
        '- a',
        "'",
        '{}',
        'é',
        '&a',
        '*a',
        '!t x',
      ),
    );
    const line = mostly(
      fc
        .tuple(
          mostly(pick('', '', '  ', '    '), pick(' ', '\t', '      ')),
          mostly(pick('a', 'b', 'c-d', 'e_f', '0', '01', 'null', 'G', 'h', 'i'), pick('-x', 'é', 'x y', '? a', '"a"')),
          mostly(pick(':'), pick('', ': ', ' :')),
          value.map((word) => (word === '' ? '' : ` ${word}`)),
          mostly(pick('', '', ' ', ' # c'), pick('#', '  #é', '\t# c')),
        )
        .map((parts) => parts.join('')),
      pick('', '# c', '   # c', '\t# c', ' ', '---', '...', '%YAML 1.1', '\ufeff', '- a', '\r'),
    );
    let accepted = 0;
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), fc.constantFrom('', '\n'), (lines, end) => {
        const text = lines.join('\n') + end;
        const plain = parsePlainEntries(text);
        if (plain === undefined || plain.length === 0) return;
        accepted++;
        expect(plain).toEqual(parseEntries(text, PATH));
      }),
      { numRuns: 5000 },
    );
    expect(accepted).toBeGreaterThan(200);
  });
});

describe('resolveSettings', () => {
  test('has a value for what nobody set', () => {
    expect(resolveSettings([])).toEqual({
      values: {
        'core.autostage': true,
        'cache.dir': undefined,
        'cache.links': ['reflink', 'copy'],
        'cache.packBelow': 'auto',
        remote: undefined,
        'runCache.trust': 'all',
      },
      remotes: new Map(),
      kubernetes: new Map(),
      entries: ['cache.links', 'cache.packBelow', 'core.autostage', 'runCache.trust'].map(
        (key) => expect.objectContaining({ key, scope: 'default', origin: 'default' }) as object,
      ),
    });
  });

  test('lays remotes over each other, setting by setting', () => {
    const tracked = parsePlainSettings(TRACKED, 'tracked', PATH) ?? [];
    const clone = parsePlainSettings(`${CLONE}  ghost:\n    profile: none\n`, 'clone', 'clone.yaml') ?? [];
    const { remotes, values, entries } = resolveSettings([clone, tracked]);
    expect(remotes).toEqual(
      new Map([['origin', { url: 's3://bucket/prefix', region: 'eu-central-1', pathStyle: true, profile: 'work' }]]),
    );
    expect(values['cache.links']).toEqual(['symlink', 'copy']);
    expect(entries.find(({ key }) => key === 'remotes.origin.profile')).toEqual({
      key: 'remotes.origin.profile',
      value: 'work',
      scope: 'clone',
      origin: 'clone.yaml:7',
    });
    expect(entries.map(({ key }) => key)).toContain('remotes.ghost.profile');
  });

  test('lets the stronger place win, whatever the order', () => {
    const order: readonly Scope[] = ['user', 'tracked', 'clone', 'environment', 'flag'];
    fc.assert(
      fc.property(fc.shuffledSubarray([...order], { minLength: 1 }), (scopes) => {
        const layers = scopes.map((scope) => [parseSetting('remote', scope, { scope, origin: `from-${scope}` })]);
        const winner = order.findLast((scope) => scopes.includes(scope));
        const { values, entries } = resolveSettings(layers);
        expect(values.remote).toBe(winner);
        expect(entries.find(({ key }) => key === 'remote')?.origin).toBe(`from-${winner}`);
      }),
    );
  });
});

describe('settingsFromEnvironment', () => {
  test('reads the variables named after settings', () => {
    expect(
      settingsFromEnvironment({
        MLV_CACHE_DIR: '/c',
        MLV_CACHE_PACK_BELOW: '0',
        MLV_CACHE_LINKS: 'copy, symlink',
        MLV_CORE_AUTOSTAGE: 'false',
        MLV_REMOTE: '',
        MLV_OTHER: 'x',
        PATH: '/bin',
      }).map(({ key, value, origin }) => [key, value, origin]),
    ).toEqual([
      ['core.autostage', false, 'MLV_CORE_AUTOSTAGE'],
      ['cache.dir', '/c', 'MLV_CACHE_DIR'],
      ['cache.links', ['copy', 'symlink'], 'MLV_CACHE_LINKS'],
      ['cache.packBelow', 0, 'MLV_CACHE_PACK_BELOW'],
    ]);
  });

  test('names the variable that is wrong', () => {
    expect(() => settingsFromEnvironment({ MLV_CORE_AUTOSTAGE: '1' })).toThrow(
      'MLV_CORE_AUTOSTAGE: core.autostage must be true or false, not "1"',
    );
    expect(() => settingsFromEnvironment({ MLV_CACHE_LINKS: 'hardlink' })).toThrow(
      'MLV_CACHE_LINKS: cache.links must be a list of reflink, copy, symlink, not "hardlink"',
    );
  });
});

describe('editSettings', () => {
  const tracked = { scope: 'tracked', path: PATH } as const;

  test('begins a file', () => {
    const first = editSettings('', 'remotes.origin.url', '../store', tracked);
    expect(first).toBe('version: 1\nremotes:\n  origin:\n    url: ../store\n');
    expect(editSettings(first, 'remote', 'origin', tracked)).toBe(`${first}remote: origin\n`);
    expect(editSettings('# ours\n', 'remote', 'origin', tracked)).toBe('# ours\nversion: 1\nremote: origin\n');
  });

  test('writes what the plain parser reads', () => {
    const clone = { scope: 'clone', path: 'c' } as const;
    let text = '';
    const wanted = [
      ['cache.dir', '/scratch/cache'],
      ['cache.links', 'symlink, copy'],
      ['cache.packBelow', '0'],
      ['core.autostage', 'false'],
      ['remotes.123.url', 's3://bucket/prefix'],
      ['remotes.123.requesterPays', 'true'],
      ['remotes.123.kmsKeyId', 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd'],
    ] as const;
    for (const [key, value] of wanted) text = editSettings(text, key, value, clone);
    expect(text).toBe(`version: 1
cache:
  dir: /scratch/cache
  links: [symlink, copy]
  packBelow: 0
core:
  autostage: false
remotes:
  "123":
    url: s3://bucket/prefix
    requesterPays: true
    kmsKeyId: arn:aws:kms:eu-central-1:111122223333:key/1234abcd
`);
    const layer = parsePlainSettings(text.replace('"123"', 'x123'), 'clone', 'c');
    expect(layer?.map(({ key }) => key)).toEqual(wanted.map(([key]) => key.replace('123', 'x123')));
    expect(layer?.map(({ value }) => value)).toEqual(parseSettings(text, 'clone', 'c').map(({ value }) => value));
  });

  test('changes one thing and keeps the rest', () => {
    expect(editSettings(TRACKED, 'core.autostage', 'true', tracked)).toBe(
      TRACKED.replace('autostage: false', 'autostage: true'),
    );
    expect(editSettings(TRACKED, 'cache.packBelow', '1MiB', tracked)).toBe(TRACKED.replace('16KiB', '1MiB'));
    expect(editSettings(TRACKED, 'remotes.origin.region', undefined, tracked)).toBe(
      TRACKED.replace('    region: eu-central-1\n', ''),
    );
    const windows = TRACKED.replaceAll('\n', '\r\n');
    expect(editSettings(windows, 'remote', 'other', tracked)).toBe(windows.replace('remote: origin', 'remote: other'));
  });

  test('returns the same text when nothing changes', () => {
    const odd = TRACKED.replace('remote: origin', 'remote:   "origin"');
    expect(editSettings(odd, 'remote', 'origin', tracked)).toBe(odd);
    expect(editSettings(odd, 'remotes.none.url', undefined, tracked)).toBe(odd);
    expect(editSettings('', 'remote', undefined, tracked)).toBe('');
  });

  test('removes a remote, and a map that became empty', () => {
    const text = 'version: 1\nremotes:\n  a:\n    url: /a\n  b:\n    url: /b\n';
    const less = editSettings(text, 'remotes.a', undefined, tracked);
    expect(less).toBe('version: 1\nremotes:\n  b:\n    url: /b\n');
    expect(editSettings(less, 'remotes.b.url', undefined, tracked)).toBe('version: 1\n');
  });

  test('fills a map that was left empty, and replaces a list', () => {
    expect(editSettings('remotes:\n', 'remotes.a.url', '/a', tracked)).toBe('remotes:\n  a:\n    url: /a\n');
    const clone = { scope: 'clone', path: 'c' } as const;
    expect(editSettings('cache:\n  links:\n    - copy\n', 'cache.links', 'reflink,copy', clone)).toBe(
      'cache:\n  links: [reflink, copy]\n',
    );
  });

  test('refuses what does not belong there, and what is in the way', () => {
    expect(() => editSettings(TRACKED, 'cache.dir', '/x', tracked)).toThrow(
      expect.objectContaining({
        code: 'config-not-here',
        message: 'cache.dir cannot be set for everyone who clones',
        hint: expect.stringContaining('mlv config --local cache.dir /x') as string,
      }),
    );
    expect(() => editSettings(TRACKED, 'cache.dri', '/x', tracked)).toThrow(
      expect.objectContaining({ code: 'config-unknown' }),
    );
    expect(() => editSettings('cache: x\n', 'cache.packBelow', '0', tracked)).toThrow(
      expect.objectContaining({ code: 'config-invalid', message: `${PATH}:1:8: cache is not a map` }),
    );
  });
});

describe('a size', () => {
  const read = (text: string): unknown => parseSetting('cache.packBelow', text, { scope: 'flag', origin: '-c' }).value;

  test('is read in both kinds of units', () => {
    const sizes = ['0', '16384', '16KiB', '16kib', '16K', '1.5 MiB', '2GB', '1TiB', 'auto'];
    expect(sizes.map(read)).toEqual([0, 16384, 16384, 16384, 16000, 1572864, 2e9, 2 ** 40, 'auto']);
  });

  test.each(['-1', '1.3', 'KiB', '', '1e3', '9999999999999999999', '1 PiB'])('is not %j', (text) => {
    expect(() => read(text)).toThrow(`cache.packBelow must be "auto" or a size such as 16KiB, not "${text}"`);
  });
});
