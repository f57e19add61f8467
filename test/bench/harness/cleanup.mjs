// What must be undone however the bench ends: mounts, temporary folders, children. Everything here is synchronous, since
// it also runs while the process exits.

const pending = new Set();

/** Registers an undoing; the function that comes back does it now, once. */
export function onCleanup(undo) {
  pending.add(undo);
  return () => {
    if (pending.delete(undo)) undo();
  };
}

/** Makes Ctrl-C, a signal and a crash undo what is pending, the latest first. */
export function installCleanup() {
  process.on('exit', () => {
    for (const undo of [...pending].toReversed()) {
      pending.delete(undo);
      try {
        undo();
      } catch (error) {
        console.error(`clean-up: ${error.message}`);
      }
    }
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(130));
}
