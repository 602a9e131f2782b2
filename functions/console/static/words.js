/** How states, times and sizes are written. A state is a word and a sign, never a colour alone. */

import { h } from './dom.js';

/** @type {Record<string, {sign: string, word: string, tone: string}>} */
const STATES = {
  queued: { sign: '○', word: 'Queued', tone: 'idle' },
  running: { sign: '▶', word: 'Running', tone: 'active' },
  waiting: { sign: '‖', word: 'Waiting for approval', tone: 'waiting' },
  succeeded: { sign: '✓', word: 'Succeeded', tone: 'good' },
  failed: { sign: '✕', word: 'Failed', tone: 'bad' },
  cancelled: { sign: '⊘', word: 'Cancelled', tone: 'idle' },
  pending: { sign: '○', word: 'Not started', tone: 'idle' },
  retrying: { sign: '↻', word: 'Trying again', tone: 'waiting' },
  offered: { sign: '◔', word: 'Waiting for a worker', tone: 'waiting' },
  skipped: { sign: '↷', word: 'Skipped', tone: 'idle' },
  warned: { sign: '⚠', word: 'Passed with a warning', tone: 'waiting' },
  requiresapproval: { sign: '‖', word: 'Requires an approval', tone: 'waiting' },
  requirespolicy: { sign: '◇', word: 'Evaluates a policy', tone: 'idle' },
  williterate: { sign: '○', word: 'Its items are known in the run', tone: 'idle' },
  willbranch: { sign: '○', word: 'Decided in the run', tone: 'idle' },
};

/** @type {Record<string, string>} What a `statusReason` means. */
const REASONS = {
  'awaiting-approval': 'a gate waits for a decision',
  'awaiting-override': 'a policy failed; a person may override it',
  'approval-rejected': 'an approver rejected it',
  'approval-expired': 'nobody decided in time',
  'policy-failed': 'a policy does not hold',
  'policy-warned': 'a policy does not hold, and only warns',
  'executor-error': 'the step failed',
  timeout: 'it took too long',
  'quota-exceeded': 'the run has used its executor time',
  'memory-exceeded': 'it needed more memory than it has',
  'egress-denied': 'it called an address that is not allowed',
  'condition-false': 'its condition is false',
  'condition-at-runtime': 'its condition is decided while the run goes on',
  'branch-not-taken': 'another branch was taken',
  'parent-skipped': 'the block around it was skipped',
  'run-failed': 'the run failed before',
  cancelled: 'the run was cancelled',
  retrying: 'the last attempt failed',
  'waiting-for-worker': 'no worker of its pool has taken it yet',
  'worker-lost': 'its worker was lost',
};

/**
 * Returns the state of a step, in the words of `STATES`.
 *
 * @param {{status?: string, statusReason?: string}} step
 */
export function stepState(step) {
  const reason = step.statusReason ?? '';
  if (reason.startsWith('awaiting-')) return 'waiting';
  if (reason === 'retrying') return 'retrying';
  if (reason === 'waiting-for-worker') return 'offered';
  if (reason === 'policy-warned') return 'warned';
  return (step.status ?? 'pending').toLowerCase();
}

export function stateWord(state) {
  return STATES[state]?.word ?? state;
}

export function stateTone(state) {
  return STATES[state]?.tone ?? 'idle';
}

export function reasonWords(reason) {
  return REASONS[reason] ?? reason ?? '';
}

/**
 * Returns how often and when a step is tried again, such as `up to 3 attempts, 2 s apart`.
 *
 * @param {{maxAttempts: number, backoffSeconds: number, backoffRate?: number,
 *   maxBackoffSeconds?: number, jitter?: string, on?: string[]}} [retries]
 */
export function retriesWords(retries) {
  if (!retries) return '';
  return [
    `up to ${plural(retries.maxAttempts, 'attempt')}`,
    retries.backoffSeconds && `${retries.backoffSeconds} s apart`,
    retries.backoffRate && `each pause ${retries.backoffRate} times the one before`,
    retries.maxBackoffSeconds && `at most ${retries.maxBackoffSeconds} s`,
    retries.jitter === 'full' && 'shortened at random',
    retries.on?.length > 0 && `after ${retries.on.map(reasonWords).join(' or ')} only`,
  ]
    .filter(Boolean)
    .join(', ');
}

/** Returns a caller as people know it, with its id: `nightly-build (1h57kf5cpq)`. */
export function who(subject, name) {
  return name && subject ? `${name} (${subject})` : subject;
}

/** Returns a badge with a state's sign and word. */
export function badge(state) {
  return h('span', { class: `badge ${stateTone(state)}` }, sign(state), stateWord(state));
}

/** Returns a state's sign, for which a word is near. */
export function sign(state) {
  const character = STATES[state]?.sign ?? '·';
  return h('span', { class: `sign ${stateTone(state)}`, 'aria-hidden': 'true' }, character);
}

/** Returns a duration such as `850 ms`, `12.4 s` or `3 min 5 s`. */
export function duration(milliseconds) {
  if (!Number.isFinite(milliseconds) || milliseconds < 0) return '';
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${Number((milliseconds / 1000).toFixed(1))} s`;
  const seconds = Math.round(milliseconds / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([count]) => count > 0);
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0);
  return shown.map(([count, unit]) => `${count} ${unit}`).join(' ');
}

const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'medium' });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });

/** Returns an element with a time; its title has the time as the service wrote it. */
export function time(text, { isShort = false } = {}) {
  if (!text) return null;
  const format = isShort ? CLOCK : TIME;
  return h('time', { datetime: text, title: text }, format.format(new Date(text)));
}

/** Returns how long ago *text* was, such as `5 min ago`. */
export function age(text) {
  const milliseconds = Date.now() - Date.parse(text);
  return milliseconds < 1000
    ? 'just now'
    : `${duration(Math.floor(milliseconds / 1000) * 1000)} ago`;
}

/** Returns how long it is until *text*. */
export function remaining(text) {
  const milliseconds = Date.parse(text) - Date.now();
  return milliseconds < 0 ? 'now' : `in ${duration(Math.ceil(milliseconds / 1000) * 1000)}`;
}

export function clock(milliseconds) {
  return CLOCK.format(new Date(milliseconds));
}

/** Returns a size such as `312 bytes` or `4.2 MiB`. */
export function size(bytes) {
  if (bytes === undefined) return '';
  if (bytes < 1024) return `${bytes} bytes`;
  const units = ['KiB', 'MiB', 'GiB'];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${(bytes / 1024 ** power).toFixed(1)} ${units[power - 1]}`;
}

export function plural(count, noun) {
  return `${count.toLocaleString()} ${noun}${count === 1 ? '' : 's'}`;
}

/** Returns a value as a person reads it: a text as it is, the rest as indented JSON. */
export function valueText(value) {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2);
}
