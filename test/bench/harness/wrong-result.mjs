/** A command did its work wrongly: the only thing that makes the bench fail. */
export class WrongResult extends Error {
  name = 'WrongResult';
}
