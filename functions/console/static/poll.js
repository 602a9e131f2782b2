/**
 * Repeats a request for as long as somebody looks at the page.
 *
 * The task chooses when to ask again: after the usual time, after a time of its own, or as soon as
 * the service reports something new.
 *
 * A failed request is repeated more and more seldom. What was read last stays, with its age, so that
 * nobody takes it for new.
 */

import { RefusedError, UnreachableError } from './api.js';
import { session } from './sign-in.js';

const LONGEST_WAIT_MS = 15_000;

/** Whether a request that failed may be answered later. A run that does not exist stays so. */
export function mayPass(error) {
  return error instanceof UnreachableError || error.status >= 500 || error.status === 429;
}

export class Poll {
  #task;
  #onChange;
  #intervalMs;
  #timer = 0;
  #failures = 0;
  #abort = new AbortController();
  #isRunning = false;
  #isAsking = false;
  #isDue = false;

  /** When the last good answer came, in milliseconds since 1970; 0 before the first. */
  answeredAt = 0;

  /** @type {Error|null} Why the last request failed. */
  error = null;

  /**
   * @param {(signal: AbortSignal) => Promise<boolean|number|void>} task Asks once. It returns false
   *   when there is nothing more to ask, or the milliseconds until the next request; Infinity to
   *   ask only when `now` is called.
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
    window.addEventListener('offline', this.#onOffline);
    this.#ask();
  }

  stop() {
    this.#isRunning = false;
    clearTimeout(this.#timer);
    this.#abort.abort();
    document.removeEventListener('visibilitychange', this.#onVisible);
    window.removeEventListener('online', this.#onVisible);
    window.removeEventListener('offline', this.#onOffline);
  }

  /** Asks now, or once more if it is asking, for example after the person has changed something. */
  now() {
    if (!this.#isRunning) return this.start();
    this.#isDue = this.#isAsking;
    clearTimeout(this.#timer);
    return this.#ask();
  }

  get isLost() {
    return this.error !== null;
  }

  #onVisible = () => {
    if (!document.hidden) this.now();
  };

  /** A request that waits for an answer would not notice for long. */
  #onOffline = () => {
    this.#abort.abort(new UnreachableError('The connection is lost.'));
    this.#abort = new AbortController();
  };

  async #ask() {
    if (this.#isAsking || !this.#isRunning || session.hasExpired) return;
    this.#isAsking = true;
    const startedAt = performance.now();
    let isDone = false;
    let ownPauseMs;
    try {
      const next = await this.#task(this.#abort.signal);
      isDone = next === false;
      ownPauseMs = typeof next === 'number' ? next : undefined;
      this.error = null;
      this.#failures = 0;
      this.answeredAt = Date.now();
    } catch (error) {
      if (!this.#isRunning) return;
      this.error = error;
      this.#failures += 1;
      isDone = error instanceof RefusedError && !mayPass(error);
    } finally {
      this.#isAsking = false;
    }
    this.#onChange();
    if (isDone || !this.#isRunning) return;
    if (document.hidden) return;
    const usualMs = Math.max(this.#intervalMs, 4 * (performance.now() - startedAt));
    const pauseMs = ownPauseMs ?? Math.min(usualMs * 2 ** this.#failures, LONGEST_WAIT_MS);
    if (this.#isDue) this.#timer = setTimeout(() => this.#ask());
    else if (pauseMs < Infinity) this.#timer = setTimeout(() => this.#ask(), pauseMs);
    this.#isDue = false;
  }
}
