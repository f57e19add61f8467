const PLAIN_TEXT = /^[A-Za-z_./][\w./@+=-]*(?: [\w./@+=-]+)*$/;
/** Words that some YAML version reads as something else. */
const YAML_WORD = /^(?:true|false|null|yes|no|on|off|y|n|\.+|\.(?:inf|nan)|\.[\d_].*)$/i;

/** True for text that every YAML parser reads as this string, as a key, in a list, after `key: ` and within `{}`: it needs no quotes. */
export function isPlainText(text: string): boolean {
  return PLAIN_TEXT.test(text) && !YAML_WORD.test(text);
}
