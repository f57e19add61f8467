/** A request that failed and may succeed when it is sent again. A home throws it at the request engine, which tells it no further. */
export class TransientError extends Error {
  /** The store asks for fewer requests. */
  readonly isThrottle: boolean;
  /** No connection came about. */
  readonly isUnreachable: boolean;
  /** How long the store asks to wait, or 0 where what was wrong has been put right. */
  readonly retryAfterMs: number | undefined;
  /** What to do when it stays that way. */
  readonly hint: string | undefined;

  constructor(
    message: string,
    options: {
      readonly cause?: unknown;
      readonly isThrottle?: boolean;
      readonly isUnreachable?: boolean;
      readonly retryAfterMs?: number | undefined;
      readonly hint?: string | undefined;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.name = 'TransientError';
    this.isThrottle = options.isThrottle ?? false;
    this.isUnreachable = options.isUnreachable ?? false;
    this.retryAfterMs = options.retryAfterMs;
    this.hint = options.hint;
  }
}
