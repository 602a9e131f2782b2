/**
 * The structure of a pack as nested boxes, with the live state of each step.
 *
 * A map or loop is closed until somebody opens it, and shows how many of its iterations are in each
 * state. An open one shows a page of iterations, the failed ones first. So a run of ten thousand
 * steps makes no more elements than a small one.
 */

import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { byUrgency, countedStates, mostUrgent } from './run-model.js';
import {
  duration,
  plural,
  reasonWords,
  remaining,
  retriesWords,
  sign,
  stateTone,
  stateWord,
} from './words.js';

const PAGE = 25;
const KINDS = {
  Run: 'step',
  GateApproval: 'approval gate',
  GatePolicy: 'policy gate',
  Parallel: 'lanes',
  Map: 'map',
  Loop: 'loop',
  Conditional: 'condition',
};

export class StepTree extends ConsoleElement {
  /** @type {import('./run-model.js').TreeNode[]} */
  nodes = [];

  /** @type {(node: any) => import('./run-journal.js').Span|undefined} */
  spanOf = () => undefined;

  /** @type {(stepId: string) => string} Returns the link to a step; empty if it has no page. */
  linkOf = () => '';

  /** @type {(blockId: string) => void} Asks for more of the steps that were not sent. */
  onMore = () => {};

  selected = '';

  /** Ids that the person has opened or closed. */
  #isOpen = new Map();
  #shown = new Map();

  /** Takes what to show. */
  set input(input) {
    Object.assign(this, input);
    this.repaint();
  }

  /** Opens the blocks and iterations with these ids, and shows those that are paged away. */
  reveal(ids) {
    for (const id of ids) {
      this.#isOpen.set(id, true);
      this.#shown.set(`revealed ${id}`, 1);
    }
    this.repaint();
  }

  view() {
    const final = this.nodes.filter((node) => node.step?.phase === 'finally');
    const others = this.nodes.filter((node) => !final.includes(node));
    return h(
      'ul',
      { class: 'tree sequence' },
      others.map((node) => this.#node(node)),
      final.length > 0 && this.#finally(final),
    );
  }

  /** A box around the steps that run after the others. No step id has a space. */
  #finally(nodes) {
    return h(
      'li',
      { key: 'in finally', class: 'box' },
      h(
        'div',
        { class: 'box-head' },
        h('span', { class: 'step-name' }, 'finally'),
        h('span', { class: 'facts' }, 'runs after the steps, however they end'),
      ),
      h(
        'ul',
        { class: 'sequence' },
        nodes.map((node) => this.#node(node)),
      ),
    );
  }

  #node(node) {
    return node.type === 'iteration' ? this.#iteration(node) : this.#step(node);
  }

  #step(node) {
    const { step } = node;
    const isBlock = node.children.length > 0 || node.omitted > 0;
    const isPaged = step.kind === 'Map' || step.kind === 'Loop';
    const isOpen = isBlock && (this.#isOpen.get(node.id) ?? !isPaged);
    const isSelected = node.id === this.selected;
    return h(
      'li',
      { key: node.id, class: `box ${stateTone(node.state)}${isSelected ? ' selected' : ''}` },
      h(
        'div',
        { class: 'box-head' },
        isBlock && this.#toggle(node, isOpen),
        this.#title(node, isSelected),
        h('span', { class: 'kind' }, KINDS[step.kind] ?? step.kind),
        h('span', { class: 'facts' }, this.#facts(node)),
      ),
      isPaged && isBlock && Object.keys(node.counts).length > 0 && counts(node),
      isOpen && this.#children(node, isPaged),
    );
  }

  /** A step's sign and name, which lead to its page if it has one. */
  #title(node, isSelected) {
    const { step } = node;
    const href = this.linkOf(node.id);
    return h(
      href ? 'a' : 'span',
      {
        href: href || null,
        class: href ? 'step-link' : 'step-title',
        'aria-current': isSelected ? 'true' : null,
      },
      sign(node.state),
      h('span', { class: 'step-name' }, step.name ?? step.templateId ?? node.id),
      h('span', { class: 'visually-hidden' }, ` ${stateWord(node.state)}`),
    );
  }

  #iteration(node) {
    const isOpen = this.#isOpen.get(node.id) ?? false;
    return h(
      'li',
      { key: node.id, class: `box iteration ${stateTone(node.state)}` },
      h(
        'div',
        { class: 'box-head' },
        this.#toggle(node, isOpen),
        sign(node.state),
        h('span', { class: 'step-name' }, `#${node.number}`),
        h('span', { class: 'facts' }, stateWord(node.state)),
      ),
      isOpen &&
        h(
          'ul',
          { class: 'sequence' },
          node.children.map((child) => this.#node(child)),
        ),
    );
  }

  #toggle(node, isOpen) {
    const name = node.type === 'iteration' ? `iteration ${node.number}` : node.id;
    return h(
      'button',
      {
        type: 'button',
        class: 'toggle',
        'aria-expanded': String(isOpen),
        'aria-label': `${isOpen ? 'Close' : 'Open'} ${name}`,
        onclick: () => {
          this.#isOpen.set(node.id, !isOpen);
          this.repaint();
        },
      },
      isOpen ? '▾' : '▸',
    );
  }

  #children(node, isPaged) {
    if (!isPaged) {
      const isParallel = node.step.kind === 'Parallel';
      return [
        h(
          'ul',
          { class: isParallel ? 'lanes' : 'sequence' },
          isParallel
            ? lanesOf(node).map((lane) => this.#lane(node, lane))
            : node.children.map((child) => this.#node(child)),
        ),
        more(node.omitted ?? 0, () => this.onMore(node.id)),
      ];
    }
    const limit = this.#shown.get(node.id) ?? PAGE;
    const ordered = byUrgency(node.children);
    const isRevealed = (child) => this.#shown.has(`revealed ${child.id}`);
    const shown = ordered.filter((child, place) => place < limit || isRevealed(child));
    const isAllShown = ordered.length <= limit;
    const rest = ordered.length - shown.length + (node.omitted ?? 0);
    return [
      h(
        'ul',
        { class: 'sequence iterations' },
        shown.map((child) => this.#node(child)),
      ),
      more(rest, () => {
        this.#shown.set(node.id, limit + PAGE);
        if (isAllShown) this.onMore(node.id);
        this.repaint();
      }),
    ];
  }

  /** A step, or a box around the steps of a branch. No step id has a space. */
  #lane(node, { branch, children }) {
    if (branch === undefined) return this.#node(children[0]);
    const state = mostUrgent(children.map((child) => child.state));
    return h(
      'li',
      { key: `${node.id} ${branch}`, class: `box ${stateTone(state)}` },
      h(
        'div',
        { class: 'box-head' },
        sign(state),
        h('span', { class: 'step-name' }, branch),
        h('span', { class: 'kind' }, 'branch'),
      ),
      h(
        'ul',
        { class: 'sequence', 'aria-label': `branch ${branch}` },
        children.map((child) => this.#node(child)),
      ),
    );
  }

  #facts(node) {
    const { step, state } = node;
    const span = this.spanOf(node);
    const isOver = span?.endedAt;
    const runningMs =
      span && (isOver ? Date.parse(span.endedAt) : Date.now()) - Date.parse(span.startedAt);
    return [
      state === 'retrying' && step.nextAttemptAt && `tries again ${remaining(step.nextAttemptAt)}`,
      step.attempts > 1 && plural(step.attempts, 'attempt'),
      (isOver || state === 'running' || state === 'waiting') &&
        !span?.isMoment &&
        duration(runningMs),
      ['failed', 'skipped', 'waiting'].includes(state) && reasonWords(step.statusReason),
      placeWords(step, state),
      ['offered', 'running'].includes(state) && step.lastLoss?.message,
      retriesWords(step.retries),
      step.enabled === false && state === 'pending' && 'off',
      step.mapInfo?.itemCount !== undefined && plural(step.mapInfo.itemCount, 'item'),
      state === 'requiresapproval' && step.approvalId,
    ]
      .filter(Boolean)
      .join(' · ');
  }
}

/** Returns why a step waits for a worker, or the worker that runs it or ran it. */
function placeWords(step, state) {
  if (step.statusReason === 'waiting-for-worker')
    return step.workerWait?.message ?? `waits for a worker of the pool ${step.pool}`;
  return ['running', 'failed'].includes(state) && step.worker && `on ${step.worker}`;
}

/** Returns the lanes of a parallel: the steps of each branch, or each step by itself. */
function lanesOf(node) {
  const lanes = [];
  for (const child of node.children) {
    const { branch } = child.step;
    const last = lanes.at(-1);
    if (branch !== undefined && last?.branch === branch) last.children.push(child);
    else lanes.push({ branch, children: [child] });
  }
  return lanes;
}

/** Returns the button that shows more of *rest* steps; nothing if there are none. */
function more(rest, onclick) {
  return (
    rest > 0 &&
    h(
      'button',
      { type: 'button', class: 'quiet more', onclick },
      `Show ${Math.min(PAGE, rest)} more of ${rest.toLocaleString()}`,
    )
  );
}

function counts(node) {
  const total = Object.values(node.counts).reduce((sum, count) => sum + count, 0);
  const done =
    (node.counts.succeeded ?? 0) + (node.counts.skipped ?? 0) + (node.counts.failed ?? 0);
  return h(
    'p',
    { class: 'counts' },
    h('progress', {
      max: String(total),
      value: String(done),
      'aria-label': `${done} of ${total} ended`,
    }),
    countedStates(node.counts).map((state) =>
      h(
        'span',
        { key: state, class: 'count' },
        sign(state),
        `${node.counts[state].toLocaleString()} ${stateWord(state).toLowerCase()}`,
      ),
    ),
  );
}

customElements.define('tr-steps', StepTree);
