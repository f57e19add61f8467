/** What a request says of an object beside its bytes, and how answers tell it again. */
import { type Call, headerOf } from './call.ts';
import { s3Error } from './errors.ts';
import type { ObjectFacts } from './store.ts';

const STORAGE_CLASSES = new Set(
  'STANDARD REDUCED_REDUNDANCY STANDARD_IA ONEZONE_IA INTELLIGENT_TIERING GLACIER DEEP_ARCHIVE GLACIER_IR EXPRESS_ONEZONE'.split(
    ' ',
  ),
);
const RETURNED = ['content-type', 'cache-control', 'content-disposition', 'content-language', 'expires'];
const ENCRYPTION = 'x-amz-server-side-encryption';
const KMS_KEY = 'x-amz-server-side-encryption-aws-kms-key-id';

/** Of PutObject and CreateMultipartUpload. Throws where a value is none of S3's, or encryption is wanting. */
export function objectFacts(call: Call): ObjectFacts {
  const given = call.req.headers;
  if (Object.keys(given).some((name) => name.startsWith(`${ENCRYPTION}-customer-`))) {
    throw s3Error('NotImplemented', { details: { Header: `${ENCRYPTION}-customer-algorithm` } });
  }
  const storageClass = headerOf(call, 'x-amz-storage-class') ?? 'STANDARD';
  if (!STORAGE_CLASSES.has(storageClass)) {
    throw s3Error('InvalidStorageClass', { details: { StorageClassRequested: storageClass } });
  }
  const encryption = headerOf(call, ENCRYPTION);
  const kmsKeyId = headerOf(call, KMS_KEY);
  if (encryption !== undefined && !['AES256', 'aws:kms', 'aws:kms:dsse'].includes(encryption)) {
    throw invalidArgument('The encryption method specified is not supported', ENCRYPTION, encryption);
  }
  if (kmsKeyId !== undefined && !encryption?.startsWith('aws:kms')) {
    throw invalidArgument(`${KMS_KEY} needs ${ENCRYPTION}: aws:kms`, KMS_KEY, kmsKeyId);
  }
  const { requireEncryption } = call.rules;
  if (
    requireEncryption === true
      ? encryption === undefined
      : requireEncryption !== false && encryption !== requireEncryption
  ) {
    throw s3Error('AccessDenied', { message: 'The policy of this bucket asks for encryption' });
  }
  return {
    headers: returnedHeaders(call),
    storageClass,
    encryption,
    kmsKeyId,
    requestPayer: headerOf(call, 'x-amz-request-payer'),
  };
}

/** S3 takes headers about encryption where an object is made, and nowhere else. */
export function refuseEncryptionHeaders(call: Call): void {
  const name = [ENCRYPTION, KMS_KEY].find((each) => headerOf(call, each) !== undefined);
  if (name === undefined) return;
  throw invalidArgument(`${name} header is not supported for this operation.`, name, String(headerOf(call, name)));
}

export function encryptionHeaders({ encryption, kmsKeyId }: ObjectFacts): Record<string, string> {
  return {
    ...(encryption === undefined ? {} : { [ENCRYPTION]: encryption }),
    ...(kmsKeyId === undefined ? {} : { [KMS_KEY]: kmsKeyId }),
  };
}

/** The ETag of bytes with this MD5, or one that tells nothing where that is how the bucket, or the key, has it. */
export function etagOf(call: Call, md5: Buffer | undefined, facts: ObjectFacts): string {
  const isOpaque = call.rules.opaqueEtags || facts.encryption?.startsWith('aws:kms') === true;
  return md5 === undefined || isOpaque ? call.nextId('etag') : md5.toString('hex');
}

export function invalidArgument(message: string, name: string, value: string): Error {
  return s3Error('InvalidArgument', { message, details: { ArgumentName: name, ArgumentValue: value } });
}

function returnedHeaders(call: Call): Record<string, string> {
  const found: Record<string, string> = { 'content-type': 'binary/octet-stream' };
  for (const [name, value] of Object.entries(call.req.headers)) {
    if (typeof value === 'string' && (RETURNED.includes(name) || name.startsWith('x-amz-meta-'))) found[name] = value;
  }
  const encoding = (call.req.headers['content-encoding'] ?? '')
    .split(/\s*,\s*/)
    .filter((each) => each !== '' && each !== 'aws-chunked')
    .join(',');
  return encoding === '' ? found : { ...found, 'content-encoding': encoding };
}
