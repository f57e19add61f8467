import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combineChecksums, digester } from './checksums.ts';
import { childText, parseXml, xmlDocument } from './xml.ts';

describe('checksums', () => {
  // The check values of the CRC catalogue.
  test.each([
    ['crc32', 'cbf43926'],
    ['crc32c', 'e3069283'],
    ['crc64nvme', 'ae8b14860a799888'],
  ] as const)('%s of the digits from 1 to 9', (name, expected) => {
    const sum = digester(name);
    sum.update(Buffer.from('1234'));
    sum.update(Buffer.from('56789'));
    expect(sum.digest().toString('hex')).toBe(expected);
  });

  test.each(['crc32', 'crc32c', 'crc64nvme'] as const)('%s of parts makes that of the whole', (name) => {
    const of = (bytes: Uint8Array): Buffer => {
      const sum = digester(name);
      sum.update(bytes);
      return sum.digest();
    };
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 5 }), (parts) => {
        const described = parts.map((part) => ({ checksum: of(part), size: part.length }));
        expect(combineChecksums(name, 'FULL_OBJECT', described)).toBe(of(Buffer.concat(parts)).toString('base64'));
      }),
    );
  });
});

describe('XML', () => {
  test('comes back as it was written', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => {
        const read = parseXml(xmlDocument('Root', { Key: texts }), 'Root');
        expect(read.children.map(({ name, text }) => [name, text])).toEqual(texts.map((text) => ['Key', text]));
      }),
    );
  });

  test('may have declarations, comments, attributes and empty elements', () => {
    const text =
      '<?xml version="1.0"?>\n<A xmlns="http://x/">\n <!-- <B> --> <B/>\n<C d=\'1\'>&#65;&#x42;&lt;</C></A>\n';
    const read = parseXml(text, 'A');
    expect([childText(read, 'B'), childText(read, 'C'), childText(read, 'D')]).toEqual(['', 'AB<', undefined]);
  });

  test.each([
    '',
    'A',
    '<A>',
    '<A></B>',
    '<A/><A/>',
    '<B/>',
    'x<A/>',
    '<A><B></A></B>',
    '</A>',
    '<A>&#x110000;</A>',
    '<A>&b;</A>',
  ])('is refused: %s', (text) => {
    expect(() => parseXml(text, 'A')).toThrowError(expect.objectContaining({ code: 'MalformedXML' }));
  });
});
