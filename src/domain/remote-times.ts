/** The times by which clients of a remote rely on each other (docs/gc-protocol.md). All but the last by the store's clock. */

export const DAY_MS = 24 * 60 * 60 * 1000;
/** So soon after it was looked at must be stored what relies on it. */
export const VOUCHING_MS = 6 * DAY_MS;
/** So long a key is dead before it is deleted. A day more: whoever deletes has seen all that came in time. */
export const GRACE_MS = 7 * DAY_MS;
/** So long a pushed root is needed for having been pushed. */
export const NOTED_DAYS = 90;
/** A push notes anew what was noted longer ago. */
export const RENEW_DAYS = 30;
/** Keys that are younger are left alone, as a push that takes days would send the same again and again. */
export const YOUNG_MS = 14 * DAY_MS;
/** What a long push relies on is looked at again after this long, by its own clock. */
export const RELY_MS = DAY_MS / 2;
