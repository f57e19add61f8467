import { paramFormat, parseJsonParams } from '../domain/param-json.ts';
import type { ParamValue } from '../domain/pipeline.ts';

/** A larger file of parameters is refused unread. */
export const MAX_PARAM_BYTES = 64 << 20;

/** What a file of parameters, or of metrics, says: JSON or TOML by the end of its name, anything else as YAML. Throws `param-file-invalid`. */
export async function parseParamFile(text: string, path: string): Promise<ParamValue> {
  if (paramFormat(path) === 'json') return parseJsonParams(text, path);
  const [{ parseParamNode }, { valueOf }] = await Promise.all([
    import('../domain/param-document.ts'),
    import('../domain/pipeline-source.ts'),
  ]);
  return valueOf(parseParamNode(text, path));
}
