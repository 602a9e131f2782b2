/** The views of a run, of which its page shows one beside the steps. */

import { h } from './dom.js';
import { runLink } from './places.js';

const TABS = {
  log: 'Log',
  step: 'Step',
  timeline: 'Timeline',
  artifacts: 'Artifacts',
  decisions: 'Decisions',
  plan: 'Plan',
  evidence: 'Evidence',
};

/** Returns the view that a place names; the log if it names none. */
export function tabOf(place) {
  const tab = place.query.get('tab');
  return tab in TABS ? tab : 'log';
}

/** @param {import('./places.js').Place} place */
export function runTabs(place) {
  const { runId, stepId, attempt } = place;
  const selected = tabOf(place);
  return h(
    'nav',
    { class: 'tabs', 'aria-label': 'Views' },
    Object.entries(TABS)
      .filter(([tab]) => tab !== 'step' || stepId)
      .map(([tab, words]) => {
        const href = runLink(runId, { stepId, attempt, tab });
        const current = tab === selected ? 'page' : null;
        return h('a', { key: tab, href, 'aria-current': current }, words);
      }),
    stepId && leaveStep(runId, stepId, selected === 'step' ? 'log' : selected),
  );
}

function leaveStep(runId, stepId, tab) {
  const label = `Show the whole run instead of ${stepId}`;
  return h(
    'a',
    { class: 'clear', href: runLink(runId, { tab }), 'aria-label': label },
    '✕ ',
    stepId,
  );
}
