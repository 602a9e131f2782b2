/** Text that programs and people have written, as a page can show it. */

/** Control sequences and commands of a terminal, such as colours and titles (ECMA-48). */
const SEQUENCES =
  // eslint-disable-next-line no-control-regex
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\n\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-OQ-WYZ\\`-~]/g;

/** Characters that nobody sees, and those that change the direction of the text around them. */
const INVISIBLE =
  // eslint-disable-next-line no-control-regex
  /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/**
 * Returns what a program has printed without commands of a terminal; a line that the program wrote
 * over is as it was at last.
 *
 * @param {string} output
 */
export function plainOutput(output) {
  return output
    .replace(SEQUENCES, '')
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => line.replace(/\r+$/, '').split('\r').at(-1))
    .join('\n');
}

/**
 * Returns *text* with its control characters as the command line writes them.
 *
 * @param {string} text
 */
export function visibleText(text) {
  return text.replace(INVISIBLE, (character) => {
    const code = character.codePointAt(0).toString(16);
    return `\\x${code.padStart(2, '0')}`;
  });
}
