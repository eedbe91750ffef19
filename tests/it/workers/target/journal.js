// What happened on this side, told to later events. The caller cannot see a disposer or a cancelled call itself.
const journals = new Map();

/** Adds a line to the journal of one case run; `key` is unique for each run. */
export function note(key, line) {
  if (!journals.has(key)) journals.set(key, []);
  journals.get(key).push(line);
}

export const journal = (key) => journals.get(key) ?? [];

/** Waits until `count` lines are there. Between two looks other events run; the deadline only bounds a failure. */
export async function awaitNotes(key, count) {
  for (let look = 0; look < 500 && journal(key).length < count; look += 1) await scheduler.wait(2);
  return journal(key);
}

export const Journal = (Base) => class extends Base {
  /** The journal as it is. */
  notes(key) {
    return journal(key);
  }

  awaitNotes(key, count) {
    return awaitNotes(key, count);
  }

  /**
   * Waits until nothing was added during 60 looks in a row. A worker that still runs adds a line between any two looks,
   * since both wait on the timers of one thread.
   */
  async awaitSilence(key) {
    let length = -1;
    for (let quiet = 0, look = 0; quiet < 60; look += 1) {
      if (look > 1500) return "still running";
      const now = journal(key).length;
      quiet = now === length ? quiet + 1 : 0;
      length = now;
      await scheduler.wait(2);
    }
    return "silent";
  }
};
