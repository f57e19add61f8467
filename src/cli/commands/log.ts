import { log as versionsOf } from '../../workspace/log.ts';
import { formatDigest } from '../../domain/digest.ts';
import { defineCommand } from '../command.ts';
import { logSummaryLines, versionLines } from '../log-text.ts';

export const log = defineCommand({
  details: [
    'Tells the versions of a tracked path, or of everything tracked, newest first: the commits that git log shows for the pointers, what the data then was, and how many files were added, modified and deleted. Of a path inside a tracked folder: the versions in which it changed.',
    'It uses no network: of versions whose lists of files are not in the cache, what changed is not known.',
  ],
  streams: true,
  positionals: {
    path: { value: 'PATH', about: 'a tracked path, one inside it, or a folder; else all' },
  },
  options: {
    rev: { type: 'string', value: 'REV', about: 'the versions that lead to this revision, instead of HEAD' },
    maxCount: { type: 'number', short: 'n', value: 'N', about: 'the newest N commits alone' },
  },
  example: { command: 'mlv log -n 5 data', about: 'The last five versions of the folder data' },
  async run({ path, rev, maxCount }, { cwd, verb, open, emit }) {
    const result = await versionsOf(await open(), {
      path,
      rev,
      maxCount,
      cwd,
      signal: verb.signal,
      async emit(versions) {
        for (const [index, version] of versions.entries())
          await emit({
            data: { ...version, hash: formatDigest(version.hash) },
            text: (style) => versionLines(version, index === 0, style),
          });
      },
    });
    return { data: result, text: (style) => logSummaryLines(result, style), isAnswer: true };
  },
});
