/** `docs/formats.md` shows the samples as they are, and its links lead somewhere. */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(`${root}/docs/formats.md`, 'utf8');

test('the page shows the samples as they are', () => {
  const shown = [...page.matchAll(/^<!-- (fixtures\/formats\/\S+) -->\n\n```text\n(.*?)```$/gms)];
  expect(shown.map(([, path = '']) => path).sort()).toEqual(
    [
      'checkout-record.json',
      'index-shard.hex',
      'index.hex',
      'mlv.json',
      'pack-data.hex',
      'path-hashes.txt',
      'pointer-dir.mlv',
      'pointer-file.mlv',
      'purged.txt',
      'tombstones.txt',
      'tree-list.txt',
      'tree-page.txt',
      'tree-root-of-lists.txt',
      'tree-root.txt',
    ].map((name) => `fixtures/formats/${name}`),
  );
  for (const [, path = '', text] of shown) expect(text).toBe(readFileSync(`${root}/${path}`, 'utf8'));
});

test('its links and the paths it names lead somewhere', () => {
  const slugs = [...page.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replace(/ /g, '-'),
  );
  for (const [, anchor] of page.matchAll(/\]\(#([^)]+)\)/g)) expect(slugs).toContain(anchor);
  for (const [, path] of page.matchAll(/`((?:test|fixtures)\/[\w./-]+)`/g))
    expect(existsSync(`${root}/${path}`) ? path : `no ${path}`).toBe(path);
});
