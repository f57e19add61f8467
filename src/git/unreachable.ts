import { MlvError } from '../domain/errors.ts';

/** What Git says of a repository that it cannot read from: a pattern, the code, what it means, what to do. First match counts. */
const REASONS: readonly (readonly [pattern: RegExp, code: string, meaning: string, hint: string])[] = [
  [
    /terminal prompts disabled|could not read (?:Username|Password)|Authentication failed|Permission denied|HTTP Basic: Access denied|error: 40[13]/i,
    'repo-login',
    'asks for a login that Git does not have, or refuses the one it has',
    'Let Git learn it: "git ls-remote URL", with a credential helper ("git config --global credential.helper store", gh auth setup-git) or a key in ssh-agent. Then run this again.',
  ],
  [
    /repository .*not found|does not appear to be a git repository|does not exist|not a git repository|error: 404|no such repository|access denied or repository not exported/i,
    'repo-missing',
    'is no Git repository',
    'Check the spelling. A server that asks for a login may say this, too.',
  ],
  [
    /transport '.*' not allowed/i,
    'repo-unsupported',
    'is reached by a way that is not let through',
    'Use https, ssh, or a folder. GIT_ALLOW_PROTOCOL, if it is set, has to name it.',
  ],
  [
    /could not resolve host|unable to (?:connect|access|look up)|failed to connect|connection (?:refused|timed out|reset|closed)|network is unreachable|could not read from remote|operation timed out|early EOF|hung up/i,
    'repo-unreachable',
    'cannot be reached',
    'Check the address and the network: git ls-remote URL. What was read before can be named by its full commit id.',
  ],
];

/** The error for a repository that Git could not read from; undefined where what it says is none of the known reasons. */
export function explainUnreachable(url: string, stderr: string): MlvError | undefined {
  const found = REASONS.find(([pattern]) => pattern.test(stderr));
  if (found === undefined) return undefined;
  const [, code, meaning, hint] = found;
  const said = stderr.split('\n').find((line) => /^(?:fatal|ERROR|error|ssh): /.test(line));
  return new MlvError({
    code,
    kind: code === 'repo-missing' ? 'missing' : code === 'repo-unsupported' ? 'unsupported' : 'io',
    message: `${url} ${meaning}${said === undefined ? '' : ` (${said.trim()})`}`,
    hint,
  });
}
