/** The plan of a run: inputs, parameters, and what has changed since the last approved run. */

import { comparisonView } from './diff-view.js';
import { h } from './dom.js';
import { facts, namedValues, valueView } from './value-view.js';

/**
 * @param {any} run
 * @param {any} answer The plan's document; null while it is being read.
 */
export function planPanel(run, answer) {
  const plan = answer?.plan;
  return [
    facts([
      ['Plan', h('code', null, run.planHash)],
      ['Machine', run.definitionHash && h('code', null, run.definitionHash)],
      ['Secrets', plan?.secrets?.join(', ')],
    ]),
    answer === null && h('p', null, 'Loading …'),
    part('Changes since the last approved run', comparisonView(answer?.comparison)),
    plan?.inputs && part('Inputs', namedValues(plan.inputs)),
    plan && part('Approvals', valueView(plan.approvals)),
    plan?.policies?.length > 0 && part('Policies', valueView(plan.policies)),
    plan && part('Steps and parameters', valueView(plan.steps)),
  ];
}

function part(title, content) {
  return content && h('section', null, h('h3', null, title), content);
}
