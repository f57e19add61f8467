/** What `push`, `pull` and `fetch` have in common. */
export const TRANSFER_OPTIONS = {
  remote: { type: 'string', short: 'r', value: 'NAME', about: 'this remote, not the default one' },
  jobs: { type: 'number', short: 'j', value: 'N', about: 'at most N requests at once' },
  rev: { type: 'string', value: 'REV', about: 'the data of this commit, branch or tag' },
  allBranches: { type: 'boolean', about: 'the data of all branches' },
  allTags: { type: 'boolean', about: 'the data of all tags' },
  allCommits: { type: 'boolean', about: 'the data of every commit there is' },
} as const;

/** Of those of them that also carry results of stages. */
export const RUN_CACHE_OPTION = {
  runCache: { type: 'boolean', about: 'known results of stages, too' },
} as const;
