/** The CRCs that S3 knows: CRC-32 by zlib; CRC-32C and CRC-64/NVME by table; and putting those of parts together. */
import { crc32 } from 'node:zlib';

export type CrcName = 'crc32' | 'crc32c' | 'crc64nvme';

const POLYNOMIALS: Readonly<Record<CrcName, { width: number; reflected: bigint }>> = {
  crc32: { width: 32, reflected: 0xedb88320n },
  crc32c: { width: 32, reflected: 0x82f63b78n },
  crc64nvme: { width: 64, reflected: 0x9a6c9329ac4bc9b5n },
};

let castagnoli: Uint32Array | undefined;
let nvme: { high: Uint32Array; low: Uint32Array } | undefined;

/** A running CRC; `digest` is big-endian, as S3 writes it. */
export function crcDigester(name: CrcName): { update(bytes: Uint8Array): void; digest(): Buffer } {
  if (name === 'crc64nvme') return crc64Digester();
  let value = 0;
  return {
    update(bytes) {
      value = name === 'crc32' ? crc32(bytes, value) : crc32c(bytes, value);
    },
    digest: () => bigEndian(BigInt(value), 32),
  };
}

/** The CRC of two byte strings one after the other, from the CRC of each and the length of the second. */
export function combineCrcs(name: CrcName, first: Buffer, second: Buffer, secondLength: number): Buffer {
  const { width, reflected } = POLYNOMIALS[name];
  const top = 1n << BigInt(width - 1);
  const multiply = (a: bigint, b: bigint): bigint => {
    let product = 0n;
    for (let bit = top; bit !== 0n; bit >>= 1n) {
      if ((a & bit) !== 0n) product ^= b;
      b = (b & 1n) === 0n ? b >> 1n : (b >> 1n) ^ reflected;
    }
    return product;
  };
  // x^(8 · length): in this order of bits, 1 is the top bit and x the next.
  let power = top;
  let square = top >> 1n;
  for (let exponent = 8n * BigInt(secondLength); exponent > 0n; exponent >>= 1n) {
    if ((exponent & 1n) === 1n) power = multiply(power, square);
    square = multiply(square, square);
  }
  return bigEndian(multiply(power, toNumber(first)) ^ toNumber(second), width);
}

function crc32c(bytes: Uint8Array, before: number): number {
  castagnoli ??= Uint32Array.from({ length: 256 }, (_, byte) => Number(tableEntry('crc32c', byte)));
  let value = ~before;
  for (const byte of bytes) value = (value >>> 8) ^ (castagnoli[(value ^ byte) & 255] ?? 0);
  return ~value >>> 0;
}

function crc64Digester(): { update(bytes: Uint8Array): void; digest(): Buffer } {
  nvme ??= {
    high: Uint32Array.from({ length: 256 }, (_, byte) => Number(tableEntry('crc64nvme', byte) >> 32n)),
    low: Uint32Array.from({ length: 256 }, (_, byte) => Number(tableEntry('crc64nvme', byte) & 0xffffffffn)),
  };
  const table = nvme;
  let [high, low] = [0xffffffff, 0xffffffff];
  return {
    update(bytes) {
      for (const byte of bytes) {
        const entry = (low ^ byte) & 255;
        low = ((low >>> 8) | (high << 24)) ^ (table.low[entry] ?? 0);
        high = (high >>> 8) ^ (table.high[entry] ?? 0);
      }
    },
    digest() {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32BE(~high >>> 0, 0);
      bytes.writeUInt32BE(~low >>> 0, 4);
      return bytes;
    },
  };
}

function tableEntry(name: CrcName, byte: number): bigint {
  let value = BigInt(byte);
  for (let bit = 0; bit < 8; bit++) {
    value = (value & 1n) === 0n ? value >> 1n : (value >> 1n) ^ POLYNOMIALS[name].reflected;
  }
  return value;
}

function toNumber(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`);
}

function bigEndian(value: bigint, width: number): Buffer {
  return Buffer.from(value.toString(16).padStart(width / 4, '0'), 'hex');
}
