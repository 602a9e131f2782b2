/** When steps ran, as bars on one scale. */

import { h } from './dom.js';
import { runLink } from './places.js';
import { everything } from './run-model.js';
import { clock, duration, sign, stateTone, stateWord } from './words.js';

const MOST = 200;

/**
 * @param {string} runId
 * @param {{roots: any[]}} tree
 * @param {import('./run-journal.js').RunJournal} journal
 */
export function timelinePanel(runId, tree, journal) {
  if (journal.isPartial)
    return h('p', { class: 'why' }, 'Reading earlier entries of the log …');
  const rows = [];
  for (const node of everything(tree.roots)) {
    if (rows.length >= MOST) break;
    const span = node.type === 'step' && journal.spanOf(node);
    if (span)
      rows.push({
        node,
        from: Date.parse(span.startedAt),
        to: span.endedAt ? Date.parse(span.endedAt) : Date.now(),
        isMoment: span.isMoment,
      });
  }
  if (!rows.length) return h('p', { class: 'why' }, 'Nothing has started yet.');
  const start = Math.min(...rows.map((row) => row.from));
  const length = Math.max(1, Math.max(...rows.map((row) => row.to)) - start);
  rows.sort((a, b) => a.from - b.from);
  return [
    h(
      'p',
      { class: 'why' },
      `From ${clock(start)}, for ${duration(length)}.`,
      rows.length >= MOST && ` The first ${MOST} steps.`,
    ),
    h(
      'ol',
      { class: 'timeline' },
      rows.map(({ node, from, to, isMoment }) =>
        h(
          'li',
          { key: node.id },
          h(
            'a',
            { href: runLink(runId, { stepId: node.id, tab: 'timeline' }) },
            sign(node.state),
            node.id,
          ),
          h(
            'span',
            { class: 'visually-hidden' },
            `${stateWord(node.state)}, after ${duration(from - start)}`,
          ),
          h(
            'span',
            { class: 'track' },
            h('span', {
              class: `bar ${stateTone(node.state)}`,
              '.style': `margin-left: ${(100 * (from - start)) / length}%; width: ${(100 * (to - from)) / length}%`,
            }),
          ),
          h('span', { class: 'why' }, isMoment ? 'at once' : duration(to - from)),
        ),
      ),
    ),
  ];
}
