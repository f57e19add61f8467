import { MlvError } from '../domain/errors.ts';

/** What came damaged may have been altered on its way: it is asked for once more before that is thrown. */
export async function readTwice<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof MlvError) || !['corrupt', 'unsupported'].includes(error.kind)) throw error;
    return read();
  }
}
