/**
 * The steps of a run as a tree: blocks, their iterations, and what is in these.
 *
 * The service lists steps in a row, each with the block around it (`parentId`). A step in a map or
 * loop also has its iteration in its path: `deploy[3]::push` is in iteration 3 of `deploy`.
 */

import { stepState } from './words.js';

/**
 * @typedef {object} StepNode
 * @property {'step'} type
 * @property {string} id The step's path.
 * @property {any} step As the API shows it.
 * @property {string} state
 * @property {TreeNode[]} children
 * @property {Record<string, number>} counts How many iterations, or children, are in each state.
 * @property {number} [omitted] How many of its steps the service has not sent.
 */

/**
 * @typedef {object} IterationNode
 * @property {'iteration'} type
 * @property {string} id Such as `deploy[3]`.
 * @property {number} number From 0.
 * @property {string} state That of its most urgent step.
 * @property {TreeNode[]} children
 */

/** @typedef {StepNode|IterationNode} TreeNode */

/** From the most urgent state to the least. */
const URGENCY = [
  'failed',
  'waiting',
  'retrying',
  'offered',
  'running',
  'warned',
  'pending',
  'succeeded',
  'skipped',
];
const ITERATED = new Set(['Map', 'Loop']);

/**
 * Returns the tree of a run's steps.
 *
 * @param {any[]} steps
 * @param {Map<string, number>} [besides] How many of a block's steps were asked for besides those
 *   that the run's state has.
 * @returns {{roots: StepNode[], byId: Map<string, StepNode>}}
 */
export function treeOfRun(steps, besides = new Map()) {
  const byId = new Map(steps.map((step) => [step.stepId, nodeOf(step, step.stepId)]));
  const roots = [];
  for (const node of byId.values()) {
    const parent = byId.get(node.step.parentId);
    if (!parent) roots.push(node);
    else if (ITERATED.has(parent.step.kind)) iterationOf(parent, node.id).children.push(node);
    else parent.children.push(node);
  }
  for (const node of byId.values()) summarize(node, besides.get(node.id) ?? 0);
  return { roots, byId };
}

/**
 * Returns the tree of a plan or a simulation, whose steps are nested already.
 *
 * @param {any[]} steps
 * @returns {StepNode[]}
 */
export function treeOfPlan(steps) {
  return steps.map((step) => {
    const node = nodeOf(step, step.id);
    for (const child of treeOfPlan(step.children ?? [])) {
      // Without its items, a map or loop has the steps of any of them.
      const isInOne = ITERATED.has(step.kind) && child.id.startsWith(`${step.id}[`);
      (isInOne ? iterationOf(node, child.id) : node).children.push(child);
    }
    return node;
  });
}

/** @yields {TreeNode} Each node, and everything in it. */
export function* everything(nodes) {
  for (const node of nodes) {
    yield node;
    yield* everything(node.children);
  }
}

/**
 * Returns the ids that entries of a log about *node* have: its own, and those of the steps in it.
 * Steps in a map or loop have ids that begin with its own, so these are not listed.
 *
 * @param {TreeNode} node
 * @returns {string[]}
 */
export function idsInside(node) {
  const inner = ITERATED.has(node.step.kind) ? [] : node.children;
  return [node.id, ...inner.flatMap(idsInside)];
}

/** Returns the ids of the blocks and iterations around a step, the outermost first. */
export function around(tree, stepId) {
  const ids = [];
  for (let node = tree.byId.get(stepId); node?.step.parentId;) {
    const parent = tree.byId.get(node.step.parentId);
    if (!parent) break;
    if (ITERATED.has(parent.step.kind)) ids.unshift(iterationId(parent.id, node.id));
    ids.unshift(parent.id);
    node = parent;
  }
  return ids;
}

export function mostUrgent(states) {
  const ranks = states.map((state) => URGENCY.indexOf(state)).filter((rank) => rank >= 0);
  return ranks.length ? URGENCY[Math.min(...ranks)] : 'pending';
}

/** Returns nodes with the most urgent first, and otherwise in their order. */
export function byUrgency(nodes) {
  return nodes.toSorted((a, b) => URGENCY.indexOf(a.state) - URGENCY.indexOf(b.state));
}

/** Returns the states that *counts* has, the most urgent first. */
export function countedStates(counts) {
  return URGENCY.filter((state) => counts[state]);
}

function nodeOf(step, id) {
  return { type: 'step', id, step, state: stepState(step), children: [], counts: {} };
}

function iterationId(blockId, stepId) {
  return stepId.slice(0, stepId.indexOf(']', blockId.length) + 1);
}

/** Returns the iteration of *block* that a step is in, added if it is new. */
function iterationOf(block, stepId) {
  const id = iterationId(block.id, stepId);
  block.iterations ??= new Map();
  let node = block.iterations.get(id);
  if (!node) {
    const number = Number(id.slice(block.id.length + 1, -1));
    node = { type: 'iteration', id, number, state: 'pending', children: [] };
    block.iterations.set(id, node);
    block.children.push(node);
  }
  return node;
}

/** Takes the service's counts of a block of which it does not send every step. */
function countsOfService(counts) {
  return Object.fromEntries(
    Object.entries(counts).map(([state, count]) => [state.toLowerCase(), count]),
  );
}

function summarize(block, besides) {
  for (const child of block.children) {
    if (child.type === 'iteration') child.state = mostUrgent(child.children.map(stateOf));
    block.counts[child.state] = (block.counts[child.state] ?? 0) + 1;
  }
  const omitted = block.step.childrenOmitted ?? 0;
  block.omitted = Math.max(0, omitted - besides);
  if (omitted) block.counts = countsOfService(block.step.counts);
}

function stateOf(node) {
  return node.state;
}
