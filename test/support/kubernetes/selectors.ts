/** Label and field selectors of lists and watches. */
import type { KubeObject } from './objects.ts';
import type { ResourceName } from './resources.ts';
import { failure } from './status.ts';

export type Matcher = (object: KubeObject) => boolean;

/** Fields by which the API server can select; others are refused, as it does. */
const FIELDS: Partial<Record<ResourceName, readonly string[]>> = {
  pods: ['spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName', 'status.phase'],
  jobs: ['status.successful'],
  events: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'reason',
    'type',
    'source',
    'reportingComponent',
  ],
  secrets: ['type'],
  namespaces: ['status.phase'],
  nodes: ['spec.unschedulable'],
};

const REQUIREMENT = /^\s*(?:(!)\s*)?([^\s!=,()]+)\s*(?:(==|=|!=)\s*([^\s,()=!]*)|(in|notin)\s*\(([^()]*)\))?\s*$/;

/** Whether an object has labels that fit: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`. */
export function labelMatcher(selector: string): Matcher {
  const tests = splitOutsideBrackets(selector).map((part) => labelTest(part, selector));
  return ({ metadata: { labels = {} } }) => tests.every((test) => test(labels));
}

/** Whether an object's fields fit: `metadata.name=x,status.phase!=Failed`. */
export function fieldMatcher(selector: string, resource: ResourceName): Matcher {
  const tests = selector
    .split(',')
    .filter((part) => part !== '')
    .map((part): Matcher => {
      const match = /^([^=!]+)(==|=|!=)(.*)$/.exec(part);
      if (match === null) throw failure(400, `invalid field selector "${selector}"; can't understand '${part}'`);
      const [, path = '', operator, value] = match;
      const known = ['metadata.name', 'metadata.namespace', ...(FIELDS[resource] ?? [])];
      if (!known.includes(path)) throw failure(400, `field label not supported: ${path}`);
      return (object) => (fieldOf(object, path) === value) === (operator !== '!=');
    });
  return (object) => tests.every((test) => test(object));
}

function labelTest(part: string, selector: string): (labels: Readonly<Record<string, string>>) => boolean {
  const match = REQUIREMENT.exec(part);
  const [, not, key = '', equality, value = '', set, values = ''] = match ?? [];
  if (match === null || (not !== undefined && (equality ?? set) !== undefined)) {
    const why = `unable to parse requirement: found '${part.trim()}', expected: !, identifier, or ')'`;
    throw failure(400, `unable to parse "${selector}": ${why}`);
  }
  if (equality !== undefined) return (labels) => (labels[key] === value) === (equality !== '!=');
  if (set !== undefined) {
    const among = new Set(values.split(',').map((each) => each.trim()));
    return (labels) => (labels[key] !== undefined && among.has(labels[key])) === (set === 'in');
  }
  return (labels) => (labels[key] !== undefined) === (not === undefined);
}

function splitOutsideBrackets(text: string): string[] {
  return text.split(/,(?![^()]*\))/).filter((part) => part.trim() !== '');
}

function fieldOf(object: KubeObject, path: string): string {
  let value: unknown = object;
  for (const key of path.split('.')) value = (value as Record<string, unknown> | undefined)?.[key];
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}
