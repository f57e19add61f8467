/** Kubeconfigs of every form, for what mlv and client-go make of them to be compared. */

export interface KubeconfigSample {
  readonly name: string;
  /** By path below one folder. */
  readonly files: Readonly<Record<string, string>>;
  /** What KUBECONFIG names, below that folder; without it `.kube/config` counts, with the folder for a home. */
  readonly listed?: readonly string[];
  readonly context?: string;
}

const CA = Buffer.from('-----BEGIN CERTIFICATE-----\nca\n').toString('base64');
const CERT = Buffer.from('cert').toString('base64');
const KEY = Buffer.from('key').toString('base64');

/** One cluster, user and context; `user` and `cluster` are lines of YAML. */
function simple(
  user: readonly string[],
  cluster: readonly string[] = ['server: https://k8s.example.org:6443'],
): string {
  return [
    'apiVersion: v1',
    'kind: Config',
    'preferences: {}',
    'current-context: main',
    'contexts:',
    '- name: main',
    '  context: {cluster: one, user: me}',
    'clusters:',
    '- name: one',
    '  cluster:',
    ...cluster.map((line) => `    ${line}`),
    'users:',
    '- name: me',
    '  user:',
    ...(user.length === 0 ? ['    {}'] : user.map((line) => `    ${line}`)),
    '',
  ].join('\n');
}

/** What kubeconfigs name. */
const MATERIAL = { '.kube/me.crt': 'cert', 'me.key': 'key', '.kube/pki/ca.crt': 'ca', '.kube/tokens/mine': 'mine\n' };

function alone(name: string, ...parts: Parameters<typeof simple>): KubeconfigSample {
  return { name, files: { ...MATERIAL, '.kube/config': simple(...parts) } };
}

const EXEC = [
  'exec:',
  '  apiVersion: client.authentication.k8s.io/v1beta1',
  '  command: aws',
  '  args: ["eks", "get-token", "--cluster-name", "a b", "--output", "json"]',
  '  env:',
  '  - {name: AWS_PROFILE, value: research}',
  '  - {name: EMPTY, value: ""}',
  '  installHint: Install the AWS CLI.',
];

const MANY = `
apiVersion: v1
kind: Config
current-context: dev
contexts:
- {name: dev, context: {cluster: dev, user: dev, namespace: team-a}}
- {name: prod, context: {cluster: prod, user: prod}}
- {name: nobody, context: {cluster: prod}}
- {name: astray, context: {cluster: gone, user: dev}}
- {name: stranger, context: {cluster: prod, user: gone}}
clusters:
- {name: dev, cluster: {server: 'http://127.0.0.1:8001'}}
- {name: prod, cluster: {server: 'https://prod.example.org/k8s/clusters/c-1/', tls-server-name: kubernetes}}
users:
- {name: dev, user: {}}
- {name: prod, user: {token: prod-token}}
`;

export const KUBECONFIG_SAMPLES: readonly KubeconfigSample[] = [
  alone('a token', ['token: abc.def']),
  alone('no way to log in', []),
  alone('a token in a file beside it', ['tokenFile: tokens/mine']),
  alone('a token, and one in a file', ['token: abc', 'tokenFile: /var/run/token']),
  alone('name and password', ['username: me', 'password: "p w:1"']),
  alone('a token and a password', ['token: abc', 'username: me', 'password: pw']),
  alone(
    'certificates as data',
    [`client-certificate-data: ${CERT}`, `client-key-data: ${KEY}`],
    ['server: https://k8s.example.org:6443', `certificate-authority-data: ${CA}`],
  ),
  alone(
    'certificates in files',
    ['client-certificate: me.crt', 'client-key: ../me.key'],
    ['server: https://k8s.example.org:6443', 'certificate-authority: pki/ca.crt'],
  ),
  alone(
    'data and files',
    [`client-certificate: me.crt`, `client-certificate-data: ${CERT}`, `client-key-data: ${KEY}`],
    ['server: https://k8s.example.org:6443', 'certificate-authority: pki/ca.crt', `certificate-authority-data: ${CA}`],
  ),
  alone('a certificate without its key', [`client-certificate-data: ${CERT}`]),
  alone('base64 that is none', ['client-certificate-data: "***"', `client-key-data: ${KEY}`]),
  alone('not verified', ['token: abc'], ['server: https://k8s.example.org', 'insecure-skip-tls-verify: true']),
  alone(
    'not verified, with a certificate to verify by',
    ['token: abc'],
    ['server: https://k8s.example.org', 'insecure-skip-tls-verify: true', `certificate-authority-data: ${CA}`],
  ),
  alone(
    'another name for TLS, and a proxy',
    ['token: abc'],
    ['server: https://10.0.0.1:6443', 'tls-server-name: kubernetes.default', 'proxy-url: socks5://127.0.0.1:1080'],
  ),
  alone('a server without a scheme', [], ['server: k8s.example.org:6443']),
  alone(
    'a server without a scheme, to be verified',
    [],
    ['server: k8s.example.org:6443', `certificate-authority-data: ${CA}`],
  ),
  alone('no server', [], ['insecure-skip-tls-verify: false']),
  alone('a plugin', EXEC),
  alone(
    'a plugin of v1, told of the cluster',
    [
      'exec:',
      '  apiVersion: client.authentication.k8s.io/v1',
      '  command: bin/login',
      '  provideClusterInfo: true',
      '  interactiveMode: IfAvailable',
    ],
    [
      'server: https://k8s.example.org:6443',
      'extensions:',
      '- name: client.authentication.k8s.io/exec',
      '  extension: {audience: ml, deep: [1, {a: b}]}',
      '- name: minikube.sigs.k8s.io/info',
      '  extension: {provider: minikube}',
    ],
  ),
  alone('a plugin of v1 that does not say whether it asks', [
    'exec: {apiVersion: client.authentication.k8s.io/v1, command: login}',
  ]),
  alone('a plugin that asks in a way of its own', [
    'exec: {apiVersion: client.authentication.k8s.io/v1, command: login, interactiveMode: Sometimes}',
  ]),
  alone('a plugin without a version', ['exec: {command: login}']),
  alone('a plugin without a command', ['exec: {apiVersion: client.authentication.k8s.io/v1beta1}']),
  alone('a plugin and a token', ['token: abc', ...EXEC]),
  alone('as somebody else', [
    'token: abc',
    'as: robot',
    'as-uid: "17"',
    'as-groups: [builders, "system:masters"]',
    'as-user-extra: {reason: [nightly, "by hand"]}',
  ]),
  alone('with groups of nobody', ['token: abc', 'as-groups: [builders]']),
  { name: 'the current of many contexts', files: { '.kube/config': MANY } },
  ...['prod', 'nobody', 'astray', 'stranger', 'none'].map((context) => ({
    name: `the context "${context}" of many`,
    files: { '.kube/config': MANY },
    context,
  })),
  {
    name: 'several files: the first to say something says it',
    files: {
      'a/token': 'first',
      'b/ca.crt': 'ca',
      'a/first': `
current-context: ""
contexts: [{name: main, context: {cluster: shared, user: me}}]
clusters: null
users: [{name: me, user: {tokenFile: token}}]
`,
      'b/second': `
current-context: main
contexts: [{name: main, context: {cluster: other, user: other}}]
clusters: [{name: shared, cluster: {server: 'https://second.example.org', certificate-authority: ca.crt}}]
users: [{name: me, user: {token: second}}]
`,
      'c/third': `
current-context: other
clusters: [{name: shared, cluster: {server: 'https://third.example.org', tls-server-name: third}}]
`,
    },
    listed: ['a/first', 'none', '', 'b/second', 'c/third'],
  },
  { name: 'files that are not there', files: {}, listed: ['none', 'neither'] },
  { name: 'no file', files: {} },
  { name: 'an empty file', files: { '.kube/config': '' } },
  {
    name: 'JSON',
    files: {
      '.kube/config': JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        'current-context': 'main',
        contexts: [{ name: 'main', context: { cluster: 'one', user: 'me', namespace: 'ml' } }],
        clusters: [{ name: 'one', cluster: { server: 'https://[fd00::1]:6443' } }],
        users: [{ name: 'me', user: { token: 'abc' } }],
      }),
    },
  },
  {
    name: 'anchors and aliases',
    files: {
      '.kube/config': `
current-context: main
clusters: [{name: one, cluster: &it {server: 'https://one.example.org'}}, {name: two, cluster: *it}]
contexts: [{name: main, context: {cluster: two, user: me}}]
users: [{name: me, user: {token: abc}}]
`,
    },
  },
  { name: 'a name twice', files: { '.kube/config': `${MANY}- {name: dev, user: {token: other}}\n` } },
  { name: 'a number for a token', files: { '.kube/config': simple(['token: 12345']) } },
  { name: 'YAML that is none', files: { '.kube/config': 'current-context: [secret-value\nusers: {' } },
  { name: 'a list', files: { '.kube/config': '- secret-value\n' } },
];
