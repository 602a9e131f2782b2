/** A run: its structure with live state, what failed, the gates that wait, and its records. */

import './log-panel.js';
import './step-tree.js';
import { announce } from './announcer.js';
import { pathOf, post, read, readIfChanged } from './api.js';
import { confirm } from './dialog.js';
import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { failures } from './failures.js';
import { freshness } from './freshness.js';
import { gateCard } from './gate-card.js';
import { GateContexts, readGates, readPlan } from './gate-context.js';
import { runLink } from './places.js';
import { planPanel } from './plan-panel.js';
import { Poll } from './poll.js';
import { MoreSteps } from './more-steps.js';
import { artifactsPanel, decisionsPanel, evidencePanel } from './record-panels.js';
import { RunJournal } from './run-journal.js';
import { around, treeOfRun } from './run-model.js';
import { stepPanel } from './step-panel.js';
import { timelinePanel } from './timeline-panel.js';
import { facts } from './value-view.js';
import { badge, duration, stateWord, stepState, time } from './words.js';

const FINAL = new Set(['succeeded', 'failed', 'cancelled']);
const TABS = {
  log: 'Log',
  step: 'Step',
  timeline: 'Timeline',
  artifacts: 'Artifacts',
  decisions: 'Decisions',
  plan: 'Plan',
  evidence: 'Evidence',
};

class RunPage extends ConsoleElement {
  #place = null;
  #etag = '';
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
  #revealed = '';
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
  }

  get #tab() {
    const tab = this.#place.query.get('tab');
    return tab in TABS ? tab : 'log';
  }

  get #hasEnded() {
    return FINAL.has(this.#run?.status);
  }

  view() {
    if (!this.#run) {
      return [h('h1', null, `Run ${this.#place.runId}`), freshness(this.#state)];
    }
    this.#revealStep();
    return [
      this.#header(),
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
          this.#tabs(),
          h('div', { class: 'panel' }, this.#panel()),
        ),
      ),
    ];
  }

  #header() {
    const run = this.#run;
    const from = Date.parse(run.startedAt ?? run.createdAt);
    const to = run.endedAt ? Date.parse(run.endedAt) : Date.now();
    return [
      h(
        'div',
        { class: 'title' },
        h('h1', null, `Run ${run.runId} `, badge(run.status)),
        freshness(this.#state, { hasEnded: this.#hasEnded }),
        h(
          'div',
          { class: 'buttons' },
          !this.#hasEnded &&
            h('button', { type: 'button', onclick: () => this.#cancel() }, 'Cancel …'),
          h('button', { type: 'button', onclick: () => this.#rerun() }, 'Run again …'),
        ),
      ),
      facts([
        ['Pack', run.pack && `${run.pack.name} ${run.pack.version}`],
        ['Requested', [time(run.createdAt), run.createdBy && ` by ${run.createdBy}`]],
        ['Duration', duration(to - from)],
        ['Ended', time(run.endedAt)],
      ]),
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

  #tabs() {
    const { runId, stepId, attempt } = this.#place;
    return h(
      'nav',
      { class: 'tabs', 'aria-label': 'Views' },
      Object.entries(TABS)
        .filter(([tab]) => tab !== 'step' || stepId)
        .map(([tab, words]) =>
          h(
            'a',
            {
              key: tab,
              href: runLink(runId, { stepId, attempt, tab }),
              'aria-current': tab === this.#tab ? 'page' : null,
            },
            words,
          ),
        ),
      stepId &&
        h(
          'a',
          {
            class: 'clear',
            href: runLink(runId, { tab: this.#tab === 'step' ? 'log' : this.#tab }),
          },
          `✕ ${stepId}`,
        ),
    );
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
    if (this.#tab === 'evidence') return evidencePanel(runId, this.#artifacts, this.#hasEnded);
    const input = {
      entries: this.#journal.entries,
      stepId,
      attempt,
      linkOf: (id) => runLink(runId, { stepId: id, tab: 'log' }),
    };
    return h('tr-log', { '.input': input });
  }

  async #readState(signal) {
    const answer = await readIfChanged(pathOf`/runs/${this.#place.runId}`, {}, this.#etag, signal);
    if (answer) {
      await nextTask(); // reading a large state has taken a part of this frame
      this.#etag = answer.etag;
      if (this.#run) await this.#more.refresh(this.#place.runId);
      this.#take(answer.document);
      await this.#readDetails(signal);
    }
    return !this.#hasEnded;
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
      if (stepId) this.#step = await read(pathOf`/runs/${runId}/steps/${stepId}`, {}, signal);
      if (this.#tab === 'artifacts' || this.#tab === 'evidence') {
        this.#artifacts = await read(pathOf`/runs/${runId}/artifacts`, {}, signal);
      }
      if (this.#tab === 'plan' && !this.#plan) {
        this.#plan = await readPlan(runId, signal).catch((error) => {
          if (!error.isMissing) throw error;
          return {}; // the deployment does not show plans
        });
      }
      this.#error = '';
    } catch (error) {
      if (error.name !== 'AbortError') this.#error = error.message;
    }
    this.repaint();
  }

  async #readLog(signal) {
    while (await this.#journal.readPage(signal)) this.repaint();
    return !(this.#journal.hasEnd && this.#hasEnded);
  }

  async #cancel() {
    const { runId } = this.#place;
    await confirm({
      title: `Cancel run ${runId}?`,
      body: h('p', null, 'Steps that run or wait are skipped, now and for good.'),
      action: `Cancel ${runId}`,
      isDangerous: true,
      act: () => post(pathOf`/runs/${runId}/cancel`),
    });
    this.#state.now();
  }

  async #rerun() {
    const { runId } = this.#place;
    const key = crypto.randomUUID();
    let created = null;
    await confirm({
      title: `Run ${this.#run.pack?.name} again?`,
      body: h('p', null, `A new run starts with the manifest and the inputs of ${runId}.`),
      comment: 'Inputs to replace, as JSON; empty keeps all',
      action: 'Start a new run',
      act: async (text) => {
        const body = text ? { inputs: JSON.parse(text) } : {};
        created = await post(pathOf`/runs/${runId}/rerun`, body, { 'Idempotency-Key': key });
      },
    });
    if (created) location.hash = runLink(created.runId);
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
