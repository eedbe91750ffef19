// Evaluated before the session's own modules, which may put another console in place.

const { log } = console;

/** @param {string} text */
export function say(text) {
  log(text);
}
