/** Files of parameters, and of metrics: how they are read, and those that need no parser but the engine's own. */
import { MlvError } from './errors.ts';
import type { ParamValue } from './pipeline.ts';

/** What is read is walked through by calls within calls. */
export const MAX_PARAM_DEPTH = 100;

/** How a file is read, by the end of its name. */
export function paramFormat(path: string): 'yaml' | 'json' | 'toml' {
  if (/\.json$/i.test(path)) return 'json';
  return /\.toml$/i.test(path) ? 'toml' : 'yaml';
}

/** What a JSON file says. Throws `param-file-invalid`. */
export function parseJsonParams(text: string, path: string): ParamValue {
  let value: ParamValue;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, '')) as ParamValue;
  } catch (error) {
    // A RangeError is brackets without end.
    if (error instanceof SyntaxError) throw paramFileInvalid(`${path}: ${lowerFirst(error.message)}`);
    if (error instanceof RangeError) throw paramFileInvalid(`${path}: nested too deeply`);
    throw error;
  }
  if (!isWithin(value, MAX_PARAM_DEPTH)) throw paramFileInvalid(`${path}: nested too deeply`);
  return value;
}

export function paramFileInvalid(message: string): MlvError {
  return new MlvError({
    code: 'param-file-invalid',
    kind: 'corrupt',
    message,
    hint: 'Correct it in an editor. The end of its name tells how it is read: .json, .toml, anything else as YAML.',
  });
}

export function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function isWithin(value: ParamValue, depth: number): boolean {
  if (value === null || typeof value !== 'object') return true;
  return depth > 0 && Object.values(value).every((each: ParamValue) => isWithin(each, depth - 1));
}
