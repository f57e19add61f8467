/** Who may do what, and which function does it. */
import { receiveNothing, receiveXml } from './body.ts';
import { type Call, headerOf, type ObjectCall, type Reply } from './call.ts';
import { s3Error } from './errors.ts';
import { bucketList, listObjects, listParts, listUploads } from './listing.ts';
import { abortUpload, completeUpload, createUpload, uploadPart } from './multipart.ts';
import { deleteMany, deleteOne, getObject, putObject } from './objects.ts';
import { type Bucket, makeBucket } from './store.ts';
import { childText, parseXml, xmlDocument } from './xml.ts';

interface Service {
  readonly buckets: Map<string, Bucket>;
  readonly region: string;
  /** Whether reading needs no signature. */
  readonly publicRead: boolean;
}

const WRITES = new Set([
  'AbortMultipartUpload',
  'CompleteMultipartUpload',
  'CreateBucket',
  'CreateMultipartUpload',
  'DeleteObject',
  'DeleteObjects',
  'PutObject',
  'UploadPart',
]);

/** Does what a request asks for, once its signature has been checked. */
export async function perform(call: Call, service: Service): Promise<Reply> {
  const { operation, target } = call;
  checkAllowed(call, service);
  if (operation === 'ListBuckets') {
    await receiveNothing(call);
    return { status: 200, body: xmlDocument('ListAllMyBucketsResult', bucketList(service.buckets.values())) };
  }
  if (operation === 'CreateBucket') return createBucket(call, service);
  const bucket = service.buckets.get(target.bucket ?? '');
  if (bucket === undefined) throw s3Error('NoSuchBucket', { details: { BucketName: target.bucket ?? '' } });
  if (call.rules.requesterPays && headerOf(call, 'x-amz-request-payer') !== 'requester') throw s3Error('AccessDenied');
  const reply = await performIn(bucket, call);
  if (!call.rules.requesterPays) return reply;
  return { ...reply, headers: { ...reply.headers, 'x-amz-request-charged': 'requester' } };
}

async function performIn(bucket: Bucket, call: Call): Promise<Reply> {
  const onKey: ObjectCall = { ...call, bucket, key: call.target.key ?? '' };
  switch (call.operation) {
    case 'HeadBucket':
      await receiveNothing(call);
      return { status: 200, headers: { 'x-amz-bucket-region': bucket.region } };
    case 'GetBucketLocation':
      await receiveNothing(call);
      return {
        status: 200,
        body: xmlDocument('LocationConstraint', bucket.region === 'us-east-1' ? '' : bucket.region),
      };
    case 'ListObjectsV2':
      return listObjects(call, bucket);
    case 'ListMultipartUploads':
      return listUploads(call, bucket);
    case 'DeleteObjects':
      return deleteMany(call, bucket);
    case 'GetObject':
    case 'HeadObject':
      return getObject(onKey);
    case 'PutObject':
      return putObject(onKey);
    case 'DeleteObject':
      return deleteOne(onKey);
    case 'CreateMultipartUpload':
      return createUpload(onKey);
    case 'UploadPart':
      return uploadPart(onKey);
    case 'CompleteMultipartUpload':
      return completeUpload(onKey);
    case 'AbortMultipartUpload':
      return abortUpload(onKey);
    case 'ListParts':
      return listParts(onKey);
    case 'ListBuckets':
    case 'CreateBucket':
      break;
  }
  throw new Error(`${call.operation} is not about what is in a bucket`);
}

function checkAllowed({ operation, identity }: Call, { publicRead }: Service): void {
  const { credential } = identity;
  const isAllowed =
    credential === undefined
      ? publicRead && !WRITES.has(operation) && operation !== 'ListBuckets'
      : !(credential.mode === 'read-only' && WRITES.has(operation)) && credential.denied?.includes(operation) !== true;
  if (!isAllowed) throw s3Error('AccessDenied');
}

async function createBucket(call: Call, { buckets, region }: Service): Promise<Reply> {
  const name = call.target.bucket ?? '';
  const text = await receiveXml(call);
  const asked = text === '' ? undefined : childText(parseXml(text, 'CreateBucketConfiguration'), 'LocationConstraint');
  if (!/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(name)) {
    throw s3Error('InvalidBucketName', { details: { BucketName: name } });
  }
  if (buckets.has(name)) throw s3Error('BucketAlreadyOwnedByYou', { details: { BucketName: name } });
  buckets.set(name, makeBucket(name, asked ?? region, call.now()));
  return { status: 200, headers: { location: `/${name}` } };
}
