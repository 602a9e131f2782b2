/** One step: its state, error, attempts and outputs. */

import { h } from './dom.js';
import { plainOutput } from './plain-text.js';
import { runLink } from './places.js';
import { facts, valueView } from './value-view.js';
import {
  badge,
  duration,
  reasonWords,
  remaining,
  retriesWords,
  sign,
  stateWord,
  stepState,
  time,
} from './words.js';

/**
 * @param {string} runId
 * @param {any} step As `GET .../steps/{stepId}` shows it.
 * @param {number} attempt The attempt that the address names; 0 for none.
 */
export function stepPanel(runId, step, attempt) {
  return [
    h('h2', null, step.name ?? step.stepId, ' ', badge(stepState(step))),
    facts([
      ['Step', step.stepId],
      ['Executor', step.uses],
      ['Pool', step.pool],
      ['Worker', step.worker],
      ['Execution', executionLink(step)],
      ['Approval', step.approvalId],
      ['Message', step.gateMessage],
      ['Why', step.workerWait?.message ?? reasonWords(step.statusReason)],
      ['Retries', retriesWords(step.retries)],
      ['Began', time(step.startedAt)],
      ['Ended', time(step.endedAt)],
      [
        'Tries again',
        step.nextAttemptAt && stepState(step) === 'retrying' && remaining(step.nextAttemptAt),
      ],
    ]),
    (step.error?.message ?? step.errorMessage) &&
      h(
        'pre',
        { class: 'error', tabindex: '0', role: 'group', 'aria-label': 'Error' },
        plainOutput(step.error?.message ?? step.errorMessage),
      ),
    step.losses?.map((loss, place) =>
      h('p', { key: place, class: 'why' }, loss.message, ' (', time(loss.lostAt), ')'),
    ),
    step.attemptHistory?.length > 0 && [
      h('h3', null, 'Attempts'),
      h(
        'ol',
        { class: 'attempts' },
        step.attemptHistory.map((entry) => attemptView(runId, step.stepId, entry, attempt)),
      ),
    ],
    step.outputs !== undefined && [h('h3', null, 'Outputs'), valueView(step.outputs)],
    step.outputsOmitted &&
      h('p', null, 'The outputs are too large to show; those of the steps inside are not.'),
  ];
}

/** Returns where an execution is that a step, or an attempt of it, has called. */
function executionLink({ executionArn, executionUrl }) {
  const isPage = executionUrl?.startsWith('https://');
  return isPage ? h('a', { href: executionUrl, rel: 'noreferrer' }, executionArn) : executionArn;
}

function attemptView(runId, stepId, entry, selected) {
  const state = entry.status.toLowerCase();
  const isSelected = entry.attempt === selected;
  return h(
    'li',
    { key: entry.attempt, class: isSelected ? 'selected' : null },
    sign(state),
    h(
      'a',
      {
        href: runLink(runId, { stepId, attempt: entry.attempt, tab: 'step' }),
        'aria-current': isSelected ? 'true' : null,
      },
      `Attempt ${entry.attempt}`,
    ),
    ` ${stateWord(state).toLowerCase()} `,
    entry.endedAt && duration(Date.parse(entry.endedAt) - Date.parse(entry.startedAt)),
    entry.worker && ` on ${entry.worker}`,
    entry.executionArn && [' as ', executionLink(entry)],
    entry.reason && ` · ${reasonWords(entry.reason)}`,
    entry.message &&
      h(
        'pre',
        { class: 'error', tabindex: '0', role: 'group', 'aria-label': 'Error' },
        plainOutput(entry.message),
      ),
    ' ',
    h('a', { href: runLink(runId, { stepId, attempt: entry.attempt, tab: 'log' }) }, 'Log'),
  );
}
