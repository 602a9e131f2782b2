/** What plans add to gates: what a gate guards, what was found, and what has changed. */

import { pathOf, read } from './api.js';

/** Reads each run's plan once, and remembers it. */
export class GateContexts {
  #plans = new Map();
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
    if (!this.#plans.has(key)) {
      this.#plans.set(key, null);
      this.#read(gate, key);
    }
    return this.#plans.get(key);
  }

  async #read(gate, key) {
    try {
      const plan = await read(pathOf`/runs/${gate.runId}/plan`, { compareTo: 'last-approved' });
      const entry = (plan.gates ?? []).find((each) => each.stepId === gate.stepId || each.approvalId === gate.approvalId);
      this.#plans.set(key, {
        guards: entry?.guards,
        findings: entry?.findings,
        diff: plan.diff ?? undefined,
      });
    } catch {
      this.#plans.set(key, {}); // the rest of the card is enough to decide
    }
    this.#onChange();
  }
}
