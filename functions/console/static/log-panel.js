/** The log of a run or of one step, with its newest entries in view. */

import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { groupsOf, isOutput, outputView } from './output-view.js';
import { callerOf } from './run-journal.js';
import { time } from './words.js';

const PAGE = 200;
const MOST_SEARCHED = 10; // pages that are read unasked for the first entry of a step
const LEVELS = ['debug', 'info', 'warn', 'error'];

export class LogPanel extends ConsoleElement {
  /** @type {import('./api.js').LogEntry[]} */
  entries = [];

  /** Whether the log has entries before these. */
  isPartial = false;

  /** Whether these are being read. */
  isReading = false;

  /** Asks for a page of them. */
  onEarlier = () => {};

  stepId = '';

  /** @type {string[]} The ids of the selected step and of the steps in it. */
  stepIds = [];

  attempt = 0;
  linkOf = () => '#';

  #level = 'debug';
  #isAll = false;
  #shown = PAGE;
  #follows = true;
  #searched = 0;

  /** How far the view is from the log's end, while earlier entries are added above it. */
  #fromEnd = 0;

  #filtered = { key: '', of: [], read: 0, entries: [] };

  set input(input) {
    if (input.stepId !== this.stepId || input.attempt !== this.attempt) {
      this.#isAll = false;
      this.#shown = PAGE;
      this.#follows = true;
      this.#searched = 0;
    }
    if (this.entries[0] && input.entries[0] !== this.entries[0]) this.#keepPlace();
    Object.assign(this, input);
    this.repaint();
  }

  view() {
    const matching = this.#matching();
    const shown = matching.slice(-this.#shown);
    const earlier = matching.length - shown.length;
    if (!matching.length) this.#search();
    requestAnimationFrame(() => this.#scroll());
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
            { onchange: (event) => this.#choose(event.target.value) },
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
        (earlier > 0 || this.isPartial) &&
          h(
            'button',
            {
              type: 'button',
              class: 'quiet',
              disabled: earlier === 0 && this.isReading,
              onclick: () => this.#showEarlier(),
            },
            this.#earlierWords(earlier),
          ),
        groupsOf(shown).map((group) => this.#group(group)),
        !matching.length && !this.isPartial && h('p', { class: 'why' }, 'No entries yet.'),
      ),
    ];
  }

  #scope() {
    if (!this.stepId || this.#isAll) return '';
    return `of ${this.stepId}${this.attempt ? `, attempt ${this.attempt}` : ''}`;
  }

  #group(entries) {
    const [first] = entries;
    if (!isOutput(first)) return this.#line(first);
    return outputView(entries, first.stepId === this.stepId ? '' : this.linkOf(first.stepId));
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
      h('span', { class: 'message' }, ...messageOf(entry)),
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

  #choose(level) {
    this.#searched = 0;
    this.#set(() => (this.#level = level));
  }

  #set(change) {
    change();
    this.repaint();
  }

  #earlierWords(earlier) {
    if (!earlier && this.isReading) return 'Reading earlier entries …';
    if (!earlier) return 'Show earlier entries';
    const count = earlier.toLocaleString();
    return `Show earlier entries (${count}${this.isPartial ? ' or more' : ''})`;
  }

  #showEarlier() {
    const count = this.#matching().length;
    if (count <= this.#shown && !this.isPartial) return;
    const missing = this.#shown + PAGE > count;
    this.#keepPlace();
    this.#set(() => (this.#shown += PAGE));
    if (missing && this.isPartial && !this.isReading) this.onEarlier();
  }

  /** Looks in earlier entries for those of the selected step, as far as it costs little. */
  #search() {
    if (!this.isPartial || this.isReading || this.#searched >= MOST_SEARCHED) return;
    this.#searched += 1;
    queueMicrotask(() => this.onEarlier());
  }

  #onScroll({ target }) {
    const isAtTop = target.scrollTop < 40 && target.scrollHeight > target.clientHeight;
    this.#follows = target.scrollHeight - target.scrollTop - target.clientHeight < 40;
    if (isAtTop && !this.#follows && !this.#fromEnd) this.#showEarlier();
  }

  #keepPlace() {
    const log = this.querySelector('.log');
    if (log && !this.#follows) this.#fromEnd = log.scrollHeight - log.scrollTop;
  }

  #scroll() {
    const log = this.querySelector('.log');
    if (log && this.#follows) log.scrollTop = log.scrollHeight;
    else if (log && this.#fromEnd) log.scrollTop = log.scrollHeight - this.#fromEnd;
    this.#fromEnd = 0;
  }
}

/** Returns the message of an entry, with the attempt or the caller that it is about. */
function messageOf(entry) {
  const caller = callerOf(entry);
  if (!caller) return [entry.message, attemptOf(entry)];
  return [`${entry.message.replace(/\.$/, '')} by ${caller}`];
}

/** Says which attempt an entry is about, unless it is the first. */
function attemptOf({ metadata }) {
  const attempt = Number(metadata?.attempt ?? 1);
  return attempt > 1 && h('span', { class: 'attempt' }, ` (attempt ${attempt})`);
}

customElements.define('tr-log', LogPanel);
