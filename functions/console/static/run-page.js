/** A run: its structure with live state, what failed, the gates that wait, and its records. */

import './evidence-panel.js';
import './log-panel.js';
import './step-tree.js';
import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { failures } from './failures.js';
import { freshness } from './freshness.js';
import { gateCard } from './gate-card.js';
import { GateContexts } from './gate-context.js';
import { runLink, runsLink } from './places.js';
import { planPanel } from './plan-panel.js';
import { artifactsPanel, decisionsPanel } from './record-panels.js';
import { warningsOf } from './run-actions.js';
import { runHeader } from './run-header.js';
import { around, idsInside } from './run-model.js';
import { RunReader } from './run-reader.js';
import { runTabs, tabOf } from './run-tabs.js';
import { stepPanel } from './step-panel.js';
import { timelinePanel } from './timeline-panel.js';
import { plural } from './words.js';

class RunPage extends ConsoleElement {
  #place = null;

  /** @type {RunReader|null} */
  #reader = null;

  #clock = 0;
  #revealed = '';
  #contexts = new GateContexts(() => this.repaint());

  /** @param {import('./places.js').Place} place */
  set place(place) {
    this.#place = place;
    if (this.#reader) this.#reader.moveTo(place);
    else this.#reader = new RunReader(place, () => this.repaint());
    this.repaint();
  }

  connected() {
    this.#reader.start();
    this.#clock = setInterval(() => this.repaint(), 1000);
  }

  disconnected() {
    this.#reader.stop();
    clearInterval(this.#clock);
  }

  view() {
    const { run, tree, journal, poll, gates, error } = this.#reader;
    if (!run) return [h('h1', null, `Run ${this.#place.runId}`), freshness(poll), missing(poll)];
    this.#revealStep();
    return [
      runHeader(run, poll, this.#reader),
      warningsOf(run.runId).map(({ message }) => h('p', { class: 'notice', role: 'status' }, message)),
      error && h('p', { class: 'error', role: 'alert' }, error),
      failures(run, tree, journal),
      gates.length > 0 &&
        h(
          'section',
          { 'aria-label': 'Gates that wait' },
          gates.map((gate) => gateCard(gate, this.#contexts.of(gate), () => poll.now())),
        ),
      h(
        'div',
        { class: 'columns' },
        h(
          'section',
          { class: 'structure', 'aria-label': 'Steps' },
          h('h2', null, 'Steps'),
          this.#omitted(),
          this.#structure(),
        ),
        h(
          'section',
          { class: 'detail', 'aria-label': 'Details' },
          runTabs(this.#place),
          h('div', { class: 'panel' }, this.#panel()),
        ),
      ),
    ];
  }

  #omitted() {
    const count = this.#reader.run.stepsOmitted;
    return (
      count &&
      h(
        'p',
        { class: 'why' },
        `${plural(count, 'step')} at rest are not listed. Open the block around them to read them, or `,
        h('a', { href: runLink(this.#place.runId, { tab: 'log' }) }, 'the log'),
        '.',
      )
    );
  }

  #structure() {
    const { tree, journal } = this.#reader;
    const input = {
      nodes: tree.roots,
      selected: this.#place.stepId,
      spanOf: (node) => journal.spanOf(node),
      linkOf: (id) =>
        runLink(this.#place.runId, { stepId: id, tab: this.#place.query.get('tab') ?? '' }),
      onMore: (id) => this.#reader.readMore(id),
    };
    return h('tr-steps', { '.input': input });
  }

  /** Opens the blocks around the step of the address, once. */
  #revealStep() {
    const { stepId } = this.#place;
    const { tree } = this.#reader;
    if (!stepId || this.#revealed === stepId || !tree.byId.has(stepId)) return;
    this.#revealed = stepId;
    queueMicrotask(() => this.querySelector('tr-steps')?.reveal(around(tree, stepId)));
  }

  #panel() {
    const { runId, attempt } = this.#place;
    const { run, tree, journal, step, artifacts, plan, hasEnded } = this.#reader;
    switch (tabOf(this.#place)) {
      case 'step':
        return step ? stepPanel(runId, step, attempt) : h('p', null, 'Loading …');
      case 'timeline':
        return timelinePanel(runId, tree, journal);
      case 'artifacts':
        return artifactsPanel(runId, artifacts, (error) => this.#reader.fail(error));
      case 'decisions':
        return decisionsPanel(runId, journal);
      case 'plan':
        return planPanel(run, plan);
      case 'evidence':
        return h('tr-evidence', { '.input': { run, artifacts, hasEnded } });
      default:
        return this.#log();
    }
  }

  #log() {
    const { runId, stepId, attempt } = this.#place;
    const { tree, journal } = this.#reader;
    const input = {
      entries: journal.entries,
      isPartial: journal.isPartial,
      isReading: journal.isReadingEarlier,
      onEarlier: () => this.#reader.readEarlier(),
      stepId,
      stepIds: tree.byId.has(stepId) ? idsInside(tree.byId.get(stepId)) : [stepId],
      attempt,
      linkOf: (id) => runLink(runId, { stepId: id, tab: 'log' }),
    };
    return h('tr-log', { '.input': input });
  }
}

/** Says what to do when there is no such run. */
function missing(poll) {
  return (
    poll.error?.isMissing &&
    h(
      'p',
      null,
      'Compare the address with ',
      h('a', { href: runsLink() }, 'the list of runs'),
      '. A run of another tenant is not found, nor one that retention has deleted.',
    )
  );
}

customElements.define('tr-run', RunPage);
