/** Says how old the data is: live, or from before the connection was lost. */

import { RefusedError } from './api.js';
import { h } from './dom.js';
import { clock, duration } from './words.js';

/**
 * @param {import('./poll.js').Poll} poll
 * @param {{isFinal?: boolean}} [options] Whether the data changes no more.
 */
export function freshness(poll, { isFinal = false } = {}) {
  if (poll.error instanceof RefusedError)
    return h('p', { class: 'freshness lost', role: 'alert' }, `⚠ ${poll.error.message}`);
  if (poll.isLost && poll.answeredAt) {
    const old = duration(Math.round((Date.now() - poll.answeredAt) / 1000) * 1000) || '0 s';
    return h(
      'p',
      { class: 'freshness lost' },
      `⚠ Connection lost. This is from ${clock(poll.answeredAt)}, ${old} ago. `,
      h('button', { type: 'button', class: 'quiet', onclick: () => poll.now() }, 'Try now'),
    );
  }
  if (poll.isLost) return h('p', { class: 'freshness lost' }, `⚠ ${poll.error.message}`);
  if (!poll.answeredAt) return h('p', { class: 'freshness' }, 'Loading …');
  if (isFinal) return h('p', { class: 'freshness' }, 'Final');
  return h('p', { class: 'freshness' }, '● Live');
}
