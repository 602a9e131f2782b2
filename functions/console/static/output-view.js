/** What steps print, in the log of a run: as it was printed, and never as markup. */

import { h } from './dom.js';
import { plainOutput } from './plain-text.js';
import { time } from './words.js';

const OUTPUT = 'step.output';

/**
 * Returns *entries* in groups: output that one step printed without another entry between is one
 * group, and any other entry is a group of its own.
 *
 * @param {import('./api.js').LogEntry[]} entries
 */
export function groupsOf(entries) {
  const groups = [];
  for (const entry of entries) {
    const last = groups.at(-1)?.[0];
    const continues =
      entry.eventType === OUTPUT && last?.eventType === OUTPUT && last.stepId === entry.stepId;
    if (continues) groups.at(-1).push(entry);
    else groups.push([entry]);
  }
  return groups;
}

export function isOutput(entry) {
  return entry.eventType === OUTPUT;
}

/**
 * Returns output of one step under its name.
 *
 * @param {import('./api.js').LogEntry[]} entries
 * @param {string} link The address of the step; empty if its name is not needed.
 */
export function outputView(entries, link) {
  const [first] = entries;
  return h(
    'div',
    { key: first.cursor, class: 'output' },
    h(
      'p',
      { class: 'line' },
      time(first.timestamp, { isShort: true }),
      h('span', { class: 'level' }, 'output'),
      link && h('a', { href: link }, first.stepId),
    ),
    wholeLines(entries).map((entry) => printed(entry)),
  );
}

/**
 * Returns *entries* so that each begins at the beginning of a line. A line that takes long, such as a
 * progress bar, comes in several entries.
 */
function wholeLines(entries) {
  const whole = [];
  for (const entry of entries) {
    const last = whole.at(-1);
    const isSame = last?.metadata?.stream === entry.metadata?.stream;
    if (last && isSame && !last.message.endsWith('\n'))
      whole.splice(-1, 1, { ...last, message: last.message + entry.message });
    else whole.push(entry);
  }
  return whole;
}

/** One element for each entry, because a step may print thousands of lines. */
function printed(entry) {
  const isError = entry.metadata?.stream === 'stderr';
  return h(
    'div',
    { key: entry.cursor, class: isError ? 'printed stderr' : 'printed' },
    isError && h('span', { class: 'stream', title: 'standard error' }, 'stderr'),
    h('pre', null, plainOutput(entry.message)),
  );
}
