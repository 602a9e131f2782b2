/** What differs between two plans, as a list of changes. */

import { h } from './dom.js';
import { runLink } from './places.js';
import { plural, valueText } from './words.js';

const SIGNS = { added: '+', removed: '−', changed: '±', moved: '↕' };
const PARTS = {
  pack: 'pack',
  inputs: 'input',
  failurePolicy: 'failure policy',
  sandbox: 'sandbox',
  slo: 'objectives',
  secrets: 'secret',
  approvals: 'approval',
  policies: 'policy',
  steps: 'step',
  outputs: 'output',
};

/**
 * Shows how a plan differs from that of the last approved run.
 *
 * @param {any} comparison The `comparison` of a plan.
 */
export function comparisonView(comparison) {
  if (!comparison) return null;
  if (comparison.reason) return h('p', null, `Nothing to compare with: ${comparison.reason}.`);
  const { diff, runId } = comparison;
  const other = runId && [' of ', h('a', { href: runLink(runId) }, runId)];
  if (comparison.identical || !diff?.changes.length) {
    return h('p', null, 'None: the plan is that', other, '.');
  }
  return [
    h('p', { class: 'why' }, plural(diff.total, 'change'), ' since the plan', other, '.'),
    h('ul', { class: 'diff' }, diff.changes.map(changeView)),
    diff.truncated && h('p', { class: 'why' }, 'The other changes are too many to show.'),
  ];
}

function changeView(change) {
  const kind = change.change;
  return h(
    'li',
    { class: kind },
    h('span', { class: 'sign', 'aria-hidden': 'true' }, SIGNS[kind] ?? '·'),
    h(
      'span',
      { class: 'where' },
      `${PARTS[change.part] ?? change.part} `,
      h('strong', null, change.id),
    ),
    h('span', null, kind),
    change.field && h('code', null, change.field),
    change.old !== undefined && side('before', change.old, change.oldIsCut),
    change.new !== undefined && side('now', change.new, change.newIsCut),
  );
}

function side(word, value, isCut) {
  const text = `${valueText(value)}${isCut ? ' …' : ''}`;
  return h('span', { class: 'side' }, `${word} `, h('code', null, text));
}
