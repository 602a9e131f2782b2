/**
 * What a run's log says beyond its state: when steps ran, and who decided what.
 *
 * Its last entries are read first, so that they can be shown at once. A longer log is then read
 * from its beginning, page by page, because the times of steps and the decisions need all of it.
 * After that it is followed by its cursor.
 */

import { readLog, readLogEnd } from './api.js';

const END_ENTRIES = 200;
const FIRST_EVENT = 'run.created';
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
  #hasReadEnd = false;

  /** @type {import('./api.js').LogEntry[]} The log's last entries, until all of it is read. */
  #end = [];

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

  /** The last entries that were read; before them some may be missing, see `isPartial`. */
  get latest() {
    return this.isPartial ? this.#end : this.entries;
  }

  /** Whether the log's end was read, and not yet all that is before it. */
  get isPartial() {
    return this.#end.length > 0;
  }

  /**
   * Reads one page: first the log's end, then what is before it, then what is new.
   *
   * @returns {Promise<boolean>} Whether there was anything.
   */
  async readPage(signal) {
    if (!this.#hasReadEnd) return this.#readEnd(signal);
    const page = await readLog(this.#runId, this.#cursor, signal);
    this.#take(page);
    const last = this.#end.at(-1)?.cursor;
    if (page.entries.some((entry) => entry.cursor === last)) this.#end = [];
    return page.entries.length > 0;
  }

  async #readEnd(signal) {
    const page = await readLogEnd(this.#runId, END_ENTRIES, signal);
    this.#hasReadEnd = true;
    if (page.entries[0]?.eventType === FIRST_EVENT) this.#take(page);
    else this.#end = page.entries;
    return page.entries.length > 0;
  }

  #take(page) {
    this.#cursor = page.cursor;
    for (const entry of page.entries) this.#add(entry);
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
