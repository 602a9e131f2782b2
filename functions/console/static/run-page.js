/** A run: its structure with live state, what failed, the gates that wait, and its records. */

import './evidence-panel.js';
import './log-panel.js';
import './step-tree.js';
import { announce } from './announcer.js';
import { pathOf, read } from './api.js';
import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { evidenceOf } from './evidence.js';
import { failures } from './failures.js';
import { freshness } from './freshness.js';
import { gateCard } from './gate-card.js';
import { GateContexts, readGates, readPlan } from './gate-context.js';
import { MoreSteps } from './more-steps.js';
import { runLink } from './places.js';
import { planPanel } from './plan-panel.js';
import { mayPass, Poll } from './poll.js';
import { artifactsPanel, decisionsPanel } from './record-panels.js';
import { runHeader } from './run-header.js';
import { RunJournal } from './run-journal.js';
import { around, idsInside, treeOfRun } from './run-model.js';
import { RunState } from './run-state.js';
import { runTabs, tabOf } from './run-tabs.js';
import { stepPanel } from './step-panel.js';
import { timelinePanel } from './timeline-panel.js';
import { stateWord, stepState } from './words.js';

const FINAL = new Set(['succeeded', 'failed', 'cancelled']);
class RunPage extends ConsoleElement {
  #place = null;
  #reader = null;
  #more = new MoreSteps();
  #run = null;
  #tree = { roots: [], byId: new Map() };
  #journal = null;
  #step = null;
  #gates = [];
  #artifacts = [];
  #plan = null;
  #error = '';
  #clock = 0;
  #again = 0;
  #revealed = '';
  #isIncomplete = false;
  #contexts = new GateContexts(() => this.repaint());
  #state = new Poll(
    (signal) => this.#readState(signal),
    () => this.repaint(),
    1000,
  );
  #log = new Poll(
    (signal) => this.#readLog(signal),
    () => this.repaint(),
    1500,
  );

  /** @param {import('./places.js').Place} place */
  set place(place) {
    const before = this.#place;
    this.#place = place;
    this.#journal ??= new RunJournal(place.runId);
    this.#reader ??= new RunState(pathOf`/runs/${place.runId}`);
    if (!before || !this.isConnected) return;
    if (before.stepId !== place.stepId) this.#step = null;
    this.#readDetails();
    this.repaint();
  }

  connected() {
    this.#state.start();
    this.#log.start();
    this.#clock = setInterval(() => this.repaint(), 1000);
  }

  disconnected() {
    this.#state.stop();
    this.#log.stop();
    clearInterval(this.#clock);
    clearTimeout(this.#again);
  }

  get #tab() {
    return tabOf(this.#place);
  }

  get #hasEnded() {
    return FINAL.has(this.#run?.status);
  }

  /** Whether nothing changes any more. A step beside the one that failed a run may still finish. */
  get #isFinal() {
    return this.#hasEnded && !this.#run.steps.some((step) => step.status === 'Running');
  }

  view() {
    if (!this.#run) {
      return [h('h1', null, `Run ${this.#place.runId}`), freshness(this.#state)];
    }
    this.#revealStep();
    return [
      runHeader(this.#run, this.#state, { hasEnded: this.#hasEnded, isFinal: this.#isFinal }),
      this.#error && h('p', { class: 'error', role: 'alert' }, this.#error),
      failures(this.#run, this.#tree, this.#journal),
      this.#gates.length > 0 &&
        h(
          'section',
          { 'aria-label': 'Gates that wait' },
          this.#gates.map((gate) =>
            gateCard(gate, this.#contexts.of(gate), () => this.#state.now()),
          ),
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
    const count = this.#run.stepsOmitted;
    return (
      count &&
      h(
        'p',
        { class: 'why' },
        `${count.toLocaleString()} steps at rest are not listed; the log has them.`,
      )
    );
  }

  #structure() {
    const { stepId } = this.#place;
    const input = {
      nodes: this.#tree.roots,
      selected: stepId,
      spanOf: (node) => this.#journal.spanOf(node),
      linkOf: (id) =>
        runLink(this.#place.runId, { stepId: id, tab: this.#place.query.get('tab') ?? '' }),
      onMore: (id) => this.#readMore(id),
    };
    return h('tr-steps', { '.input': input });
  }

  /** Opens the blocks around the step of the address, once. */
  #revealStep() {
    const { stepId } = this.#place;
    if (!stepId || this.#revealed === stepId || !this.#tree.byId.has(stepId)) return;
    this.#revealed = stepId;
    queueMicrotask(() => this.querySelector('tr-steps')?.reveal(around(this.#tree, stepId)));
  }

  #panel() {
    const { runId, stepId, attempt } = this.#place;
    if (this.#tab === 'step')
      return this.#step ? stepPanel(runId, this.#step, attempt) : h('p', null, 'Loading …');
    if (this.#tab === 'timeline') return timelinePanel(runId, this.#tree, this.#journal);
    if (this.#tab === 'artifacts')
      return artifactsPanel(runId, this.#artifacts, (error) => this.#fail(error));
    if (this.#tab === 'decisions') return decisionsPanel(runId, this.#journal.decisions);
    if (this.#tab === 'plan') return planPanel(this.#run, this.#plan);
    if (this.#tab === 'evidence') {
      const evidence = { run: this.#run, artifacts: this.#artifacts, hasEnded: this.#hasEnded };
      return h('tr-evidence', { '.input': evidence });
    }
    const input = {
      entries: this.#journal.latest,
      isPartial: this.#journal.isPartial,
      stepId,
      stepIds: this.#tree.byId.has(stepId) ? idsInside(this.#tree.byId.get(stepId)) : [stepId],
      attempt,
      linkOf: (id) => runLink(runId, { stepId: id, tab: 'log' }),
    };
    return h('tr-log', { '.input': input });
  }

  async #readState(signal) {
    const state = await this.#reader.next(!this.#hasEnded && !this.#isIncomplete, signal);
    if (state) {
      await nextTask(); // reading a large state has taken a part of this frame
      signal.throwIfAborted();
      this.#log.now();
      if (this.#run) await this.#more.refresh(this.#place.runId);
      this.#take(state);
    }
    if (state || this.#isIncomplete) await this.#readDetails(signal);
    return this.#isFinal ? false : this.#reader.pauseMs;
  }

  #take(run) {
    const before = this.#run?.status;
    this.#run = run;
    this.#grow();
    if (before && before !== run.status) announce(`Run ${run.runId}: ${stateWord(run.status)}.`);
  }

  /** Makes the tree of what the service sent by itself, and of what was asked for besides. */
  #grow() {
    const sent = new Set(this.#run.steps.map((step) => step.stepId));
    const besides = this.#more.steps().filter((step) => !sent.has(step.stepId));
    const counts = new Map();
    for (const { parentId } of besides) counts.set(parentId, (counts.get(parentId) ?? 0) + 1);
    this.#tree = treeOfRun([...this.#run.steps, ...besides], counts);
  }

  async #readMore(blockId) {
    try {
      await this.#more.read(this.#place.runId, blockId);
      this.#grow();
    } catch (error) {
      this.#error = error.message;
    }
    this.repaint();
  }

  /** Reads what the selected tab and step need, and the gates while one waits. */
  async #readDetails(signal) {
    const { runId, stepId } = this.#place;
    const waiting = this.#run?.steps.filter((step) => stepState(step) === 'waiting') ?? [];
    try {
      this.#gates = this.#hasEnded ? [] : await readGates(runId, waiting, signal);
      const step = stepId && (await read(pathOf`/runs/${runId}/steps/${stepId}`, {}, signal));
      if (stepId === this.#place.stepId) this.#step = step; // the person may have gone on
      if (this.#tab === 'artifacts' || this.#tab === 'evidence') await this.#readArtifacts(signal);
      if (this.#tab === 'plan' && !this.#plan) {
        this.#plan = await readPlan(runId, signal).catch((error) => {
          if (!error.isMissing) throw error;
          return {}; // the deployment does not show plans
        });
      }
      this.#error = '';
      this.#isIncomplete = false;
    } catch (error) {
      this.#isIncomplete = mayPass(error);
      if (error.name !== 'AbortError' && !this.#isIncomplete) this.#error = error.message;
    }
    this.repaint();
  }

  /** Reads the artifacts, and again until the evidence is there, which follows a run's end. */
  async #readArtifacts(signal) {
    this.#artifacts = await read(pathOf`/runs/${this.#place.runId}/artifacts`, {}, signal);
    clearTimeout(this.#again);
    if (this.#hasEnded && this.isConnected && !evidenceOf(this.#artifacts)) {
      this.#again = setTimeout(() => this.#readDetails(), 2000);
    }
  }

  /** Reads what is new in the log, once for each change of the state. */
  async #readLog(signal) {
    while (await this.#journal.readPage(signal)) this.repaint();
    return this.#hasEnded && !this.#journal.hasEnd ? undefined : Infinity;
  }

  #fail(error) {
    this.#error = error.message;
    this.repaint();
  }
}

function nextTask() {
  return new Promise((resolve) => {
    setTimeout(resolve);
  });
}

customElements.define('tr-run', RunPage);
