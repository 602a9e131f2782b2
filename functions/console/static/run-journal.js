/**
 * What a run's log says beyond its state: when steps ran, and who decided what.
 *
 * Its last entries are read first, and then it is followed by its cursor. Entries before these are
 * read a page at a time when somebody asks for them, because a log may have hundreds of thousands.
 */

import { readLog, readLogEnd } from './api.js';
import { who } from './words.js';

const END_ENTRIES = 200;
const EARLIER_ENTRIES = 1000; // the most that the service sends at once
const FIRST_EVENT = 'run.created';
const ENDS = new Set(['run.completed', 'run.failed', 'run.cancelled', 'run.schedule-failed']);
const CANCEL_REQUESTED = 'run.cancel-requested';
const STEP_ENDS = new Set(['step.completed', 'step.failed', 'gate.approved', 'gate.rejected']);

/**
 * @typedef {object} Span
 * @property {string} startedAt
 * @property {string} endedAt Empty while it lasts.
 * @property {boolean} [isMoment] It takes no time, as a policy gate does: the log has only its end.
 */

/**
 * @typedef {object} Decision
 * @property {string} at
 * @property {string} stepId Empty for a decision that does not settle a gate yet.
 * @property {string} approvalId
 * @property {string} verdict
 * @property {string} approver
 * @property {string} summary
 */

/**
 * Returns the caller that an entry names, as people know it; empty if it names none.
 *
 * @param {import('./api.js').LogEntry} entry
 */
export function callerOf({ metadata = {} }) {
  if (metadata.approver) return who(metadata.approver, metadata.approverName);
  return who(metadata.by, metadata.byName) ?? '';
}

export class RunJournal {
  #runId;
  #cursor = '';
  #hasReadEnd = false;
  #hasStart = false;

  /** @type {Promise<void>|null} */
  #reading = null;

  /**
   * Entries without a gap, up to the last one that was read. Another array if earlier ones were
   * added.
   *
   * @type {import('./api.js').LogEntry[]}
   */
  entries = [];

  /** @type {Map<string, Span>} */
  spans = new Map();

  /** @type {Decision[]} */
  decisions = [];

  hasEnd = false;

  /** The caller who cancelled the run; empty if nobody did. */
  cancelledBy = '';

  /** @param {string} runId */
  constructor(runId) {
    this.#runId = runId;
  }

  /** Whether the log has entries before these. */
  get isPartial() {
    return this.entries.length > 0 && !this.#hasStart;
  }

  /** Whether entries before these are being read. */
  get isReadingEarlier() {
    return this.#reading !== null;
  }

  /**
   * Reads one page: first the log's end, then what is new.
   *
   * @returns {Promise<boolean>} Whether there was anything.
   */
  async readPage(signal) {
    const page = this.#hasReadEnd
      ? await readLog(this.#runId, this.#cursor, signal)
      : await readLogEnd(this.#runId, END_ENTRIES, signal);
    this.#hasReadEnd = true;
    this.#cursor = page.cursor;
    this.#hasStart ||= page.entries[0]?.eventType === FIRST_EVENT;
    for (const entry of page.entries) {
      this.entries.push(entry);
      this.#note(entry);
    }
    return page.entries.length > 0;
  }

  /** Reads the page before the first entry, unless there is none or it is being read. */
  async readEarlier(signal) {
    if (!this.isPartial) return;
    this.#reading ??= this.#readEarlier(signal).finally(() => {
      this.#reading = null;
    });
    await this.#reading;
  }

  async #readEarlier(signal) {
    const before = this.entries[0].cursor;
    const page = await readLogEnd(this.#runId, EARLIER_ENTRIES, signal, before);
    this.#hasStart = !page.entries.length || page.entries[0].eventType === FIRST_EVENT;
    this.entries = [...page.entries, ...this.entries];
    this.spans.clear();
    this.decisions = [];
    for (const entry of this.entries) this.#note(entry);
  }

  /**
   * Returns when a step began and ended, by the log; of a block, when what is in it did.
   *
   * It is undefined if the entries that were read do not say it.
   */
  spanOf(node) {
    const own = this.spans.get(node.id);
    if (own || !node.children.length) return own;
    const spans = node.children.map((child) => this.spanOf(child));
    const inner = spans.filter(Boolean);
    const mayMiss = this.isPartial && (node.omitted > 0 || inner.length < spans.length);
    if (!inner.length || mayMiss) return undefined;
    const isOpen = inner.some((span) => !span.endedAt);
    const startedAt = inner.map((span) => span.startedAt).reduce((a, b) => (a < b ? a : b));
    const endedAt = inner.map((span) => span.endedAt).reduce((a, b) => (a > b ? a : b));
    return { startedAt, endedAt: isOpen ? '' : endedAt };
  }

  #note(entry) {
    const { eventType, stepId = '', timestamp, metadata = {} } = entry;
    if (ENDS.has(eventType)) this.hasEnd = true;
    if (eventType === CANCEL_REQUESTED) this.cancelledBy = callerOf(entry);
    if (eventType === 'step.started' || eventType === 'gate.awaiting') {
      const startedAt = this.spans.get(stepId)?.startedAt ?? timestamp;
      this.spans.set(stepId, { startedAt, endedAt: '' });
    } else if (STEP_ENDS.has(eventType)) {
      const startedAt = this.spans.get(stepId)?.startedAt ?? (this.#hasStart ? timestamp : '');
      const isMoment = !this.spans.has(stepId);
      if (startedAt) this.spans.set(stepId, { startedAt, endedAt: timestamp, isMoment });
    }
    if (metadata.approver) this.#decide(entry, metadata);
  }

  #decide(entry, metadata) {
    this.decisions.push({
      at: entry.timestamp,
      stepId: entry.stepId ?? '',
      approvalId: metadata.approvalId ?? '',
      verdict: entry.message.split(':')[0],
      approver: callerOf(entry),
      summary: metadata.summary ?? '',
    });
  }
}
