/** What gates let start, what was found, and what has changed since the last approved run. */

import { pathOf, read } from './api.js';

/** Reads each gate's context once, one after the other, and remembers it. */
export class GateContexts {
  #known = new Map();
  #last = Promise.resolve();
  #onChange;

  /** @param {() => void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  /**
   * Returns what is known about a gate, and reads it if it is not.
   *
   * @param {import('./gate-card.js').Gate} gate
   * @returns {import('./gate-card.js').Context|null}
   */
  of(gate) {
    const key = `${gate.runId} ${gate.stepId}`;
    if (!this.#known.has(key)) {
      this.#known.set(key, null);
      this.#last = this.#last.then(() => this.#read(gate, key));
    }
    return this.#known.get(key);
  }

  async #read(gate, key) {
    // The rest of a card is enough to decide by, so a part that cannot be read is left out.
    const named = gate.scope === 'gate' ? { stepId: gate.stepId } : {};
    const approval = readApproval(gate.runId, gate.approvalId, undefined, named);
    const { gates = [] } = await approval.catch(() => ({}));
    const { comparison } = await readPlan(gate.runId).catch(() => ({}));
    const own = gates.find((each) => each.stepId === gate.stepId);
    const waiting = own ?? (gate.scope === 'gate' ? undefined : gates[0]);
    this.#known.set(key, { ...waiting, comparison });
    this.#onChange();
  }
}

/** Reads a run's plan with its changes since the last approved one. */
export function readPlan(runId, signal) {
  return read(pathOf`/runs/${runId}/plan`, { compareTo: 'last-approved' }, signal);
}

function readApproval(runId, approvalId, signal, query = {}) {
  return read(pathOf`/runs/${runId}/approvals/${approvalId}`, query, signal);
}

/**
 * Reads the approvals that these steps of a run wait for, in the form of the list of approvals.
 *
 * @returns {Promise<import('./gate-card.js').Gate[]>}
 */
export async function readGates(runId, steps, signal) {
  const approvalIds = [...new Set(steps.map((step) => step.approvalId).filter(Boolean))];
  const approvals = await Promise.all(
    approvalIds.map((approvalId) => readApproval(runId, approvalId, signal)),
  );
  return approvals
    .filter((approval) => approval.status === 'waiting')
    .flatMap((approval) =>
      approval.scope === 'gate'
        ? approval.gates.map((gate) => gateOf(approval, gate))
        : [gateOf(approval, approval.gates[0])],
    );
}

/** A gate that needs its own decision says itself who has approved it. */
function gateOf(approval, gate) {
  return {
    ...approval,
    approvedBy: approval.decisions.filter((each) => each.decision === 'approved'),
    ...gate,
    message: gate?.message ?? approval.message,
  };
}
