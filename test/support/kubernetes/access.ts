/** Who a request is from, and what they may do: tokens, client certificates and RBAC rules that tests give. */
import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { failure, type StatusError } from './status.ts';

export interface Rule {
  /** `*` for all. */
  readonly verbs: readonly string[];
  /** With subresources as `pods/log`; `*` for all. */
  readonly resources: readonly string[];
  /** All API groups unless told; the core group is the empty text. */
  readonly groups?: readonly string[];
  /** All namespaces unless told. */
  readonly namespaces?: readonly string[];
  readonly resourceNames?: readonly string[];
}

export interface Account {
  /** `system:serviceaccount:NAMESPACE:NAME` for service accounts. */
  readonly user: string;
  /** Everything is allowed unless told. */
  readonly rules?: readonly Rule[];
  /** What is not allowed all the same. */
  readonly except?: readonly Rule[];
  /** Milliseconds since the epoch. */
  readonly expires?: number;
}

export interface Attempt {
  readonly verb: string;
  readonly resource: string;
  readonly subresource: string;
  readonly group: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Identity {
  readonly user: string;
  readonly rules: readonly Rule[];
  readonly except: readonly Rule[];
}

const EVERYTHING: readonly Rule[] = [{ verbs: ['*'], resources: ['*'] }];

/** Throws 401 for a token that is unknown or has expired. Without any credential it is the anonymous user, who may do nothing. */
export function identify(
  req: IncomingMessage,
  { tokens, users, now }: { tokens: ReadonlyMap<string, Account>; users: ReadonlyMap<string, Account>; now: number },
): Identity {
  const [, token] = /^Bearer (.*)$/.exec(req.headers.authorization ?? '') ?? [];
  if (req.headers.authorization !== undefined) {
    const account = tokens.get(token ?? '');
    if (account === undefined || (account.expires ?? Number.POSITIVE_INFINITY) <= now)
      throw failure(401, 'Unauthorized');
    return identityOf(account);
  }
  const socket = req.socket as Partial<TLSSocket>;
  if (socket.authorized === true) {
    const name = String(socket.getPeerCertificate?.().subject.CN ?? '');
    return identityOf(users.get(name) ?? { user: name, rules: [] });
  }
  return identityOf({ user: 'system:anonymous', rules: [] });
}

export function isAllowed({ rules, except }: Identity, attempt: Attempt): boolean {
  return covers(rules, attempt) && !covers(except, attempt);
}

function identityOf({ user, rules = EVERYTHING, except = [] }: Account): Identity {
  return { user, rules, except };
}

function covers(rules: readonly Rule[], attempt: Attempt): boolean {
  const { verb, resource, subresource, group, namespace, name } = attempt;
  const whole = subresource === '' ? resource : `${resource}/${subresource}`;
  return rules.some(
    (rule) =>
      among(rule.verbs, verb) &&
      among(rule.resources, whole) &&
      (rule.groups === undefined || among(rule.groups, group)) &&
      (rule.namespaces === undefined || among(rule.namespaces, namespace)) &&
      (rule.resourceNames === undefined || rule.resourceNames.includes(name)),
  );
}

export function notAllowed({ user }: Identity, attempt: Attempt): StatusError {
  const { verb, resource, subresource, group, namespace, name } = attempt;
  const whole = subresource === '' ? resource : `${resource}/${subresource}`;
  const subject = `${resource}${group === '' ? '' : `.${group}`}${name === '' ? '' : ` "${name}"`}`;
  const scope = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const message = `${subject} is forbidden: User "${user}" cannot ${verb} resource "${whole}" in API group "${group}" ${scope}`;
  const details = { ...(name === '' ? {} : { name }), ...(group === '' ? {} : { group }), kind: resource };
  return failure(403, message, { details });
}

function among(list: readonly string[], value: string): boolean {
  return list.includes('*') || list.includes(value);
}
