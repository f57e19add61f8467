/**
 * Kubernetes' own schemas, for decoding as strictly as the API server can: which fields there are, and of what type. They are read
 * from the type declarations of the package `kubernetes-models`, generated from the OpenAPI documents of Kubernetes; its validators
 * let unknown fields pass.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Cause } from './status.ts';
import type { ResourceType } from './resources.ts';

type Shape =
  | { readonly kind: 'any' | 'string' | 'number' | 'boolean' }
  | { readonly kind: 'enum'; readonly values: readonly string[] }
  | { readonly kind: 'array' | 'map'; readonly of: Shape }
  | { readonly kind: 'union'; readonly of: readonly Shape[] }
  | { readonly kind: 'reference'; readonly file: string };

interface Struct {
  readonly name: string;
  readonly fields: ReadonlyMap<string, { readonly shape: Shape; readonly isRequired: boolean }>;
}

export interface Decoded {
  /** Without the fields that are not known, and without nulls. */
  readonly object: unknown;
  /** Paths such as `spec.template.spec.containers[0].imagee`. */
  readonly unknown: readonly string[];
  /** Why JSON of that type cannot be decoded at all. */
  readonly mistyped: string | undefined;
  /** Missing fields and values that are none of the known ones. */
  readonly causes: readonly Cause[];
}

/** What the schemas require, and the API server fills in all the same. */
const FILLED_IN = /^(?:apiVersion|kind)$|\.onPodConditions\[\d+\]\.status$/;

const require = createRequire(import.meta.url);
const MODELS = dirname(require.resolve('kubernetes-models'));
const declared = new Map<string, Struct | Shape>();

/** Reads an object as one of its kind. Status is not looked at: clients' status is ignored on creation. */
export function decode(type: ResourceType, value: unknown): Decoded {
  const folder = type.group === '' ? 'v1' : `${type.group}/v1`;
  const root: Shape = { kind: 'reference', file: join(MODELS, folder, `${type.kind}.d.ts`) };
  const unknown: string[] = [];
  const causes: Cause[] = [];
  let mistyped: string | undefined;

  function visit(shape: Shape, data: unknown, at: { path: string; owner: string }): unknown {
    switch (shape.kind) {
      case 'any':
        return data;
      case 'string':
      case 'number':
      case 'boolean':
        if (typeof data !== shape.kind) mistyped ??= unmarshalError(data, at, shape.kind);
        return data;
      case 'enum':
        if (typeof data !== 'string') mistyped ??= unmarshalError(data, at, 'string');
        else if (!shape.values.includes(data) && !at.path.endsWith('.kind') && at.path !== 'apiVersion') {
          const known = shape.values.map((each) => JSON.stringify(each)).join(', ');
          const message = `Unsupported value: ${JSON.stringify(data)}: supported values: ${known}`;
          causes.push({ reason: 'FieldValueNotSupported', message, field: at.path });
        }
        return data;
      case 'union':
        if (shape.of.some((each) => each.kind === 'any' || each.kind === typeof data)) return data;
        return visit(shape.of[0] ?? { kind: 'any' }, data, at);
      case 'array': {
        if (!Array.isArray(data)) {
          mistyped ??= unmarshalError(data, at, 'array');
          return data;
        }
        return data.map((each, index) => visit(shape.of, each, { ...at, path: `${at.path}[${index}]` }));
      }
      case 'map': {
        if (!isObject(data)) {
          mistyped ??= unmarshalError(data, at, 'map');
          return data;
        }
        const entries = Object.entries(data).filter(([, each]) => each !== null);
        return Object.fromEntries(
          entries.map(([key, each]) => [key, visit(shape.of, each, { ...at, path: `${at.path}.${key}` })]),
        );
      }
      case 'reference':
        break;
    }
    const target = declarationIn(shape.file);
    return 'fields' in target ? visitStruct(target, data, at) : visit(target, data, at);
  }

  function visitStruct({ name, fields }: Struct, data: unknown, at: { path: string; owner: string }): unknown {
    if (!isObject(data)) {
      mistyped ??= unmarshalError(data, at, `v1.${name}`);
      return data;
    }
    const kept: Record<string, unknown> = {};
    for (const [key, each] of Object.entries(data)) {
      const path = at.path === '' ? key : `${at.path}.${key}`;
      const field = fields.get(key);
      if (path === 'status') kept[key] = each;
      else if (field === undefined) unknown.push(path);
      else if (each !== null) kept[key] = visit(field.shape, each, { path, owner: name });
    }
    for (const [key, { isRequired }] of fields) {
      const path = at.path === '' ? key : `${at.path}.${key}`;
      if (isRequired && kept[key] === undefined && !FILLED_IN.test(path)) {
        causes.push({ reason: 'FieldValueRequired', message: 'Required value', field: path });
      }
    }
    return kept;
  }

  const object = visit(root, value, { path: '', owner: type.kind });
  return { object, unknown, mistyped, causes };
}

function unmarshalError(data: unknown, { path, owner }: { path: string; owner: string }, wanted: string): string {
  const found = Array.isArray(data) ? 'array' : typeof data === 'boolean' ? 'bool' : typeof data;
  const type = wanted === 'number' ? 'int32' : wanted === 'boolean' ? 'bool' : wanted;
  return `json: cannot unmarshal ${found} into Go struct field ${owner}.${path.replaceAll(/\[\d+\]/g, '')} of type ${type}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function declarationOf(specifier: string): string {
  return require.resolve(specifier).replace(/\.m?js$/, '.d.ts');
}

/** What a file declares: a struct, or another name for a type. */
function declarationIn(file: string): Struct | Shape {
  const known = declared.get(file);
  if (known !== undefined) return known;
  const text = readFileSync(file, 'utf8').replaceAll(/\/\*[^]*?\*\//g, '');
  const imports = new Map<string, string>();
  for (const [, names = '', from = ''] of text.matchAll(/import(?: type)? \{([^}]*)\} from ["']([^"']+)["']/g)) {
    for (const name of names.split(',')) imports.set(name.replace(/^.* as /, '').trim(), from);
  }
  const toFile = (name: string): string | undefined => {
    const from = imports.get(name);
    if (from === undefined) return undefined;
    return from.startsWith('.') ? `${join(dirname(file), from).replace(/\.m?js$/, '')}.d.ts` : declarationOf(from);
  };
  const alias = /export (?:declare )?type (\w+) = ([^;]+);/.exec(text);
  const struct = /export interface I(\w+)[^{]*\{\n([^]*?)\n\}/.exec(text);
  let result: Struct | Shape;
  if (struct !== null) result = { name: struct[1] ?? '', fields: fieldsIn(struct[2] ?? '', toFile) };
  else if (alias !== null) result = shapeOf(alias[2] ?? '', toFile);
  else throw new Error(`${file} declares no type`);
  declared.set(file, result);
  return result;
}

function fieldsIn(body: string, toFile: (name: string) => string | undefined): Struct['fields'] {
  const fields = new Map<string, { shape: Shape; isRequired: boolean }>();
  for (const [, key = '', optional, type = ''] of body.matchAll(/^ {4}"([^"]+)"(\?)?: ((?:[^;{]|\{[^}]*\})+);/gm)) {
    fields.set(key, { shape: shapeOf(type, toFile), isRequired: optional === undefined });
  }
  return fields;
}

function shapeOf(text: string, toFile: (name: string) => string | undefined): Shape {
  const type = text.trim();
  const [, item] = /^Array<([^]*)>$/.exec(type) ?? [];
  if (item !== undefined) return { kind: 'array', of: shapeOf(item, toFile) };
  const [, value] = /^\{\s*\[key: string\]: ([^]*?);?\s*\}$/.exec(type) ?? [];
  if (value !== undefined) return { kind: 'map', of: shapeOf(value, toFile) };
  if (/^"[^"]*"(?: \| "[^"]*")*$/.test(type)) {
    return { kind: 'enum', values: type.split(' | ').map((each) => each.slice(1, -1)) };
  }
  if (type.includes(' | ')) return { kind: 'union', of: type.split(' | ').map((each) => shapeOf(each, toFile)) };
  if (type === 'string' || type === 'number' || type === 'boolean') return { kind: type };
  const file = toFile(type);
  return file === undefined ? { kind: 'any' } : { kind: 'reference', file };
}
