// Stands in for the `string-width` package in the bundle. That one compiles Unicode tables while it loads, 45 ms of every
// command, and yargs only measures mlv's own help texts with it, which are ASCII.
import { stripVTControlCharacters } from 'node:util';

/** Columns that a text of single-width characters takes on a terminal, escape sequences not counted. */
export default function stringWidth(text) {
  return stripVTControlCharacters(text).length;
}
