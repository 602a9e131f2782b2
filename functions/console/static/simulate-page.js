/** Plans a pack without running it: its problems at their lines, or what it would do. */

import './step-tree.js';
import { post } from './api.js';
import { h } from './dom.js';
import { confirm } from './dialog.js';
import { ConsoleElement } from './element.js';
import { goToNewRun } from './run-actions.js';
import { everything, treeOfPlan } from './run-model.js';
import { facts } from './value-view.js';
import { plural, size } from './words.js';

const CONTEXT_LINES = 2;
const GATES = new Set(['GateApproval', 'GatePolicy']);

class SimulatePage extends ConsoleElement {
  #manifest = '';
  #inputs = '';
  #result = null;
  #checked = '';
  #problems = [];
  #error = '';
  #isBusy = false;

  view() {
    return [
      h('h1', null, 'Simulate'),
      h(
        'form',
        { class: 'simulate', onsubmit: (event) => this.#submit(event) },
        h(
          'label',
          null,
          'Pack (YAML)',
          h('textarea', {
            name: 'manifest',
            rows: '18',
            spellcheck: 'false',
            class: 'code',
            oninput: (event) => (this.#manifest = event.target.value),
          }),
        ),
        h(
          'label',
          null,
          'Inputs (JSON)',
          h('textarea', {
            name: 'inputs',
            rows: '4',
            spellcheck: 'false',
            class: 'code',
            placeholder: '{}',
            oninput: (event) => (this.#inputs = event.target.value),
          }),
        ),
        h(
          'div',
          { class: 'buttons' },
          h(
            'button',
            { class: 'primary', disabled: this.#isBusy },
            this.#isBusy ? 'Planning …' : 'Simulate',
          ),
        ),
      ),
      h(
        'div',
        { 'aria-live': 'polite' },
        this.#error && !this.#problems.length && h('p', { class: 'error' }, this.#error),
        this.#problems.length > 0 && problemList(this.#checked, this.#problems),
      ),
      this.#result && this.#plan(),
    ];
  }

  async #submit(event) {
    event.preventDefault();
    this.#result = null;
    this.#problems = [];
    this.#error = '';
    let inputs;
    try {
      inputs = this.#inputs.trim() ? JSON.parse(this.#inputs) : {};
    } catch (error) {
      this.#error = `The inputs are not JSON: ${error.message}`;
      return this.repaint();
    }
    this.#isBusy = true;
    this.repaint();
    this.#checked = this.#manifest;
    const request = { manifest: this.#manifest, inputs };
    try {
      this.#result = { request, document: await post('/simulations', request) };
    } catch (error) {
      this.#error = error.message;
      this.#problems = error.problems ?? [];
    }
    this.#isBusy = false;
    this.repaint();
  }

  #plan() {
    const { document } = this.#result;
    const nodes = treeOfPlan(document.steps);
    const steps = [...everything(nodes)].filter((node) => node.type === 'step');
    const gates = steps.filter((node) => GATES.has(node.step.kind));
    const names = new Set(gates.map((gate) => gate.step.approvalId ?? gate.id));
    const { budget = {} } = document;
    return h(
      'section',
      { 'aria-label': 'Plan' },
      h('h2', null, `${document.pack?.name ?? 'The pack'} ${document.pack?.version ?? ''}`),
      facts([
        ['Plan', h('code', null, document.planHash)],
        ['Gates', [...names].join(', ') || 'none'],
        ['State transitions, at most', budget.stateTransitions?.toLocaleString()],
        ['Function calls, at most', budget.invocations?.toLocaleString()],
        ['History events, at most', budget.historyEvents?.toLocaleString()],
        ['Size of the machine', budget.definitionBytes && size(budget.definitionBytes)],
        [
          'Estimated cost',
          budget.estimatedCostUsd !== undefined && `$${budget.estimatedCostUsd.toFixed(6)}`,
        ],
      ]),
      h(
        'div',
        { class: 'buttons' },
        h('button', { type: 'button', onclick: () => this.#start() }, 'Run it …'),
      ),
      h('tr-steps', { '.input': { nodes } }),
    );
  }

  async #start() {
    const { request, document } = this.#result;
    const key = crypto.randomUUID();
    let created = null;
    await confirm({
      title: `Run ${document.pack?.name ?? 'this pack'} ${document.pack?.version ?? ''}?`,
      body: facts([['Plan', h('code', null, document.planHash)]]),
      action: 'Start the run',
      act: async () => {
        created = await post(
          '/runs',
          { ...request, expectPlanHash: document.planHash },
          { 'Idempotency-Key': key },
        );
      },
    });
    if (created) goToNewRun(created);
  }
}

/** Lists problems below the lines that they name, with the lines around. */
function problemList(manifest, problems) {
  const lines = manifest.split('\n');
  const placed = problems.map((problem) => ({
    ...problem,
    line: Number(/^line (\d+)/.exec(problem.message)?.[1]) || 0,
  }));
  const isNear = (number) =>
    placed.some(({ line }) => line && Math.abs(line - number) <= CONTEXT_LINES);
  return h(
    'section',
    { 'aria-label': 'Problems' },
    h('h2', null, plural(problems.length, 'problem')),
    placed.filter(({ line }) => !line).map((problem) => problemView(problem)),
    h(
      'ol',
      { class: 'source' },
      lines.map((text, place) => {
        const number = place + 1;
        const here = placed.filter(({ line }) => line === number);
        return (
          isNear(number) &&
          h(
            'li',
            { value: number, class: here.length ? 'wrong' : null },
            h('code', null, text || ' '),
            here.map((problem) => problemView(problem)),
          )
        );
      }),
    ),
  );
}

function problemView({ path, message }) {
  return h('p', { class: 'problem' }, '✕ ', message, ' ', h('code', null, path));
}

customElements.define('tr-simulate', SimulatePage);
