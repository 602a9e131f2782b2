/** The service's API as the signed-in person sees it. */

import { patiently } from './patience.js';
import { session } from './sign-in.js';
import { settings } from './settings.js';

const TIMEOUT_MS = 35_000; // the API answers within 29 s
const PATIENCE_MS = 6000; // how long a request may take beyond what it asks the service to wait

/** The service refused a request. */
export class RefusedError extends Error {
  /**
   * @param {number} status
   * @param {{error?: {code: string, message: string, traceId?: string}, errors?: PackProblem[]}} body
   */
  constructor(status, body) {
    super(body.error?.message ?? `The service answered with status ${status}.`);
    this.status = status;
    this.code = body.error?.code ?? '';
    this.traceId = body.error?.traceId ?? '';
    /** @type {PackProblem[]} */
    this.problems = body.errors ?? [];
  }

  /** Whether this deployment does not have the operation, or the thing it names. */
  get isMissing() {
    return this.status === 404 || this.status === 405;
  }
}

/** @typedef {{path: string, message: string}} PackProblem */

/** The service could not be reached. */
export class UnreachableError extends Error {}

/**
 * Reads a JSON document.
 *
 * @param {string} path Below `/v1/task-runner`, made with `pathOf` where it has parameters.
 * @param {Record<string, string|number|undefined>} [query]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function read(path, query = {}, signal = undefined) {
  return (await send('GET', path, { query, signal })).json();
}

/**
 * Reads a JSON document unless it still has the tag *etag*.
 *
 * A request that asks the service to wait for *waitS* seconds takes no turn of others, and is not
 * repeated when the service is busy.
 *
 * @returns {Promise<{document: any, etag: string}|null>} null if it has not changed.
 */
export async function readIfChanged(path, query, etag, signal, { waitS = 0 } = {}) {
  const headers = etag ? { 'If-None-Match': etag } : {};
  const answer = await send('GET', path, { query, headers, signal, waitS });
  if (answer.status === 304) return null;
  return { document: await answer.json(), etag: answer.headers.get('ETag') ?? '' };
}

/**
 * Sends a request that changes something.
 *
 * @returns {Promise<any>}
 */
export async function post(path, body = undefined, headers = {}) {
  return (await send('POST', path, { body, headers })).json();
}

/**
 * Reads the part of a run's log after *cursor*.
 *
 * @returns {Promise<{entries: LogEntry[], cursor: string}>}
 */
export async function readLog(runId, cursor, signal) {
  const page = await readLogText(runId, cursor, signal);
  return { entries: entriesOf(page.text), cursor: page.cursor };
}

/**
 * Reads the last *count* entries of a run's log, or those before the cursor *before*.
 *
 * @returns {Promise<{entries: LogEntry[], cursor: string}>}
 */
export async function readLogEnd(runId, count, signal, before = undefined) {
  const page = await sendForLog(runId, { tail: count, before }, signal);
  return { entries: entriesOf(page.text), cursor: page.cursor };
}

/**
 * Reads the part of a run's log after *cursor* as the text that is signed.
 *
 * @returns {Promise<{text: string, cursor: string}>}
 */
export async function readLogText(runId, cursor, signal) {
  const page = await sendForLog(runId, { cursor: cursor || undefined, limit: 1000 }, signal);
  return { text: page.text, cursor: page.cursor || cursor };
}

async function sendForLog(runId, query, signal) {
  const answer = await send('GET', pathOf`/runs/${runId}/logs`, { query, signal });
  return {
    text: await answer.text(),
    cursor: answer.headers.get('X-TaskRunner-Cursor') ?? '',
  };
}

function entriesOf(text) {
  const lines = text.split('\n').filter(Boolean);
  return lines.map((line) => JSON.parse(line));
}

/**
 * @typedef {object} LogEntry
 * @property {string} timestamp
 * @property {'debug'|'info'|'warn'|'error'} level
 * @property {string} eventType
 * @property {string} message
 * @property {string} [stepId]
 * @property {Record<string, string>} [metadata]
 * @property {string} [cursor]
 */

/** Makes a path of a template, with its parameters percent-encoded. */
export function pathOf(strings, ...values) {
  return String.raw({ raw: strings }, ...values.map(encodeURIComponent));
}

async function send(method, path, { query = {}, body, headers = {}, signal, waitS = 0 } = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== '');
  const search = given.length ? `?${new URLSearchParams(given)}` : '';
  const address = `${settings.apiPath}/v1/task-runner${path}${search}`;
  const request = {
    method,
    headers: {
      Authorization: session.authorization,
      ...(session.tenant ? { 'X-StellaOps-Tenant': session.tenant } : {}),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      ...headers,
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: 'no-store',
    credentials: 'omit',
  };
  const answer = waitS
    ? await fetched(address, request, signal, 1000 * waitS + PATIENCE_MS)
    : await patiently(() => fetched(address, request, signal, TIMEOUT_MS), signal);
  if (answer.status === 401) session.expire();
  if (answer.ok || answer.status === 304) return answer;
  const refusal = new RefusedError(answer.status, await answer.json().catch(() => ({})));
  if (refusal.message.includes('X-StellaOps-Tenant') || session.tenant) session.askForTenant();
  throw refusal;
}

async function fetched(address, request, signal, timeoutMs) {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    return await fetch(address, {
      ...request,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new UnreachableError('The service cannot be reached.');
  }
}
