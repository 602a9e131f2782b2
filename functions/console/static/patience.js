/** How requests share the service: a few at a time, and again when it is busy. */

const MOST_AT_A_TIME = 3;
const TRIES = 4;

let active = 0;

/** @type {(() => void)[]} */
const waiting = [];

/**
 * Calls *task* when fewer than three others run.
 *
 * @template T
 * @param {() => Promise<T>} task
 * @returns {Promise<T>}
 */
export async function inTurn(task) {
  if (active >= MOST_AT_A_TIME) await new Promise((resolve) => waiting.push(resolve));
  else active += 1;
  try {
    return await task();
  } finally {
    const next = waiting.shift();
    if (next) next();
    else active -= 1;
  }
}

/**
 * Sends a request, and again while the service is too busy for it. Each request of the API may be
 * repeated.
 *
 * @param {() => Promise<Response>} request
 * @param {AbortSignal} signal
 * @returns {Promise<Response>}
 */
export async function patiently(request, signal) {
  for (let count = 1; ; count += 1) {
    const answer = await inTurn(request);
    const seconds = Number(answer.headers.get('Retry-After'));
    if (![429, 503].includes(answer.status) || !seconds || count === TRIES) return answer;
    await pause(seconds * (1 + Math.random() / 2) * 1000, signal);
  }
}

function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
