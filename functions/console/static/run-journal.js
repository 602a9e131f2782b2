/**
 * What a run's log says beyond its state: when steps ran, and who decided what.
 *
 * The log is read once, page by page, and then followed by its cursor.
 */

import { readLog } from './api.js';

const ENDS = new Set(['run.completed', 'run.failed', 'run.cancelled', 'run.schedule-failed']);
const STEP_ENDS = new Set(['step.completed', 'step.failed', 'gate.approved', 'gate.rejected']);

/** @typedef {{startedAt: string, endedAt: string}} Span */

/**
 * @typedef {object} Decision
 * @property {string} at
 * @property {string} stepId Empty for a decision that does not settle a gate yet.
 * @property {string} approvalId
 * @property {string} verdict
 * @property {string} approver
 * @property {string} summary
 */

export class RunJournal {
  #runId;
  #cursor = '';

  /** @type {import('./api.js').LogEntry[]} */
  entries = [];

  /** @type {Map<string, Span>} */
  spans = new Map();

  /** @type {Decision[]} */
  decisions = [];

  hasEnd = false;

  /** @param {string} runId */
  constructor(runId) {
    this.#runId = runId;
  }

  /**
   * Reads one page of what is new.
   *
   * @returns {Promise<boolean>} Whether there was anything.
   */
  async readPage(signal) {
    const page = await readLog(this.#runId, this.#cursor, signal);
    this.#cursor = page.cursor;
    for (const entry of page.entries) this.#add(entry);
    return page.entries.length > 0;
  }

  /** Returns when a step began and ended, by the log; of a block, when what is in it did. */
  spanOf(node) {
    const own = this.spans.get(node.id);
    if (own || !node.children.length) return own;
    const inner = node.children.map((child) => this.spanOf(child)).filter(Boolean);
    if (!inner.length) return undefined;
    const isOpen = inner.some((span) => !span.endedAt);
    const startedAt = inner.map((span) => span.startedAt).reduce((a, b) => (a < b ? a : b));
    const endedAt = inner.map((span) => span.endedAt).reduce((a, b) => (a > b ? a : b));
    return { startedAt, endedAt: isOpen ? '' : endedAt };
  }

  #add(entry) {
    this.entries.push(entry);
    const { eventType, stepId = '', timestamp, metadata = {} } = entry;
    if (ENDS.has(eventType)) this.hasEnd = true;
    if (eventType === 'step.started' || eventType === 'gate.awaiting') {
      const startedAt = this.spans.get(stepId)?.startedAt ?? timestamp;
      this.spans.set(stepId, { startedAt, endedAt: '' });
    } else if (STEP_ENDS.has(eventType)) {
      const startedAt = this.spans.get(stepId)?.startedAt ?? timestamp;
      this.spans.set(stepId, { startedAt, endedAt: timestamp });
    }
    if (metadata.approver) this.#decide(entry, metadata);
  }

  #decide(entry, metadata) {
    this.decisions.push({
      at: entry.timestamp,
      stepId: entry.stepId ?? '',
      approvalId: metadata.approvalId ?? '',
      verdict: entry.message.split(':')[0],
      approver: metadata.approver,
      summary: metadata.summary ?? '',
    });
  }
}
