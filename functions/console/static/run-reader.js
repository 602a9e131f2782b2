/** Reads what a run's page shows, for as long as somebody looks at it. */

import { announce } from './announcer.js';
import { pathOf, read } from './api.js';
import { evidenceOf } from './evidence.js';
import { readGates, readPlan } from './gate-context.js';
import { MoreSteps } from './more-steps.js';
import { mayPass, Poll } from './poll.js';
import { RunJournal } from './run-journal.js';
import { treeOfRun } from './run-model.js';
import { RunState } from './run-state.js';
import { tabOf } from './run-tabs.js';
import { stateWord, stepState } from './words.js';

const FINAL = new Set(['succeeded', 'failed', 'cancelled']);
const EVIDENCE_PAUSE_MS = 2000;
const FEW_ENTRIES = 1000; // of the log; so many are read unasked

export class RunReader {
  #place;
  #onChange;
  #state;
  #more = new MoreSteps();
  #again = 0;
  #isRunning = false;
  #isIncomplete = false;
  #log = new Poll(
    (signal) => this.#readLog(signal),
    () => this.#onChange(),
    1500,
  );

  /** The poll of the run's state. */
  poll = new Poll(
    (signal) => this.#readState(signal),
    () => this.#onChange(),
    1000,
  );

  /** The run as the API shows it; null before the first answer. */
  run = null;

  tree = { roots: [], byId: new Map() };
  journal;

  /** The selected step; null until it is read. */
  step = null;

  /** @type {import('./gate-card.js').Gate[]} The gates that wait. */
  gates = [];

  artifacts = [];

  /** The plan; null until it is read. */
  plan = null;

  error = '';

  /**
   * @param {import('./places.js').Place} place
   * @param {() => void} onChange
   */
  constructor(place, onChange) {
    this.#place = place;
    this.#onChange = onChange;
    this.#state = new RunState(pathOf`/runs/${place.runId}`);
    this.journal = new RunJournal(place.runId);
  }

  start() {
    this.#isRunning = true;
    this.poll.start();
    this.#log.start();
  }

  stop() {
    this.#isRunning = false;
    this.poll.stop();
    this.#log.stop();
    clearTimeout(this.#again);
  }

  /**
   * Reads what another place of the same run shows.
   *
   * @param {import('./places.js').Place} place
   */
  moveTo(place) {
    const before = this.#place;
    this.#place = place;
    if (!this.#isRunning) return;
    if (before.stepId !== place.stepId) this.step = null;
    if (this.#wantsEarlier()) this.#log.now();
    this.#readDetails();
  }

  get hasEnded() {
    return FINAL.has(this.run?.status);
  }

  /** Whether nothing changes any more. A step beside the one that failed a run may still finish. */
  get isFinal() {
    return this.hasEnded && !this.run.steps.some((step) => step.status === 'Running');
  }

  /** Reads the next page of the steps of a block that the state leaves out. */
  async readMore(blockId) {
    try {
      await this.#more.read(this.#place.runId, blockId);
      this.#grow();
    } catch (error) {
      this.error = error.message;
    }
    this.#onChange();
  }

  /** Reads a page of the log before the entries that were read. */
  async readEarlier() {
    try {
      const reading = this.journal.readEarlier();
      this.#onChange();
      await reading;
    } catch (error) {
      this.error = error.message;
    }
    this.#onChange();
  }

  /** Shows why something that the person asked for failed. */
  fail(error) {
    this.error = error.message;
    this.#onChange();
  }

  async #readState(signal) {
    const isLost = this.poll.isLost; // a request that waits would not say soon that it no longer is
    const canWait = !this.hasEnded && !this.#isIncomplete && !isLost;
    const state = await this.#state.next(canWait, signal);
    if (state) {
      await nextTask(); // reading a large state has taken a part of this frame
      signal.throwIfAborted();
      this.#log.now();
      if (this.run) await this.#more.refresh(this.#place.runId);
      this.#take(state);
    }
    if (state || this.#isIncomplete) await this.#readDetails(signal);
    if (this.isFinal) return false;
    return isLost ? 0 : this.#state.pauseMs;
  }

  #take(run) {
    const before = this.run?.status;
    this.run = run;
    this.#grow();
    if (before && before !== run.status) announce(`Run ${run.runId}: ${stateWord(run.status)}.`);
  }

  /** Makes the tree of what the service sent by itself, and of what was asked for besides. */
  #grow() {
    const sent = new Set(this.run.steps.map((step) => step.stepId));
    const besides = this.#more.steps().filter((step) => !sent.has(step.stepId));
    const counts = new Map();
    for (const { parentId } of besides) counts.set(parentId, (counts.get(parentId) ?? 0) + 1);
    this.tree = treeOfRun([...this.run.steps, ...besides], counts);
  }

  /** Reads what the selected tab and step need, and the gates while one waits. */
  async #readDetails(signal) {
    const { runId, stepId } = this.#place;
    const waiting = this.run?.steps.filter((step) => stepState(step) === 'waiting') ?? [];
    try {
      this.gates = this.hasEnded ? [] : await readGates(runId, waiting, signal);
      const step = stepId && (await read(pathOf`/runs/${runId}/steps/${stepId}`, {}, signal));
      if (stepId === this.#place.stepId) this.step = step; // the person may have gone on
      if (this.#shows('artifacts', 'evidence')) await this.#readArtifacts(signal);
      if (this.#shows('plan') && !this.plan) {
        this.plan = await readPlan(runId, signal).catch((error) => {
          if (!error.isMissing) throw error;
          return {}; // the deployment does not show plans
        });
      }
      this.error = '';
      this.#isIncomplete = false;
    } catch (error) {
      this.#isIncomplete = mayPass(error);
      if (error.name !== 'AbortError' && !this.#isIncomplete) this.error = error.message;
    }
    this.#onChange();
  }

  #shows(...tabs) {
    return tabs.includes(tabOf(this.#place));
  }

  /** Reads the artifacts, and again until the evidence is there, which follows a run's end. */
  async #readArtifacts(signal) {
    this.artifacts = await read(pathOf`/runs/${this.#place.runId}/artifacts`, {}, signal);
    clearTimeout(this.#again);
    if (this.hasEnded && this.#isRunning && !evidenceOf(this.artifacts)) {
      this.#again = setTimeout(() => this.#readDetails(), EVIDENCE_PAUSE_MS);
    }
  }

  /** Whether more of the log's beginning is needed: for a short log, or for what needs all of it. */
  #wantsEarlier() {
    const { entries, isPartial } = this.journal;
    return isPartial && (entries.length < FEW_ENTRIES || this.#shows('timeline', 'decisions'));
  }

  /** Reads what is new in the log, once for each change of the state. */
  async #readLog(signal) {
    while (await this.journal.readPage(signal)) this.#onChange();
    while (this.#wantsEarlier()) {
      await this.journal.readEarlier(signal);
      this.#onChange();
    }
    return this.hasEnded && !this.journal.hasEnd ? undefined : Infinity;
  }
}

function nextTask() {
  return new Promise((resolve) => {
    setTimeout(resolve);
  });
}
