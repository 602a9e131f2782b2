/** What a person can do with a run: cancel it, or run it again. */

import { pathOf, post } from './api.js';
import { confirm } from './dialog.js';
import { h } from './dom.js';
import { runLink } from './places.js';

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
  if (created) location.hash = runLink(created.runId);
}
