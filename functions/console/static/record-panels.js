/** What a run leaves behind: artifacts and decisions. */

import { pathOf, read } from './api.js';
import { h } from './dom.js';
import { runLink } from './places.js';
import { facts, valueView } from './value-view.js';
import { size, time } from './words.js';

/**
 * @param {string} runId
 * @param {any[]} artifacts
 * @param {(error: Error) => void} onError
 */
export function artifactsPanel(runId, artifacts, onError) {
  if (!artifacts.length) return h('p', { class: 'why' }, 'This run has no artifacts.');
  return h(
    'ul',
    { class: 'artifacts' },
    artifacts.map((artifact) =>
      h(
        'li',
        { key: artifact.name },
        h('strong', null, artifact.name),
        ` ${artifact.status} `,
        artifact.status === 'captured' &&
          h(
            'button',
            {
              type: 'button',
              'aria-label': `Download ${artifact.name}`,
              onclick: () => download(runId, artifact.name).catch(onError),
            },
            'Download',
          ),
        facts([
          [
            'Step',
            artifact.stepId &&
              h('a', { href: runLink(runId, { stepId: artifact.stepId }) }, artifact.stepId),
          ],
          ['Size', artifact.sizeBytes !== undefined && size(artifact.sizeBytes)],
          ['Type', artifact.mediaType],
          ['SHA-256', artifact.sha256 && h('code', null, artifact.sha256)],
          ['Note', artifact.notes],
        ]),
        artifact.expressionJson && valueView(artifact.expressionJson),
      ),
    ),
  );
}

/** Sends the browser to the file, which it saves under its name. */
async function download(runId, name) {
  const { url } = await read(pathOf`/runs/${runId}/artifacts/${name}`, { redirect: 'false' });
  const address = new URL(url, location.href);
  if (!['http:', 'https:'].includes(address.protocol))
    throw new Error('The address is not one of a file.');
  location.assign(address);
}

/** @param {import('./run-journal.js').RunJournal} journal */
export function decisionsPanel(runId, { decisions, isPartial }) {
  if (isPartial) return h('p', { class: 'why' }, 'Reading earlier entries of the log …');
  if (!decisions.length) return h('p', { class: 'why' }, 'Nobody has decided anything yet.');
  return h(
    'ol',
    { class: 'decisions' },
    decisions.map((decision) =>
      h(
        'li',
        null,
        h('strong', null, decision.approver),
        `: ${decision.verdict} `,
        h('em', null, decision.approvalId),
        decision.stepId && [
          ' at ',
          h('a', { href: runLink(runId, { stepId: decision.stepId }) }, decision.stepId),
        ],
        ', ',
        time(decision.at),
        decision.summary && h('blockquote', null, decision.summary),
      ),
    ),
  );
}
