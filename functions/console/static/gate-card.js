/**
 * A gate that waits for a decision, with what an approver must know to decide.
 *
 * It is the same on the page of all gates and on a run's page. Parts that a service does not send
 * are left out.
 */

import { pathOf, post } from './api.js';
import { announce } from './announcer.js';
import { confirm } from './dialog.js';
import { comparisonView } from './diff-view.js';
import { h } from './dom.js';
import { runLink } from './places.js';
import { facts, namedValues } from './value-view.js';
import { age, plural, remaining, time, who } from './words.js';

/**
 * @typedef {object} Gate An open approval, as the list of approvals shows it.
 * @property {string} runId
 * @property {string} approvalId
 * @property {string} stepId
 * @property {'run'|'gate'} [scope] gate: this gate needs its own decision.
 * @property {string} planHash
 * @property {string} [message]
 * @property {string[]} [grants]
 * @property {{name: string, version: string}} [pack]
 * @property {string} [requestedBy]
 * @property {string} [requestedByName] What the registry calls that caller.
 * @property {string} [openedAt]
 * @property {string} [expiresAt]
 * @property {Record<string, any>} [inputs]
 * @property {number} [inputsOmitted] How many inputs are too large to be here.
 * @property {string[]} [secrets] Their names.
 * @property {{approver: string, approverName?: string, decidedAt: string}[]} [approvedBy]
 * @property {number} [minApprovals]
 * @property {boolean} [distinctFromRequester]
 * @property {boolean} [canDecide]
 * @property {{code: string, message: string}} [cannotDecideReason]
 */

/**
 * @typedef {object} Context What the plan adds to a gate.
 * @property {string[]} [guards] The steps that cannot start unless this gate is passed.
 * @property {number} [guardsOmitted]
 * @property {string[]} [guardsInIteration] Those of the gate's own iteration.
 * @property {string} [guardsNothingBecause]
 * @property {string} [unless] A condition that skips the gate if it is false.
 * @property {Finding[]} [findings] The outputs that the gate's message and policy name.
 * @property {any} [comparison] The changes since the last approved run.
 */

/** @typedef {{name: string, value?: any, isCut?: boolean}} Finding */

/** @typedef {{runId: string, name: string, decision: 'approved'|'rejected'}} Done */

/**
 * Returns what tells this gate from all others that wait for a decision of their own.
 *
 * @param {Gate} gate
 */
export function identityOf(gate) {
  return `${gate.runId} ${nameOf(gate)}`;
}

/** Gates of one approval have one decision, unless each of them needs its own. */
function nameOf(gate) {
  return gate.scope === 'gate' ? `${gate.approvalId} at ${gate.stepId}` : gate.approvalId;
}

/**
 * @param {Gate} gate
 * @param {Context|null} context null while it is not known.
 * @param {(done: Done) => void} onDecided
 */
export function gateCard(gate, context, onDecided) {
  const since = gate.openedAt;
  return h(
    'article',
    {
      class: 'gate',
      key: identityOf(gate),
      'aria-label': `${nameOf(gate)} of ${gate.runId}`,
    },
    h(
      'h2',
      null,
      h('span', { 'aria-hidden': 'true', class: 'sign waiting' }, '‖'),
      gate.message ?? `${gate.approvalId} is waiting`,
    ),
    facts([
      ['Run', h('a', { href: runLink(gate.runId, { stepId: gate.stepId }) }, gate.runId)],
      ['Pack', gate.pack && `${gate.pack.name} ${gate.pack.version}`],
      ['Gate', `${gate.stepId}, approval ${gate.approvalId}`],
      ['Requested by', who(gate.requestedBy, gate.requestedByName)],
      ['Waiting since', since && [`${age(since)}, `, time(since)]],
      ['Expires', gate.expiresAt && [`${remaining(gate.expiresAt)}, `, time(gate.expiresAt)]],
      ['Approved by', approvers(gate)],
      ['Needs the grants', gate.grants?.join(', ')],
      ['Not by', gate.distinctFromRequester && 'the person who asked for the run'],
      ['Secrets', gate.secrets?.join(', ')],
    ]),
    [
      part('What it lets start', guards(gate.runId, context)),
      part('What was found', context?.findings?.length > 0 && findings(context.findings)),
      part(
        'Inputs',
        gate.inputs !== undefined && [
          namedValues(gate.inputs),
          gate.inputsOmitted &&
            h(
              'p',
              { class: 'why' },
              `and ${plural(gate.inputsOmitted, 'large input')} of `,
              planLink(gate.runId),
            ),
        ],
      ),
      part('Changes since the last approved run', comparisonView(context?.comparison)),
    ],
    h('p', { class: 'why' }, 'Plan ', h('code', null, gate.planHash)),
    gate.canDecide === false
      ? h(
          'p',
          { class: 'refusal' },
          `You cannot approve this: ${gate.cannotDecideReason?.message ?? 'you lack a permission'}.`,
        )
      : null,
    buttons(gate, context, onDecided),
  );
}

function planLink(runId) {
  return h('a', { href: runLink(runId, { tab: 'plan' }) }, 'the plan');
}

function part(title, content) {
  return content && h('section', null, h('h3', null, title), content);
}

function approvers(gate) {
  const names = (gate.approvedBy ?? [])
    .map((entry) => who(entry.approver, entry.approverName))
    .join(', ');
  if (!gate.minApprovals) return names;
  return `${names || 'nobody yet'} (${gate.approvedBy?.length ?? 0} of ${gate.minApprovals})`;
}

function guards(runId, context) {
  if (context?.guardsNothingBecause)
    return h('p', null, `Nothing: ${context.guardsNothingBecause}.`);
  const steps = context?.guards;
  if (!steps?.length) return null;
  return [
    h(
      'p',
      { class: 'why' },
      'Proved for this plan: none of these can start unless the gate is passed.',
    ),
    h(
      'ul',
      { class: 'guards' },
      steps.map((step) => {
        const isOfSame = context.guardsInIteration?.includes(step);
        return h('li', { key: step }, isOfSame ? `${step} of the same iteration` : step);
      }),
    ),
    context.guardsOmitted &&
      h(
        'p',
        { class: 'why' },
        `and ${plural(context.guardsOmitted, 'more step')} of `,
        planLink(runId),
      ),
    context.unless &&
      h(
        'p',
        { class: 'why' },
        'The gate is skipped if this is false: ',
        h('code', null, context.unless),
      ),
  ];
}

/** @param {Finding[]} found */
function findings(found) {
  return namedValues(
    Object.fromEntries(
      found.map(({ name, value, isCut }) => [
        name,
        value === undefined ? 'not known yet' : isCut ? `${value} …` : value,
      ]),
    ),
  );
}

/** A person whose approval would not count again may still reject. */
function buttons(gate, context, onDecided) {
  const mayReject = gate.cannotDecideReason?.code === 'already_approved';
  if (gate.canDecide === false && !mayReject) return null;
  const button = (words, style, decision) => {
    const onclick = () => decide(gate, context, decision, onDecided);
    return h('button', { type: 'button', class: style, onclick }, words);
  };
  return h(
    'div',
    { class: 'buttons' },
    !mayReject && button('Approve …', 'primary', 'approved'),
    button('Reject …', 'danger', 'rejected'),
  );
}

async function decide(gate, context, decision, onDecided) {
  const verb = decision === 'approved' ? 'Approve' : 'Reject';
  const isDone = await confirm({
    title: `${verb} ${nameOf(gate)} of run ${gate.runId}?`,
    body: [
      facts([
        ['Question', gate.message],
        ['Pack', gate.pack && `${gate.pack.name} ${gate.pack.version}`],
        ['Run', gate.runId],
        ['Gate', gate.stepId],
        ['Requested by', who(gate.requestedBy, gate.requestedByName)],
        ['Lets start', context?.guards?.join(', ')],
        ['Plan', h('code', null, gate.planHash)],
      ]),
      h(
        'p',
        null,
        decision === 'approved'
          ? 'The run goes on if this was the last approval that it needs.'
          : 'The run does not pass this gate. This is final.',
      ),
    ],
    comment: 'Comment, which everybody who sees the run can read',
    action: `${verb} ${gate.approvalId}`,
    isDangerous: decision === 'rejected',
    act: async (comment) => {
      await post(pathOf`/runs/${gate.runId}/approvals/${gate.approvalId}`, {
        decision,
        planHash: gate.planHash,
        ...(gate.scope === 'gate' ? { stepId: gate.stepId } : {}),
        ...(comment ? { summary: comment } : {}),
      });
    },
  });
  if (!isDone) return;
  announce(`${nameOf(gate)} of run ${gate.runId} is ${decision}.`);
  document.querySelector('#main')?.focus(); // the button goes with its gate
  onDecided({ runId: gate.runId, name: nameOf(gate), decision });
}
