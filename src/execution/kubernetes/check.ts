/** What an examination of a cluster comes to. */
import { MlvError } from '../../domain/errors.ts';

export interface Check {
  /** What was looked at: `server`. */
  readonly what: string;
  readonly result: 'ok' | 'warning' | 'failed' | 'not known';
  readonly message: string;
  /** What to do next. */
  readonly hint?: string;
}

/** Runs one look at a cluster. What is refused in it becomes its result; what one may not look at is not known. */
export async function checking(what: string, look: () => Promise<readonly Check[]>): Promise<readonly Check[]> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof MlvError) || error.kind === 'interrupted') throw error;
    return [failed(what, error)];
  }
}

/** As `checking`, of what few may see. */
export async function checkingIfAllowed(
  what: string,
  look: () => Promise<readonly Check[]>,
): Promise<readonly Check[]> {
  return checking(what, async () => {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof MlvError) || error.code !== 'kubernetes-forbidden') throw error;
      // What follows is the server's own words for it.
      return [{ what, result: 'not known', message: error.message.split(': ')[0] ?? '' }];
    }
  });
}

export function failed(what: string, { message, hint, items }: MlvError): Check {
  return { what, result: 'failed', message: [message, ...items].join('; '), ...(hint !== undefined && { hint }) };
}
