/** The tenant's runs, newest first, with filters. */

import { read } from './api.js';
import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { freshness } from './freshness.js';
import { runLink, runsLink } from './places.js';
import { Poll } from './poll.js';
import { age, badge, duration, reasonWords, time, who } from './words.js';

const STATUSES = ['queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled'];
const FILTERS = {
  pack: 'Pack',
  version: 'Version of the pack',
  requestedBy: 'Requested by',
  approval: 'Waiting for the approval',
};
const TIMES = { createdAfter: 'Requested after', createdBefore: 'Requested before' };
const PAGE = 50;
const INTERVAL_MS = 2000;

class RunsPage extends ConsoleElement {
  #place = null;
  #runs = [];
  #pages = 1;
  #hasOlder = false;
  #poll = new Poll(
    (signal) => this.#read(signal),
    () => this.repaint(),
    INTERVAL_MS,
  );
  #clock = 0;

  set place(place) {
    const isNew = String(place.query) !== String(this.#place?.query ?? '');
    this.#place = place;
    if (!isNew || !this.isConnected) return;
    this.#runs = [];
    this.#pages = 1;
    this.#poll.stop();
    this.#poll.start();
    this.repaint();
  }

  connected() {
    this.#poll.start();
    this.#clock = setInterval(() => this.repaint(), 1000);
  }

  disconnected() {
    this.#poll.stop();
    clearInterval(this.#clock);
  }

  view() {
    const runs = this.#runs;
    return [
      h('div', { class: 'title' }, h('h1', null, 'Runs'), freshness(this.#poll)),
      this.#filters(),
      this.#poll.answeredAt > 0 && !runs.length && h('p', null, 'There is no such run.'),
      runs.length > 0 && table(runs),
      this.#hasOlder &&
        h('button', { type: 'button', onclick: () => this.#showOlder() }, 'Show older runs'),
    ];
  }

  #filters() {
    const { query } = this.#place;
    return h(
      'form',
      { class: 'filters', 'aria-label': 'Filters', onsubmit: (event) => this.#filter(event) },
      h(
        'label',
        null,
        'Status',
        h(
          'select',
          { name: 'status', onchange: (event) => event.target.form.requestSubmit() },
          h('option', { value: '' }, 'any'),
          STATUSES.map((status) =>
            h(
              'option',
              { key: status, value: status, selected: query.get('status') === status },
              status,
            ),
          ),
        ),
      ),
      Object.entries(FILTERS).map(([name, words]) =>
        h('label', { key: name }, words, h('input', { name, value: query.get(name) ?? '' })),
      ),
      Object.entries(TIMES).map(([name, words]) =>
        h(
          'label',
          { key: name },
          words,
          h('input', { name, type: 'datetime-local', value: localTime(query.get(name)) }),
        ),
      ),
      h('button', null, 'Filter'),
    );
  }

  #filter(event) {
    event.preventDefault();
    const filters = Object.fromEntries(new FormData(event.target));
    for (const name of Object.keys(TIMES)) {
      if (filters[name]) filters[name] = new Date(filters[name]).toISOString().replace('.000', '');
    }
    location.hash = runsLink(filters);
  }

  /** Reads all pages that are shown, because an older run may go on, too. */
  async #read(signal) {
    const runs = [];
    let cursor = '';
    for (let count = 0; count < this.#pages && (cursor || !count); count += 1) {
      const page = await readPage(this.#place.query, cursor, signal);
      runs.push(...page.runs);
      cursor = page.nextCursor ?? '';
    }
    this.#runs = runs;
    this.#hasOlder = cursor !== '';
    return INTERVAL_MS * this.#pages;
  }

  #showOlder() {
    this.#pages += 1;
    this.#poll.now();
  }
}

function readPage(filters, cursor, signal) {
  return read('/runs', { limit: PAGE, cursor, ...Object.fromEntries(filters) }, signal);
}

function table(runs) {
  return h(
    'table',
    { class: 'runs' },
    h(
      'thead',
      null,
      h(
        'tr',
        null,
        ['Run', 'Status', 'Reason', 'Pack', 'Requested', 'Duration'].map((name) =>
          h('th', { scope: 'col' }, name),
        ),
      ),
    ),
    h('tbody', null, runs.map(row)),
  );
}

function row(run) {
  const end = run.endedAt ? Date.parse(run.endedAt) : Date.now();
  return h(
    'tr',
    { key: run.runId },
    h('td', { 'data-label': 'Run' }, h('a', { href: runLink(run.runId) }, run.runId)),
    h('td', { 'data-label': 'Status' }, badge(run.status)),
    h('td', { 'data-label': 'Reason', class: 'reason' }, reasonOf(run)),
    h('td', { 'data-label': 'Pack' }, `${run.pack.name} ${run.pack.version}`),
    h(
      'td',
      { 'data-label': 'Requested' },
      time(run.createdAt),
      h('span', { class: 'why' }, `${age(run.createdAt)} by ${who(run.createdBy, run.createdByName) ?? 'unknown'}`),
    ),
    h('td', { 'data-label': 'Duration', class: 'duration' }, duration(end - Date.parse(run.createdAt))),
  );
}

/** Says why a run ended or waits: the step, its reason and its message. */
function reasonOf({ runId, statusReason }) {
  if (!statusReason) return null;
  const { stepId, reason, message } = statusReason;
  return [
    stepId && h('a', { href: runLink(runId, { stepId, tab: 'step' }) }, stepId),
    stepId && reason && ` ${reasonWords(reason)}`,
    message && h('span', { class: 'why' }, message),
  ];
}

/** Returns a time as an input of a browser has it: in local time, and without a zone. */
function localTime(text) {
  if (!text || Number.isNaN(Date.parse(text))) return '';
  const local = new Date(text);
  local.setMinutes(local.getMinutes() - local.getTimezoneOffset());
  return local.toISOString().slice(0, 16);
}

customElements.define('tr-runs', RunsPage);
