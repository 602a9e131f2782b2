/** The top of a run's page: its state, its origin, and what can be done with it. */

import { h } from './dom.js';
import { freshness } from './freshness.js';
import { runLink } from './places.js';
import { cancelRun, runAgain } from './run-actions.js';
import { facts } from './value-view.js';
import { badge, duration, time, who } from './words.js';

/**
 * @param {any} run
 * @param {import('./poll.js').Poll} poll Of the run's state.
 * @param {{hasEnded: boolean, isFinal: boolean, journal: import('./run-journal.js').RunJournal}} progress
 */
export function runHeader(run, poll, { hasEnded, isFinal, journal }) {
  const from = Date.parse(run.createdAt); // as in the list of runs
  const to = run.endedAt ? Date.parse(run.endedAt) : Date.now();
  const cancel = () => cancelRun(run.runId).then(() => poll.now());
  return [
    h(
      'div',
      { class: 'title' },
      h('h1', null, `Run ${run.runId} `, badge(run.status)),
      freshness(poll, { isFinal }),
      h(
        'div',
        { class: 'buttons' },
        !hasEnded && h('button', { type: 'button', onclick: cancel }, 'Cancel …'),
        h('button', { type: 'button', onclick: () => runAgain(run) }, 'Run again …'),
      ),
    ),
    facts([
      ['Pack', run.pack && `${run.pack.name} ${run.pack.version}`],
      ['Requested', [time(run.createdAt), run.createdBy && ` by ${who(run.createdBy, run.createdByName)}`]],
      ['Repeats', run.rerunOf && h('a', { href: runLink(run.rerunOf) }, run.rerunOf)],
      ['Duration', duration(to - from)],
      ['Ended', time(run.endedAt)],
      ['Cancelled by', journal.cancelledBy],
    ]),
  ];
}
