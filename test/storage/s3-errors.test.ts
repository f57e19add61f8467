import { expect, test } from 'vitest';
import { s3Error } from '../../src/storage/s3-errors.ts';

test('what a store says of what it cannot do is told on one line, without signatures', () => {
  const refused = Object.assign(
    new Error(`not implemented\n\u001b[31m Signature=0123456789abcdef ${'x'.repeat(2000)}`),
    {
      name: 'InvalidRequest',
      $metadata: { httpStatusCode: 400 },
    },
  );
  const context = {
    name: 's3://data/team',
    bucket: 'data',
    endpoint: undefined,
    profile: undefined,
    action: 's3:PutObject',
    key: 'mlv.json',
  } as const;
  expect(s3Error(refused, context)).toMatchObject({
    code: 'remote-unsupported',
    message: 'the store does not do what was asked of it: not implemented [31m Signature=… …',
  });
});
