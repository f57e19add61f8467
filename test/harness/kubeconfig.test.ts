/**
 * What client-go, which kubectl is made of, makes of the kubeconfigs that `npm test` compares mlv with. MLV_CLIENTCMD=write keeps what it
 * prints.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { writeFiles } from '../support/folders.ts';
import { KUBECONFIG_SAMPLES } from '../support/kubernetes/kubeconfig-samples.ts';

const SOURCE = fileURLToPath(new URL('../support/kubernetes/clientcmd', import.meta.url));
const PRINTED = fileURLToPath(new URL('../execution/kubernetes/clientcmd-printed.json', import.meta.url));

const reason = spawnSync('go', ['version']).status === 0 ? undefined : 'there is no Go to build client-go with';
if (reason !== undefined) console.log(`skipped: ${reason}`);

test.skipIf(reason !== undefined)(
  'the kept answers are those of client-go',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'mlv-clientcmd-'));
    try {
      const program = join(folder, 'clientcmd');
      execFileSync('go', ['build', '-o', program, '.'], {
        cwd: SOURCE,
        env: { ...process.env, GOFLAGS: '-mod=readonly' },
      });
      const printed = KUBECONFIG_SAMPLES.map((sample, index) => {
        const home = join(folder, `sample-${index}`);
        writeFiles(home, { none: '', ...sample.files });
        rmSync(join(home, 'none'));
        const { listed, context } = sample;
        const answer = execFileSync(program, context === undefined ? [] : [context], {
          env: {
            HOME: home,
            ...(listed && { KUBECONFIG: listed.map((path) => (path === '' ? '' : join(home, path))).join(delimiter) }),
          },
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        return [sample.name, JSON.parse(answer.replaceAll(home, '/HOME'))];
      });
      const text = `${JSON.stringify(Object.fromEntries(printed), null, 2)}\n`;
      if (process.env['MLV_CLIENTCMD'] === 'write') writeFileSync(PRINTED, text);
      expect(JSON.parse(readFileSync(PRINTED, 'utf8'))).toEqual(JSON.parse(text));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
  600_000,
);
