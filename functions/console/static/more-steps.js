/** Steps in large blocks that a run's state leaves out, read page by page. */

import { pathOf, read } from './api.js';

const PAGE = 100;
const REFRESH_MS = 5000;

export class MoreSteps {
  #refreshedAt = 0;

  /**
   * By the block's id. The last cursor is that of the next page; undefined after the last one.
   *
   * @type {Map<string, {steps: Map<string, any>, cursors: Array<string|undefined>}>}
   */
  #blocks = new Map();

  /** Returns all steps that were read. */
  steps() {
    return [...this.#blocks.values()].flatMap((block) => Array.from(block.steps.values()));
  }

  /** Reads the next page of a block's steps. */
  async read(runId, blockId) {
    const block = this.#blocks.get(blockId) ?? { steps: new Map(), cursors: [''] };
    const cursor = block.cursors.at(-1);
    if (cursor === undefined) return;
    block.cursors.push(await readPage(runId, blockId, block, cursor));
    this.#blocks.set(blockId, block);
  }

  /** Reads again what was read, unless that was moments ago, because a run goes on. */
  async refresh(runId) {
    if (Date.now() - this.#refreshedAt < REFRESH_MS) return;
    this.#refreshedAt = Date.now();
    for (const [blockId, block] of this.#blocks) {
      for (const cursor of block.cursors.slice(0, -1)) {
        await readPage(runId, blockId, block, cursor);
      }
    }
  }
}

async function readPage(runId, blockId, block, cursor) {
  const query = { parent: blockId, limit: PAGE, cursor };
  const page = await read(pathOf`/runs/${runId}`, query);
  for (const step of page.steps) block.steps.set(step.stepId, step);
  return page.nextCursor;
}
