/** What commands on stages have in common. */
export const STAGES = {
  targets: {
    many: true,
    value: 'STAGE',
    about: 'a stage, "train" or "sub/mlv.yaml:train"; a file for all in it',
  },
} as const;

export const STAGE_CHOICE = {
  single: { type: 'boolean', short: 's', about: 'the targets alone, without the stages that they read from' },
  downstream: { type: 'boolean', about: 'the targets, and all stages that read from them' },
} as const;
