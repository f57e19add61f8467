import type { CheckoutResult } from '../workspace/checkout.ts';
import { columns, countOf, formatBytes, shorten, type Style, visible } from './format.ts';

const MAX_OVERWRITTEN = 20;

/** What `checkout` and `pull` say of what they brought into the workspace. */
export function checkoutLines(result: CheckoutResult, style: Style, limit: number = MAX_OVERWRITTEN): string[] {
  return [...doneLines(result, style, limit), ...purgedLines(result.purged, style, limit)];
}

/** What was left out, as it must not exist any more. */
export function purgedLines(purged: readonly string[], style: Style, limit: number = MAX_OVERWRITTEN): string[] {
  return shorten(purged.map(visible), limit, style);
}

function doneLines(result: CheckoutResult, style: Style, limit: number): string[] {
  const touched = result.items.filter(({ written, removed, kept }) => written + removed + kept > 0);
  if (touched.length === 0) return [style.good('Nothing to check out')];
  const lines = columns(
    touched.map(({ path, written, removed, kept, bytes }) => {
      const parts: string[] = [];
      if (written > 0) parts.push(`${countOf(written, 'file')} written, ${formatBytes(bytes)}`);
      if (removed > 0) parts.push(`${countOf(removed, 'file')} removed`);
      if (kept > 0) parts.push(style.changed(`${countOf(kept, 'edit')} kept`));
      return [visible(path), parts.join('; ')];
    }),
  );
  const { overwritten } = result;
  return overwritten.length === 0
    ? lines
    : [
        ...lines,
        style.changed(`${countOf(overwritten.length, 'edit')} overwritten`),
        ...shorten(
          overwritten.map((path) => `    ${visible(path)}`),
          limit,
          style,
          '    ',
        ),
      ];
}
