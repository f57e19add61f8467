import { MlvError } from '../../../src/domain/errors.ts';
import { readAnswer, told } from '../../../src/storage/s3-answer.ts';
import { s3Error } from '../../../src/storage/s3-errors.ts';
import { TransientError } from '../../../src/storage/transient-error.ts';
import type { Target } from '../target.ts';
import { check } from '../target.ts';

const CONTEXT = {
  name: 's3://bucket/prefix',
  bucket: 'bucket',
  endpoint: undefined,
  profile: undefined,
  action: 's3:GetObject',
  key: 'mlv.json',
} as const;

export function answerTargets(): Target[] {
  return [
    {
      name: 'refusal of a bucket',
      // Status, headers, then what the body says: name and message.
      seeds: [
        '403\n\nAccessDenied\nAccess Denied',
        '301\nx-amz-bucket-region: eu-west-1\nPermanentRedirect\nelsewhere',
        '503\nretry-after: 120\nSlowDown\nPlease reduce your request rate',
        '400\ndate: Tue, 01 Sep 2026 10:00:00 GMT\nRequestTimeTooSkewed\nThe difference is too large',
        '404\n\nNoSuchKey\nno such key',
        '200\n\nSyntaxError\nUnexpected <',
        '400\n\nSignatureDoesNotMatch\nSignature=0123456789abcdef',
      ],
      words: [
        'x-amz-bucket-region: ',
        'retry-after: ',
        'date: ',
        'ExpiredToken',
        'NoSuchUpload',
        'NoSuchBucket',
        'InvalidRange',
        'KMS.DisabledException',
        'CERT_HAS_EXPIRED',
        'ECONNREFUSED',
        'HPE_INVALID',
        'CredentialsProviderError',
        'not implemented',
        '412',
        '416',
        '501',
        '507',
      ],
      run: runAnswer,
    },
  ];
}

function runAnswer(input: Buffer): void {
  const [status = '', header = '', name = '', ...message] = input.toString('utf8').split('\n');
  const [field = '', ...value] = header.split(': ');
  const error = Object.assign(new Error(message.join('\n')), {
    name,
    $metadata: { httpStatusCode: Number(status) },
    $response: { statusCode: Number(status), headers: { [field.toLowerCase()]: value.join(': ') } },
    Region: name,
  });
  const answer = readAnswer(error);
  check(told(answer).length < 1000, 'what a store says is told in a few words');
  check(answer.region === undefined || /^[A-Za-z0-9-]{1,63}$/.test(answer.region), 'a region is a part of a host name');
  const found = s3Error(error, CONTEXT);
  check(found instanceof MlvError || found instanceof TransientError, 'every answer is an error of ours');
  check(found.message.length < 2000 && !/[\x00-\x1f\x7f]/.test(found.message), 'a message is one line of text');
}
