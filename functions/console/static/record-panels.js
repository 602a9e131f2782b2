/** What a run leaves behind: artifacts, decisions, and the signed record. */

import { pathOf, read } from './api.js';
import { h } from './dom.js';
import { runLink } from './places.js';
import { facts, valueView } from './value-view.js';
import { size, time } from './words.js';

const EVIDENCE = 'evidence-bundle';

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

/** @param {import('./run-journal.js').Decision[]} decisions */
export function decisionsPanel(runId, decisions) {
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

/** Returns the signed record among a run's artifacts, if it is there. */
export function evidenceOf(artifacts) {
  return artifacts.find((artifact) => artifact.name === EVIDENCE);
}

/**
 * Says whether there is a signed record, and how to verify it.
 *
 * The page cannot: it would need the public key from somebody other than the service that signs.
 */
export function evidencePanel(runId, artifacts, hasEnded) {
  const bundle = evidenceOf(artifacts);
  if (!bundle) {
    return h(
      'p',
      null,
      hasEnded
        ? 'The signed record appears moments after the end.'
        : 'The run gets a signed record when it ends.',
    );
  }
  return [
    h(
      'p',
      null,
      '✓ Signed. Not verified here: this page comes from the service whose record it is.',
    ),
    facts([
      ['Signed at', time(bundle.capturedAt)],
      ['SHA-256', bundle.sha256 && h('code', null, bundle.sha256)],
      ['Size', size(bundle.sizeBytes)],
    ]),
    h('p', null, 'To verify it with a key that you got elsewhere:'),
    h(
      'pre',
      { class: 'value', tabindex: '0', role: 'group', 'aria-label': 'Command' },
      `taskrunner evidence fetch ${runId}\ntaskrunner evidence verify ${runId}.evidence --key PEM`,
    ),
  ];
}
