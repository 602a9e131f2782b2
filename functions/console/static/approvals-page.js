/** The gates that wait for a decision. */

import { announce } from './announcer.js';
import { read } from './api.js';
import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { freshness } from './freshness.js';
import { gateCard, identityOf } from './gate-card.js';
import { GateContexts } from './gate-context.js';
import { runLink } from './places.js';
import { Poll } from './poll.js';
import { plural } from './words.js';

const PAGE = 20;
const MOST_DONE = 3;

class ApprovalsPage extends ConsoleElement {
  #gates = [];
  #hasMore = false;
  #limit = PAGE;
  #contexts = new GateContexts(() => this.repaint());
  #poll = new Poll(
    (signal) => this.#read(signal),
    () => this.repaint(),
    3000,
  );
  #clock = 0;

  /** @type {import('./gate-card.js').Done[]} What was decided on this page, the newest first. */
  #done = [];

  connected() {
    this.#poll.start();
    this.#clock = setInterval(() => this.repaint(), 1000);
  }

  disconnected() {
    this.#poll.stop();
    clearInterval(this.#clock);
  }

  view() {
    const others = this.#gates.filter((gate) => gate.canDecide === false);
    return [
      h('div', { class: 'title' }, h('h1', null, 'Waiting for you'), freshness(this.#poll)),
      this.#done.map(decisionView),
      this.#poll.answeredAt > 0 &&
        !this.#gates.length &&
        h('p', { class: 'empty' }, 'Nothing waits for a decision.'),
      this.#cards(this.#gates.filter((gate) => gate.canDecide !== false)),
      others.length > 0 && h('h2', { class: 'others' }, 'Waiting for others'),
      this.#cards(others),
      this.#hasMore &&
        h('button', { type: 'button', onclick: () => this.#more() }, 'Show more gates'),
    ];
  }

  #cards(gates) {
    return gates.map((gate) =>
      gateCard(gate, this.#contexts.of(gate), (done) => this.#decided(done)),
    );
  }

  #decided(done) {
    this.#done = [done, ...this.#done].slice(0, MOST_DONE);
    this.#poll.now();
  }

  #more() {
    this.#limit = Math.min(this.#limit + PAGE, 100);
    this.#poll.now();
  }

  async #read(signal) {
    const page = await read('/approvals', { limit: this.#limit }, signal);
    const known = new Set(this.#gates.map(identityOf));
    const added = page.approvals.filter((gate) => !known.has(identityOf(gate)));
    if (this.#poll.answeredAt && added.length)
      announce(`${plural(added.length, 'gate')} more waiting.`);
    this.#gates = page.approvals;
    this.#hasMore = Boolean(page.nextCursor);
  }
}

/** @param {import('./gate-card.js').Done} done */
function decisionView({ runId, name, decision }) {
  return h(
    'p',
    { key: `${runId} ${name}`, class: 'done' },
    `✓ You ${decision} ${name} of run `,
    h('a', { href: runLink(runId) }, runId),
    '.',
  );
}

customElements.define('tr-approvals', ApprovalsPage);
