/** Turns the words after a command's name into its arguments. Imports `yargs`, which is slow to load. */
import yargs, { type Options as YargsOptions } from 'yargs';
import { MlvError } from '../domain/errors.ts';
import { type Command, flagName } from './command.ts';
import { nearestName } from '../domain/nearest-name.ts';

/** Throws `usage`, naming the word that does not fit. */
export function parseArguments(name: string, command: Command, words: readonly string[]): Record<string, unknown> {
  const end = words.indexOf('--');
  const flags = end === -1 ? words : words.slice(0, end);
  const options = Object.entries(command.options);
  const parsed = yargs([...flags])
    .parserConfiguration({
      'boolean-negation': false,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': true,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'strip-aliased': true,
    })
    .options(Object.fromEntries(options.map(([key, option]) => [flagName(key).slice(2), yargsOption(option)])))
    .exitProcess(false)
    .help(false)
    .version(false)
    .detectLocale(false)
    .fail((message, error) => {
      throw wrong(name, inWords(error?.message ?? message));
    })
    .parseSync();
  checkFlags(name, command, Object.keys(parsed));
  const args: Record<string, unknown> = {};
  for (const [key, option] of options) {
    const given = [parsed[flagName(key).slice(2)]].flat();
    const value = option.many ? given.map(String) : given.at(-1);
    if (given[0] === undefined) continue;
    args[key] = option.type === 'number' ? wholeNumber(name, flagName(key), value) : value;
  }
  const plain = parsed._.map(String);
  const dashed = end === -1 ? [] : words.slice(end + 1);
  const [apart] = Object.entries(command.positionals).find(([, { afterDashes }]) => afterDashes) ?? [];
  if (apart === undefined) return { ...args, ...assign(name, command, [...plain, ...dashed]) };
  return { ...args, ...assign(name, command, plain), ...(end === -1 ? {} : { [apart]: dashed }) };
}

function yargsOption(option: Command['options'][string]): YargsOptions {
  return {
    // Numbers are checked here: yargs makes NaN of what is none.
    type: option.type === 'boolean' ? 'boolean' : 'string',
    requiresArg: option.type !== 'boolean',
    ...(option.short === undefined ? {} : { alias: option.short }),
  };
}

/** Yargs tells an option that needs a value without its dashes. */
function inWords(message: string): string {
  const key = /^Not enough arguments following: (.+)$/.exec(message)?.[1];
  return key === undefined ? message : `${written(key)} needs a value`;
}

function written(key: string): string {
  return key.length === 1 ? `-${key}` : `--${key}`;
}

function checkFlags(name: string, command: Command, parsed: readonly string[]): void {
  const known = Object.keys(command.options).map(flagName);
  for (const key of parsed) {
    const flag = written(key);
    if (key === '_' || key === '$0' || known.includes(flag)) continue;
    const guess = nearestName(flag, known);
    throw wrong(name, `${flag} is not an option of mlv ${name}`, guess && `Did you mean ${guess}?`);
  }
}

function wholeNumber(name: string, flag: string, value: unknown): number {
  const number = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : 0;
  if (number < 1) throw wrong(name, `${flag} needs a whole number from 1, not ${JSON.stringify(value)}`);
  return number;
}

function assign(name: string, command: Command, words: readonly string[]): Record<string, unknown> {
  const args: Record<string, unknown> = {};
  let at = 0;
  for (const [key, positional] of Object.entries(command.positionals)) {
    if (positional.afterDashes) continue;
    const taken = words.slice(at, positional.many ? undefined : at + 1);
    at += taken.length;
    if (positional.required && taken.length === 0) throw wrong(name, `mlv ${name} needs ${article(positional.value)}`);
    if (positional.many) args[key] = taken;
    else if (taken[0] !== undefined) args[key] = taken[0];
  }
  if (at < words.length) throw wrong(name, `mlv ${name} does not take ${JSON.stringify(words[at])}`);
  return args;
}

function article(value: string): string {
  return `${/^[AEIOU](?!RL)/.test(value) ? 'an' : 'a'} ${value}`;
}

function wrong(name: string, message: string, hint = `mlv ${name} --help`): MlvError {
  return new MlvError({ code: 'usage', kind: 'usage', message, hint });
}
