/** One of many who work on a project: a clone, and what all of them know of each commit. */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { readFolder, writeFiles } from '../../support/folders.ts';
import type { TestRepository } from '../../support/git.ts';
import type { Random } from '../random.ts';
import type { Crowd } from './crowd.ts';

/** What each commit has, by its id: a digest for each path. */
export type Recorded = Map<string, Readonly<Record<string, string>>>;

export interface Member extends TestRepository {
  readonly name: string;
  readonly random: Random;
  /** The commit that it is at. */
  head(): string;
  /** What is in its data. */
  contents(): Readonly<Record<string, string>>;
  /** Changes data, records it, commits. */
  change(): Promise<void>;
}

export interface MemberOptions {
  readonly name: string;
  readonly repository: TestRepository;
  readonly random: Random;
  readonly crowd: Crowd;
  readonly recorded: Recorded;
}

const FOLDERS = 4;
/** Contents are few, so that what one throws away others need. */
const CONTENTS = 60;
const LARGE_CONTENTS = 6;

export function makeMember({ name, repository, random, crowd, recorded }: MemberOptions): Member {
  const { root, git } = repository;
  let commits = 0;
  git('config', 'gc.auto', '0');
  const member: Member = {
    ...repository,
    name,
    random,
    head: () => git('rev-parse', 'HEAD'),
    contents: () =>
      Object.fromEntries(
        Object.entries(readFolder(join(root, 'data')) ?? {}).map(([path, content]) => [
          path,
          createHash('sha1').update(content).digest('hex'),
        ]),
      ),
    async change() {
      const folder = join(root, 'data', `part-${random.next(FOLDERS)}`);
      if (random.next(4) === 0) rmSync(folder, { recursive: true, force: true });
      const files: Record<string, string | Buffer> = {};
      for (let index = random.next(30); index >= 0; index--)
        files[`${random.next(50)}.txt`] = `content ${random.next(CONTENTS)}\n`;
      if (random.next(3) === 0) files['large'] = Buffer.alloc(3 << 19, `large ${random.next(LARGE_CONTENTS)}`);
      files[`of-${name}`] = `${name} ${commits}`;
      writeFiles(folder, files);
      await crowd.done(root, random.pick([['add', 'data'], ['commit']]));
      git('commit', '--quiet', '--all', '-m', `${name} ${commits++}`);
      recorded.set(member.head(), member.contents());
    },
  };
  return member;
}
