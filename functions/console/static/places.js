/**
 * The places of the console, in the part of the address after `#`. So each has a lasting link.
 *
 *     #/approvals   #/runs?status=failed   #/simulate
 *     #/runs/<run>   #/runs/<run>/steps/<path>   #/runs/<run>/steps/<path>/attempts/<number>
 *
 * A run's `tab` is in the query: `#/runs/<run>?tab=timeline`.
 */

/**
 * @typedef {object} Place
 * @property {'approvals'|'runs'|'run'|'simulate'} page
 * @property {string} runId
 * @property {string} stepId
 * @property {number} attempt 0 if the place names none.
 * @property {URLSearchParams} query
 */

/**
 * @param {string} hash
 * @returns {Place}
 */
export function parsePlace(hash) {
  const [path, search = ''] = hash.replace(/^#\/?/, '').split('?');
  const [first = '', ...rest] = path.split('/').map(decoded);
  const query = new URLSearchParams(search);
  const nowhere = { runId: '', stepId: '', attempt: 0, query };
  if (first === 'runs' && rest[0]) {
    const stepId = rest[1] === 'steps' ? (rest[2] ?? '') : '';
    const attempt = rest[3] === 'attempts' ? Number(rest[4]) || 0 : 0;
    return { page: 'run', runId: rest[0], stepId, attempt, query };
  }
  if (first === 'runs' || first === 'simulate') return { page: first, ...nowhere };
  return { page: 'approvals', ...nowhere };
}

/** Returns the link to a run, or to a step or attempt in it. */
export function runLink(runId, { stepId = '', attempt = 0, tab = '' } = {}) {
  const step = stepId ? `/steps/${encodeURIComponent(stepId)}` : '';
  const number = stepId && attempt ? `/attempts/${attempt}` : '';
  return `#/runs/${encodeURIComponent(runId)}${step}${number}${tab ? `?tab=${tab}` : ''}`;
}

/** Returns the link to the list of runs with these filters. */
export function runsLink(filters = {}) {
  const given = Object.entries(filters).filter(([, value]) => value);
  return given.length ? `#/runs?${new URLSearchParams(given)}` : '#/runs';
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
