const LABEL = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';

/** What a namespace may be called: a label of RFC 1123. */
export const NAMESPACE_PATTERN = `^(?=.{1,63}$)${LABEL}$`;
/** What most objects may be called: a subdomain of RFC 1123. */
export const OBJECT_NAME_PATTERN = `^(?=.{1,253}$)${LABEL}(?:\\.${LABEL})*$`;
/** The same where it has to be the value of a label, too. */
export const QUEUE_NAME_PATTERN = `^(?=.{1,63}$)${LABEL}(?:\\.${LABEL})*$`;

/** The value of a label, if there is one. */
export const LABEL_VALUE = '[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?';
/** The key of a label or taint, the name of a resource: `gpu`, `nvidia.com/gpu`. */
export const QUALIFIED_NAME = `(?:(?=[^/]{1,253}/)${LABEL}(?:\\.${LABEL})*/)?${LABEL_VALUE}`;
