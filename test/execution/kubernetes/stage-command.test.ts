/** What a kubelet runs of a stage's commands: the command of its container, by a real shell. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { submissionOf } from '../../../src/execution/kubernetes/job.ts';
import type { Container } from '../../../src/execution/kubernetes/objects.ts';
import { expand } from '../../support/kubernetes/expand.ts';
import { requestOf } from './requests.ts';

function containerOf(commands: readonly string[], environment: Record<string, string> = {}): Container {
  const { job } = submissionOf(
    requestOf({ stage: { commands, env: Object.keys(environment) }, request: { environment } }),
  );
  const found = job.spec.template.spec.initContainers.find(({ name }) => name === 'stage');
  if (found === undefined) throw new Error('no container called stage');
  return found;
}

/** As a kubelet does it: variables in the order of the list, each of the ones before it, then the command. */
function resolved({ env, command }: Container): { command: string[]; variables: Map<string, string> } {
  const variables = new Map<string, string>();
  for (const variable of env) if ('value' in variable) variables.set(variable.name, expand(variable.value, variables));
  return { command: command.map((word) => expand(word, variables)), variables };
}

function start(commands: readonly string[], environment: Record<string, string> = {}) {
  const { command, variables } = resolved(containerOf(commands, environment));
  const [program = '', ...args] = command;
  const child = spawn(program, args, {
    env: { PATH: process.env['PATH'], ...Object.fromEntries(variables) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const ended = once(child, 'close').then(([code, signal]: unknown[]) => ({ code, signal, stdout }));
  return { child, ended };
}

test('commands run one after another, each in a shell of its own', async () => {
  const { ended } = start(
    ['x=1; cd /; echo "a $x"', 'echo "b${x-} $MLV_STAGE"', "printf '%s\\n' '$(HOME)' \"$PRICE\" $((2 * 3))"],
    {
      PRICE: '$5 $(HOME) $$',
    },
  );
  expect(await ended).toEqual({
    code: 0,
    signal: null,
    stdout: 'a 1\nb train\n$(HOME)\n$5 $(HOME) $$\n6\n',
  });
});

test.each([
  [['exit 3', 'echo no'], 3],
  [['echo a', 'false', 'echo no'], 1],
  [['echo a', 'exit 77'], 77],
  [['echo a; exit 0', 'no-such-program-anywhere 2>/dev/null'], 127],
])('the first that fails is the last: %j', async (commands, code) => {
  const { ended } = start(commands);
  expect(await ended).toEqual({ code, signal: null, stdout: commands[0]?.startsWith('echo') === true ? 'a\n' : '' });
});

test('the last command gets the signal that ends the pod, to save how far it got', async () => {
  const { child, ended } = start(['true', 'trap "echo saved; exit 9" TERM; echo ready; while :; do sleep 0.05; done']);
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  expect(await ended).toEqual({ code: 9, signal: null, stdout: 'ready\nsaved\n' });
});

test('every command and value arrives as it was written', () => {
  const text = fc
    .array(fc.constantFrom('$', '$$', '$(', ')', '(', '$(HOME)', '$(SEED)', '${x}', 'a', ' ', '\n', "'", '"', '\\'))
    .map((parts) => parts.join(''));
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 3 }), text, (commands, seed) => {
      const { command, variables } = resolved(containerOf(commands, { SEED: seed }));
      expect(command.slice(4)).toEqual(commands);
      expect(variables.get('SEED')).toBe(seed);
    }),
  );
});
