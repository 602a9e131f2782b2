/** What plans add to gates: what a gate guards, what was found, and what has changed. */

import { pathOf, read } from './api.js';

const OUTPUT = /^steps\.([^.]+)\.outputs(?:\.(.+))?$/;

/** Reads each gate's part of the plan once, one after the other, and remembers it. */
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
    const plan = await readPlan(gate.runId).catch(() => ({}));
    const stepId = gate.stepId.split('::').at(-1);
    const part = (plan.gates ?? []).find((each) => each.stepId === stepId) ?? {};
    const findings = gate.findings ?? (await readFindings(gate.runId, part.findings ?? []));
    this.#known.set(key, { ...part, findings, comparison: plan.comparison });
    this.#onChange();
  }
}

/** Reads a run's plan with its changes since the last approved one. */
export function readPlan(runId, signal) {
  return read(pathOf`/runs/${runId}/plan`, { compareTo: 'last-approved' }, signal);
}

/** Reads the outputs with these names, such as `steps.scan.outputs.critical`. */
async function readFindings(runId, names) {
  const findings = [];
  for (const name of names) {
    const [, stepId, field] = OUTPUT.exec(name) ?? [];
    if (!stepId) continue;
    const step = await read(pathOf`/runs/${runId}/steps/${stepId}`).catch(() => ({}));
    const value = (field?.split('.') ?? []).reduce((inner, part) => inner?.[part], step.outputs);
    findings.push(value === undefined ? { name } : { name, value });
  }
  return findings;
}
