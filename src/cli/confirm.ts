import { MlvError } from '../domain/errors.ts';
import type { Context } from './command.ts';

/**
 * Shows what is about to happen, and asks for it. Throws `not-confirmed`, with the same lines, where nobody is there to be asked.
 * `nothing` is what then was not done: `nothing was purged`.
 */
export async function confirmed(
  ask: Context['ask'],
  given: {
    readonly lines: readonly string[];
    readonly question: string;
    readonly command: string;
    readonly nothing: string;
  },
): Promise<boolean> {
  const { lines, question, command, nothing } = given;
  const answer = await ask(`${lines.join('\n')}\n${question} [y/N] `);
  if (answer !== undefined) return answer;
  throw new MlvError({
    code: 'not-confirmed',
    kind: 'refused',
    message: `${nothing}: nobody is there to be asked`,
    hint: `"mlv ${command} --yes" does it without asking; "mlv ${command} --dry-run" only shows it.`,
    items: lines,
  });
}
