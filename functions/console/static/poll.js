/**
 * Repeats a request for as long as somebody looks at the page.
 *
 * A failed request is repeated more and more seldom. What was read last stays, with its age, so that
 * nobody takes it for new.
 */

import { UnreachableError } from './api.js';
import { session } from './sign-in.js';

const LONGEST_WAIT_MS = 15_000;

export class Poll {
  #task;
  #onChange;
  #intervalMs;
  #timer = 0;
  #failures = 0;
  #abort = new AbortController();
  #isRunning = false;
  #isAsking = false;

  /** When the last good answer came, in milliseconds since 1970; 0 before the first. */
  answeredAt = 0;

  /** @type {Error|null} Why the last request failed. */
  error = null;

  /**
   * @param {(signal: AbortSignal) => Promise<boolean|void>} task Asks once. It returns false when
   *   there is nothing more to ask.
   * @param {() => void} onChange Called after each answer and failure.
   * @param {number} [intervalMs] The time from one answer to the next request.
   */
  constructor(task, onChange, intervalMs = 1500) {
    this.#task = task;
    this.#onChange = onChange;
    this.#intervalMs = intervalMs;
  }

  start() {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#abort = new AbortController();
    document.addEventListener('visibilitychange', this.#onVisible);
    window.addEventListener('online', this.#onVisible);
    this.#ask();
  }

  stop() {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    this.#abort.abort();
    document.removeEventListener('visibilitychange', this.#onVisible);
    window.removeEventListener('online', this.#onVisible);
  }

  /** Asks now, for example after the person has changed something. */
  now() {
    if (!this.#isRunning) return this.start();
    clearTimeout(this.#timer);
    return this.#ask();
  }

  get isLost() {
    return this.error !== null;
  }

  #onVisible = () => {
    if (!document.hidden) this.now();
  };

  async #ask() {
    if (this.#isAsking || !this.#isRunning || session.hasExpired) return;
    this.#isAsking = true;
    const startedAt = performance.now();
    let isDone = false;
    try {
      isDone = (await this.#task(this.#abort.signal)) === false;
      this.error = null;
      this.#failures = 0;
      this.answeredAt = Date.now();
    } catch (error) {
      if (!this.#isRunning) return;
      this.error = error;
      this.#failures += 1;
      // A refusal stays one, such as that of a run that does not exist.
      isDone = !(error instanceof UnreachableError) && error.status < 500 && error.status !== 429;
    } finally {
      this.#isAsking = false;
    }
    this.#onChange();
    if (isDone || !this.#isRunning) return;
    const usualMs = Math.max(this.#intervalMs, 4 * (performance.now() - startedAt));
    const waitMs = Math.min(usualMs * 2 ** this.#failures, LONGEST_WAIT_MS);
    if (!document.hidden) this.#timer = setTimeout(() => this.#ask(), waitMs);
  }
}
