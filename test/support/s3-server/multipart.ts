/** Uploads by parts: creating, sending, completing, aborting. */
import { receiveBody, receiveNothing, receiveXml } from './body.ts';
import { headerOf, type ObjectCall, type Reply } from './call.ts';
import {
  algorithmLabel,
  CHECKSUM_NAMES,
  type ChecksumName,
  checksumNamed,
  type ChecksumType,
  checksumValue,
  combineChecksums,
  digester,
} from './checksums.ts';
import { discardContent, joinContents } from './content.ts';
import { s3Error } from './errors.ts';
import { encryptionHeaders, etagOf, invalidArgument, objectFacts, refuseEncryptionHeaders } from './facts.ts';
import { checksumHeaders } from './objects.ts';
import { checkWrite, type Part, type StoredObject, storeObject, type Upload } from './store.ts';
import { childText, parseXml, type XmlElement, xmlDocument } from './xml.ts';

const MAX_PARTS = 10_000;
const MIN_PART = 5 << 20;

export async function createUpload(call: ObjectCall): Promise<Reply> {
  await receiveNothing(call);
  const { bucket, key } = call;
  const checksum = uploadChecksum(call);
  const upload: Upload = {
    ...objectFacts(call),
    id: call.nextId('upload'),
    key,
    initiated: call.now(),
    checksum,
    parts: new Map(),
  };
  bucket.uploads.set(upload.id, upload);
  return {
    status: 200,
    headers: {
      ...encryptionHeaders(upload),
      ...(checksum && {
        'x-amz-checksum-algorithm': algorithmLabel(checksum.name),
        'x-amz-checksum-type': checksum.type,
      }),
    },
    body: xmlDocument('InitiateMultipartUploadResult', { Bucket: bucket.name, Key: key, UploadId: upload.id }),
  };
}

export async function uploadPart(call: ObjectCall): Promise<Reply> {
  const text = call.target.query.get('partNumber') ?? '';
  const number = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (number < 1 || number > MAX_PARTS) {
    throw invalidArgument('Part number must be an integer between 1 and 10000, inclusive', 'partNumber', text);
  }
  refuseEncryptionHeaders(call);
  const upload = findUpload(call);
  const { content, md5, checksum } = await receiveBody(call);
  try {
    if (checksum?.name !== upload.checksum?.name) {
      throw s3Error('InvalidRequest', {
        message: `Checksum Type mismatch occurred, expected checksum Type: ${upload.checksum?.name ?? 'null'}, actual checksum Type: ${checksum?.name ?? 'null'}`,
      });
    }
    // It may have been completed or aborted meanwhile.
    findUpload(call);
  } catch (error) {
    await discardContent(content);
    throw error;
  }
  const before = upload.parts.get(number);
  const etag = etagOf(call, md5, upload);
  upload.parts.set(number, { number, content, etag, modified: call.now(), checksum: checksum?.value });
  if (before !== undefined) await discardContent(before.content);
  const checksums = checksum && { [`x-amz-checksum-${checksum.name}`]: checksum.value.toString('base64') };
  return { status: 200, headers: { etag: `"${etag}"`, ...encryptionHeaders(upload), ...checksums } };
}

export async function completeUpload(call: ObjectCall): Promise<Reply> {
  const { bucket, key } = call;
  refuseEncryptionHeaders(call);
  const request = parseXml(await receiveXml(call, { isChecksumOfBody: false }), 'CompleteMultipartUpload');
  const upload = findUpload(call);
  const parts = requestedParts(call, upload, request);
  const object = completedObject(call, upload, parts);
  const conditions = { ifMatch: headerOf(call, 'if-match'), ifNoneMatch: headerOf(call, 'if-none-match') };
  checkWrite(bucket, key, conditions, bucket.objects.get(key));
  bucket.uploads.delete(upload.id);
  const used = new Set(parts);
  for (const part of upload.parts.values()) if (!used.has(part)) await discardContent(part.content);
  await storeObject(bucket, object);
  return {
    status: 200,
    headers: encryptionHeaders(object),
    body: xmlDocument('CompleteMultipartUploadResult', {
      Location: `http://${call.req.headers.host}${call.target.canonicalPath}`,
      Bucket: bucket.name,
      Key: key,
      ETag: `"${object.etag}"`,
      ...(object.checksum && {
        [`Checksum${algorithmLabel(object.checksum.name)}`]: object.checksum.value,
        ChecksumType: object.checksum.type,
      }),
    }),
  };
}

export async function abortUpload(call: ObjectCall): Promise<Reply> {
  await receiveNothing(call);
  const upload = findUpload(call);
  call.bucket.uploads.delete(upload.id);
  await discardParts(upload);
  return { status: 204 };
}

export function findUpload({ bucket, key, target }: ObjectCall): Upload {
  const id = target.query.get('uploadId') ?? '';
  const upload = bucket.uploads.get(id);
  if (upload?.key !== key) throw s3Error('NoSuchUpload', { details: { UploadId: id } });
  return upload;
}

async function discardParts(upload: Upload): Promise<void> {
  for (const part of upload.parts.values()) await discardContent(part.content);
}

function uploadChecksum(call: ObjectCall): { name: ChecksumName; type: ChecksumType } | undefined {
  const label = headerOf(call, 'x-amz-checksum-algorithm');
  const type = headerOf(call, 'x-amz-checksum-type');
  if (label === undefined) {
    if (type === undefined) return undefined;
    throw s3Error('InvalidRequest', {
      message: 'The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.',
    });
  }
  const name = checksumNamed(label, 'x-amz-checksum-algorithm');
  const isWholeOnly = name === 'crc64nvme';
  const chosen = type ?? (isWholeOnly ? 'FULL_OBJECT' : 'COMPOSITE');
  if (chosen !== 'COMPOSITE' && chosen !== 'FULL_OBJECT') {
    throw s3Error('InvalidRequest', { message: 'Value for x-amz-checksum-type header is invalid.' });
  }
  if (isWholeOnly ? chosen === 'COMPOSITE' : name.startsWith('sha') && chosen === 'FULL_OBJECT') {
    throw s3Error('InvalidRequest', {
      message: `The ${chosen} checksum type cannot be used with the ${name} checksum algorithm.`,
    });
  }
  return { name, type: chosen };
}

function requestedParts(call: ObjectCall, upload: Upload, request: XmlElement): Part[] {
  const listed = request.children.filter(({ name }) => name === 'Part');
  if (listed.length === 0 || listed.length > MAX_PARTS) throw s3Error('MalformedXML');
  let last = 0;
  const parts = listed.map((element): Part => {
    const number = Number(childText(element, 'PartNumber'));
    const etag = childText(element, 'ETag');
    if (!Number.isInteger(number) || etag === undefined) throw s3Error('MalformedXML');
    if (number <= last) throw s3Error('InvalidPartOrder', { details: { UploadId: upload.id } });
    last = number;
    const part = upload.parts.get(number);
    const invalid = (): Error =>
      s3Error('InvalidPart', { details: { UploadId: upload.id, PartNumber: String(number), ETag: etag } });
    if (part === undefined || etag.replaceAll('"', '') !== part.etag) throw invalid();
    for (const name of CHECKSUM_NAMES) {
      const value = childText(element, `Checksum${algorithmLabel(name)}`);
      if (value !== undefined && (name !== upload.checksum?.name || value !== part.checksum?.toString('base64'))) {
        throw invalid();
      }
      if (value === undefined && name === upload.checksum?.name && upload.checksum.type === 'COMPOSITE') {
        throw s3Error('InvalidRequest', {
          message: `The upload was created using a ${name} checksum. The complete request must include the checksum for each part. It was missing for part ${number} in the request.`,
        });
      }
    }
    return part;
  });
  checkSizes(call, parts);
  return parts;
}

function checkSizes(call: ObjectCall, parts: readonly Part[]): void {
  const [first] = parts;
  for (const [index, { number, content, etag }] of parts.entries()) {
    const isLast = index === parts.length - 1;
    const isOdd = isLast ? content.size > (first?.content.size ?? 0) : content.size !== first?.content.size;
    if (call.rules.equalParts && isOdd) {
      throw s3Error('InvalidPart', { message: 'All non-trailing parts must have the same length.' });
    }
    if (isLast) continue;
    if (content.size < MIN_PART) {
      throw s3Error('EntityTooSmall', {
        details: {
          ProposedSize: String(content.size),
          MinSizeAllowed: String(MIN_PART),
          PartNumber: String(number),
          ETag: etag,
        },
      });
    }
  }
  const promised = headerOf(call, 'x-amz-mp-object-size');
  const size = parts.reduce((sum, part) => sum + part.content.size, 0);
  if (promised !== undefined && Number(promised) !== size) {
    throw s3Error('InvalidRequest', {
      message: `The provided 'x-amz-mp-object-size' header does not match what was computed: ${size}.`,
    });
  }
}

function completedObject(call: ObjectCall, upload: Upload, parts: readonly Part[]): StoredObject {
  const { checksum } = upload;
  const md5 = digester('md5');
  for (const part of parts) md5.update(Buffer.from(part.etag, 'hex'));
  const whole = checksum && {
    ...checksum,
    value: combineChecksums(
      checksum.name,
      checksum.type,
      parts.map((part) => ({ checksum: part.checksum ?? Buffer.alloc(0), size: part.content.size })),
    ),
  };
  checkPromised(call, whole);
  const { headers, storageClass, encryption, kmsKeyId, requestPayer } = upload;
  return {
    headers,
    storageClass,
    encryption,
    kmsKeyId,
    requestPayer,
    key: upload.key,
    content: joinContents(parts.map((part) => part.content)),
    etag: `${md5.digest().toString('hex')}-${parts.length}`,
    modified: call.now(),
    checksum: whole,
    parts: parts.map((part) => part.content.size),
  };
}

/** What Complete says the whole object hashes to. */
function checkPromised(call: ObjectCall, whole: StoredObject['checksum']): void {
  const type = headerOf(call, 'x-amz-checksum-type');
  if (type !== undefined && type !== whole?.type) {
    throw s3Error('InvalidRequest', { message: 'Value for x-amz-checksum-type header is invalid.' });
  }
  const known = checksumHeaders(whole);
  for (const name of CHECKSUM_NAMES) {
    const value = headerOf(call, `x-amz-checksum-${name}`);
    if (value === undefined) continue;
    if (whole?.type !== 'COMPOSITE') checksumValue(name, value);
    if (known[`x-amz-checksum-${name}`] !== value) {
      throw s3Error('BadDigest', {
        message: `The ${algorithmLabel(name)} you specified did not match the calculated checksum.`,
      });
    }
  }
}
