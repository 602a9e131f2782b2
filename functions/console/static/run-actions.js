/** What a person can do with a run: cancel it, or run it again. */

import { pathOf, post } from './api.js';
import { confirm } from './dialog.js';
import { h } from './dom.js';
import { runLink } from './places.js';

/** The service's warnings to the creator of a run, which only the answer to its creation has. */
const warnings = new Map();

/** Returns the warnings about a run that was started here; there are none after a reload. */
export function warningsOf(runId) {
  return warnings.get(runId) ?? [];
}

/** Goes to the page of a run that was started here, which shows the warnings of this answer. */
export function goToNewRun(created) {
  warnings.set(created.runId, created.warnings);
  location.hash = runLink(created.runId);
}

/** Cancels a run, once the person has confirmed it. */
export function cancelRun(runId) {
  return confirm({
    title: `Cancel run ${runId}?`,
    body: h('p', null, 'Steps that run or wait are skipped, now and for good.'),
    action: `Cancel ${runId}`,
    isDangerous: true,
    act: () => post(pathOf`/runs/${runId}/cancel`),
  });
}

/** Starts a new run of a run's manifest, perhaps with other inputs, and goes to it. */
export async function runAgain(run) {
  const key = crypto.randomUUID(); // of all tries of this question, so that they make one run
  let created = null;
  await confirm({
    title: `Run ${run.pack?.name} again?`,
    body: h('p', null, `A new run starts with the manifest and the inputs of ${run.runId}.`),
    comment: 'Inputs to replace, as JSON; empty keeps all',
    action: 'Start a new run',
    act: async (text) => {
      const body = text ? { inputs: JSON.parse(text) } : {};
      created = await post(pathOf`/runs/${run.runId}/rerun`, body, { 'Idempotency-Key': key });
    },
  });
  if (created) goToNewRun(created);
}
