/**
 * Reads a run's state, and waits at the service for its changes.
 *
 * A request with `since` is answered when the run's log has grown, or after 20 seconds. So a run at
 * rest costs three requests a minute. A service that cannot let the page wait is asked for changes
 * every few seconds instead, by the state's ETag.
 */

import { readIfChanged, RefusedError } from './api.js';

const WAIT_S = 20;
const LONGEST_PAUSE_MS = 15_000;
const SHORTEST_PAUSE_MS = 1000;
const UNCHANGED_PAUSE_MS = 250;
const WITHOUT_WAITING_MS = 5000;
const BUSY_MS = 60_000;

export class RunState {
  #path;
  #etag = '';
  #position = '';
  #readMs = 0;
  #changesByTime = false;
  #waitsFrom = 0;

  /** How long to pause before the next request, in milliseconds. */
  pauseMs = SHORTEST_PAUSE_MS;

  /** @param {string} path Of the run's state. */
  constructor(path) {
    this.#path = path;
  }

  /**
   * Returns the state once it differs from the last one; null if it has not changed in time.
   *
   * @param {boolean} canWait Whether the run's log may grow. The state of an ended run changes by
   *   time alone.
   * @param {AbortSignal} signal
   */
  async next(canWait, signal) {
    const waits = canWait && this.#position !== '' && Date.now() >= this.#waitsFrom;
    let answer = waits ? await this.#waitForChange(signal) : await this.#ask(signal);
    // Why a step waits for a worker changes without the log.
    if (!answer && waits && this.#changesByTime) answer = await this.#ask(signal);
    if (answer) {
      this.#etag = answer.etag;
      this.#position = answer.document.position ?? '';
      this.#changesByTime = answer.document.steps?.some((step) => step.workerWait) ?? false;
    }
    this.pauseMs = this.#pauseAfter(answer, waits);
    return answer?.document ?? null;
  }

  async #ask(signal) {
    const startedAt = performance.now();
    const answer = await readIfChanged(this.#path, {}, this.#etag, signal);
    if (answer) this.#readMs = performance.now() - startedAt;
    return answer;
  }

  async #waitForChange(signal) {
    try {
      const query = { since: this.#position, wait: WAIT_S };
      return await readIfChanged(this.#path, query, '', signal, { waitS: WAIT_S });
    } catch (error) {
      if (!(error instanceof RefusedError) || ![400, 429, 503].includes(error.status)) throw error;
      // Each request that waits keeps a function of the service busy; or it does not know `since`.
      this.#waitsFrom = error.status === 400 ? Infinity : Date.now() + BUSY_MS;
      return this.#ask(signal);
    }
  }

  /** A large state is asked for less often, because it costs the service much. */
  #pauseAfter(answer, waited) {
    if (!answer) return waited ? UNCHANGED_PAUSE_MS : WITHOUT_WAITING_MS;
    return Math.min(Math.max(SHORTEST_PAUSE_MS, 4 * this.#readMs), LONGEST_PAUSE_MS);
  }
}
