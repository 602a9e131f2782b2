/** What failed in a run: the steps, their messages and reasons. It is the first thing on its page. */

import { h } from './dom.js';
import { plainOutput } from './plain-text.js';
import { runLink } from './places.js';
import { plural, reasonWords } from './words.js';

const MOST = 3;
const MOST_LINKS = 100;

/**
 * @param {any} run
 * @param {{byId: Map<string, any>}} tree
 * @param {import('./run-journal.js').RunJournal} journal
 */
export function failures(run, tree, journal) {
  const failed = [...tree.byId.values()].filter(
    (node) => node.state === 'failed' && !hasFailedInside(node),
  );
  if (!failed.length && run.status !== 'failed') return null;
  const shown = failed.slice(0, MOST);
  const failedSteps = `${plural(failed.length, 'step')} failed`;
  const goesOn = ['queued', 'running', 'waiting'].includes(run.status);
  return h(
    'section',
    { class: 'failures', 'aria-label': 'Failures' },
    h(
      'h2',
      null,
      '✕ ',
      run.status === 'failed'
        ? 'The run failed'
        : `${failedSteps}; the run ${goesOn ? 'goes on' : 'went on'}`,
    ),
    !failed.length && h('p', null, endMessage(journal)),
    shown.map((node) => failure(run.runId, node, journal)),
    failed.length > MOST && others(run.runId, failed.slice(MOST)),
  );
}

/** The other failed steps, closed until somebody opens them. */
function others(runId, nodes) {
  const more = nodes.length - MOST_LINKS;
  return h(
    'details',
    null,
    h('summary', null, `and ${plural(nodes.length, 'more step')}`),
    h(
      'ul',
      { class: 'more-failures' },
      nodes.slice(0, MOST_LINKS).map((node) => h('li', { key: node.id }, stepLink(runId, node))),
    ),
    more > 0 && h('p', null, `and ${plural(more, 'more step')}, which the list of steps has`),
  );
}

function stepLink(runId, node) {
  return h('a', { href: runLink(runId, { stepId: node.id, tab: 'step' }) }, node.id);
}

function failure(runId, node, journal) {
  const rejection = journal.decisions.find(
    (decision) => decision.stepId === node.id && decision.verdict === 'Rejected',
  );
  return h(
    'div',
    { key: node.id, class: 'failure' },
    h(
      'p',
      null,
      stepLink(runId, node),
      ' ',
      h('strong', null, reasonWords(node.step.statusReason)),
      rejection && `: ${rejection.approver}`,
    ),
    rejection?.summary && h('blockquote', null, rejection.summary),
    node.step.errorMessage &&
      h(
        'pre',
        { class: 'error', tabindex: '0', role: 'group', 'aria-label': `Error of ${node.id}` },
        plainOutput(node.step.errorMessage),
      ),
  );
}

/** Whether a block failed because of something in it, which says more. */
function hasFailedInside(node) {
  return (node.counts.failed ?? 0) > 0;
}

function endMessage(journal) {
  const end = journal.entries.findLast(
    (entry) => entry.eventType.startsWith('run.') && entry.level === 'error',
  );
  return [end?.message, end?.metadata?.error].filter(Boolean).join(' ');
}
