/** The log of a run or of one step, with its newest entries in view. */

import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { time } from './words.js';

const PAGE = 200;
const LEVELS = ['debug', 'info', 'warn', 'error'];

export class LogPanel extends ConsoleElement {
  /** @type {import('./api.js').LogEntry[]} */
  entries = [];

  /** Whether entries before these are still being read. */
  isPartial = false;

  stepId = '';

  /** @type {string[]} The ids of the selected step and of the steps in it. */
  stepIds = [];

  attempt = 0;
  linkOf = () => '#';

  #level = 'debug';
  #isAll = false;
  #shown = PAGE;
  #follows = true;
  #filtered = { key: '', of: [], read: 0, entries: [] };

  set input(input) {
    if (input.stepId !== this.stepId || input.attempt !== this.attempt) {
      this.#isAll = false;
      this.#shown = PAGE;
      this.#follows = true;
    }
    Object.assign(this, input);
    this.repaint();
  }

  view() {
    const matching = this.#matching();
    const shown = matching.slice(-this.#shown);
    const earlier = matching.length - shown.length;
    if (this.#follows) requestAnimationFrame(() => this.#scrollDown());
    return [
      h(
        'div',
        { class: 'log-controls' },
        h(
          'label',
          null,
          'Level ',
          h(
            'select',
            { onchange: (event) => this.#set(() => (this.#level = event.target.value)) },
            LEVELS.map((level) =>
              h(
                'option',
                { key: level, value: level },
                level === 'debug' ? 'all' : `${level} and above`,
              ),
            ),
          ),
        ),
        this.stepId &&
          h(
            'label',
            null,
            h('input', {
              type: 'checkbox',
              onchange: (event) => this.#set(() => (this.#isAll = event.target.checked)),
            }),
            ' The whole run',
          ),
        h('span', { class: 'why' }, this.#scope()),
      ),
      h(
        'div',
        {
          class: 'log',
          tabindex: '0',
          role: 'log',
          'aria-label': 'Log',
          'aria-live': 'off',
          onscroll: (event) => this.#onScroll(event),
        },
        earlier > 0 &&
          h(
            'button',
            {
              type: 'button',
              class: 'quiet',
              onclick: () => this.#set(() => (this.#shown += PAGE)),
            },
            `Show earlier entries (${earlier.toLocaleString()})`,
          ),
        this.isPartial && h('p', { class: 'why' }, 'Reading earlier entries …'),
        shown.map((entry) => this.#line(entry)),
        !matching.length && !this.isPartial && h('p', { class: 'why' }, 'No entries yet.'),
      ),
    ];
  }

  #scope() {
    if (!this.stepId || this.#isAll) return '';
    return `of ${this.stepId}${this.attempt ? `, attempt ${this.attempt}` : ''}`;
  }

  #line(entry) {
    return h(
      'p',
      { key: entry.cursor, class: `line ${entry.level}` },
      time(entry.timestamp, { isShort: true }),
      h('span', { class: 'level' }, entry.level),
      entry.stepId &&
        entry.stepId !== this.stepId &&
        h('a', { href: this.linkOf(entry.stepId) }, entry.stepId),
      h('span', { class: 'message' }, entry.message),
    );
  }

  /** Filters only what is new, unless the filter or the list has changed. */
  #matching() {
    const key = [this.#level, this.#isAll, this.attempt, ...this.stepIds].join('\n');
    if (this.#filtered.key !== key || this.#filtered.of !== this.entries) {
      this.#filtered = { key, of: this.entries, read: 0, entries: [] };
    }
    const added = this.entries.slice(this.#filtered.read).filter((entry) => this.#matches(entry));
    this.#filtered.entries.push(...added);
    this.#filtered.read = this.entries.length;
    return this.#filtered.entries;
  }

  #matches(entry) {
    if (LEVELS.indexOf(entry.level) < LEVELS.indexOf(this.#level)) return false;
    if (!this.stepId || this.#isAll) return true;
    const isInside = this.stepIds.some(
      (id) => entry.stepId === id || entry.stepId?.startsWith(`${id}[`),
    );
    return isInside && (!this.attempt || Number(entry.metadata?.attempt) === this.attempt);
  }

  #set(change) {
    change();
    this.repaint();
  }

  #onScroll({ target }) {
    this.#follows = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
  }

  #scrollDown() {
    const log = this.querySelector('.log');
    if (log) log.scrollTop = log.scrollHeight;
  }
}

customElements.define('tr-log', LogPanel);
