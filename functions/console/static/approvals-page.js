/** The gates that wait for a decision. */

import { announce } from './announcer.js';
import { read } from './api.js';
import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { freshness } from './freshness.js';
import { gateCard, identityOf } from './gate-card.js';
import { GateContexts } from './gate-context.js';
import { Poll } from './poll.js';
import { plural } from './words.js';

const PAGE = 20;

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
    return gates.map((gate) => gateCard(gate, this.#contexts.of(gate), () => this.#poll.now()));
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

customElements.define('tr-approvals', ApprovalsPage);
