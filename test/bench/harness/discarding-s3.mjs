// An S3 server for objects that no disk here can hold: node discarding-s3.mjs '{"length":BYTES}'. It takes uploads in parts and
// keeps nothing but the parts' numbers and sizes; every object that is read consists of so many zeros. Prints {"endpoint"}.
// For a line on standard input it prints what came: {"parts","partBytes","bytesIn","completed","complaint"}. Ends with it.
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

const ZEROS = Buffer.alloc(1 << 20);
/** The rules of S3 for uploads in parts. */
const MOST_PARTS = 10_000;
const LEAST_PART_BYTES = 5 << 20;

const { length } = JSON.parse(process.argv[2]);
const parts = new Map();
let completed = 0;
let complaint;

const server = createServer((request, response) => {
  const { method, headers } = request;
  const query = new URL(request.url, 'http://store').searchParams;
  const chunks = [];
  let received = 0;
  const isSmall = Number(headers['content-length'] ?? 0) < LEAST_PART_BYTES;
  request.on('data', (chunk) => {
    received += chunk.length;
    if (isSmall) chunks.push(chunk);
  });
  request.on('end', () => {
    if (method === 'GET') sendZeros(headers.range, response);
    else if (method === 'HEAD') response.writeHead(404).end();
    else if (method === 'PUT') takePart(query.get('partNumber'), received, response);
    else if (method !== 'POST') response.writeHead(204).end();
    else if (query.has('uploads')) sendXml(response, 'InitiateMultipartUploadResult', '<UploadId>1</UploadId>');
    else {
      complete(Buffer.concat(chunks).toString());
      sendXml(response, 'CompleteMultipartUploadResult', '<ETag>"1"</ETag>');
    }
  });
});
server.listen(0, '127.0.0.1', () =>
  console.log(JSON.stringify({ endpoint: `http://127.0.0.1:${server.address().port}` })),
);

for await (const _ of createInterface({ input: process.stdin })) {
  const sizes = [...parts.values()];
  const bytesIn = sizes.reduce((sum, size) => sum + size, 0);
  console.log(JSON.stringify({ parts: parts.size, partBytes: Math.max(0, ...sizes), bytesIn, completed, complaint }));
}
process.exit();

function takePart(name, bytes, response) {
  const number = Number(name);
  if (!(number >= 1 && number <= MOST_PARTS)) complaint = `there is no part ${name}`;
  parts.set(number, bytes);
  response.writeHead(200, { etag: `"${number}"` }).end();
}

function sendXml(response, element, content) {
  response.writeHead(200, { 'content-type': 'application/xml' }).end(`<${element}>${content}</${element}>`);
}

/** All that were sent must be named, in order, and be of one size but for the last. */
function complete(xml) {
  const numbers = [...xml.matchAll(/<PartNumber>(\d+)<\/PartNumber>/g)].map((match) => Number(match[1]));
  const sizes = numbers.map((number) => parts.get(number));
  const isInOrder = numbers.every((number, index) => number === index + 1);
  const areEqual = sizes.every((size, index) => size === sizes[0] || index === sizes.length - 1);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (!isInOrder || !areEqual || total !== length || sizes[0] < LEAST_PART_BYTES)
    complaint = 'the parts do not fit together';
  completed += 1;
}

function sendZeros(range, response) {
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
  let left = last - first + 1;
  response.writeHead(206, {
    'content-length': left,
    'content-range': `bytes ${first}-${last}/${length}`,
    etag: '"1"',
  });
  const send = () => {
    while (left > 0) {
      const chunk = ZEROS.subarray(0, Math.min(left, ZEROS.length));
      left -= chunk.length;
      if (response.write(chunk)) continue;
      response.once('drain', send);
      return;
    }
    response.end();
  };
  send();
}
