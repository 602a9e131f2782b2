/** The plan of a run: inputs, parameters, and what has changed since the last approved run. */

import { diffView } from './diff-view.js';
import { h } from './dom.js';
import { facts, namedValues, valueView } from './value-view.js';

/**
 * @param {any} run
 * @param {any} plan null while it is being read.
 */
export function planPanel(run, plan) {
  return [
    facts([
      ['Plan', h('code', null, run.planHash)],
      ['Machine', run.definitionHash && h('code', null, run.definitionHash)],
      ['Attempts', run.failurePolicy?.maxAttempts],
    ]),
    plan === null && h('p', null, 'Loading …'),
    plan?.inputs !== undefined && [h('h3', null, 'Inputs'), namedValues(plan.inputs)],
    plan?.diff && [h('h3', null, 'Changes since the last approved run'), diffView(plan.diff)],
    plan?.steps && [h('h3', null, 'Steps and parameters'), valueView(plan.steps)],
  ];
}
