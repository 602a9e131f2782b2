/** The signed record of a run, with its verification state. */

import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { evidenceOf, verifyEvidence } from './evidence.js';
import { facts } from './value-view.js';
import { size, time } from './words.js';

const SIGNS = { passed: '✓', failed: '✕', 'not checked': '·' };

class EvidencePanel extends ConsoleElement {
  #run = null;
  #artifacts = [];
  #hasEnded = false;
  #verified = '';

  /** @type {import('./evidence.js').Report|null} */
  #report = null;
  #error = '';

  /** @param {{run: any, artifacts: any[], hasEnded: boolean}} input */
  set input({ run, artifacts, hasEnded }) {
    this.#run = run;
    this.#artifacts = artifacts;
    this.#hasEnded = hasEnded;
    const digest = evidenceOf(artifacts)?.sha256 ?? '';
    if (hasEnded && digest && digest !== this.#verified) this.#verify(digest);
    this.repaint();
  }

  view() {
    const bundle = evidenceOf(this.#artifacts);
    if (!bundle) {
      return h(
        'p',
        { class: 'verification' },
        this.#hasEnded
          ? 'No evidence yet. The signed record appears moments after the end.'
          : 'No evidence yet. The run gets a signed record when it ends.',
      );
    }
    return [
      h('p', { class: 'verification', role: 'status' }, this.#state()),
      facts([
        ['Signed at', time(bundle.capturedAt)],
        ['Key', this.#report?.keyId && h('code', null, this.#report.keyId)],
        ['SHA-256', bundle.sha256 && h('code', null, bundle.sha256)],
        ['Size', size(bundle.sizeBytes)],
      ]),
      this.#checks(),
      this.#report?.state === 'verified' && shows(),
      doesNotShow(this.#run.runId),
      (this.#report || this.#error) &&
        h('button', { type: 'button', onclick: () => this.#verify(bundle.sha256) }, 'Check again'),
    ];
  }

  #state() {
    if (this.#error) return `? Could not be checked: ${this.#error}`;
    const report = this.#report;
    if (!report) return '… Checking the signature';
    if (report.state === 'unknown') return `? Cannot be checked here. ${report.reason}`;
    if (report.state === 'verified') return '✓ Verified with the key that this deployment shows';
    const failed = report.checks.filter(({ result }) => result === 'failed');
    return `✕ Verification failed: ${failed.map(({ name }) => name).join(', ')}`;
  }

  #checks() {
    const { checks = [] } = this.#report ?? {};
    if (!checks.length) return null;
    return h(
      'ul',
      { class: 'checks', 'aria-label': 'Checks' },
      checks.map(({ name, result, detail }) =>
        h(
          'li',
          { key: name, class: result === 'failed' ? 'error' : null },
          h('span', { 'aria-hidden': 'true' }, `${SIGNS[result]} `),
          h('strong', null, name),
          h('span', { class: result === 'passed' ? 'visually-hidden' : null }, ` ${result}`),
          h('span', { class: 'why' }, ` ${detail}`),
        ),
      ),
    );
  }

  async #verify(digest) {
    this.#verified = digest;
    this.#report = null;
    this.#error = '';
    this.repaint();
    try {
      this.#report = await verifyEvidence(this.#run, this.#artifacts);
    } catch (error) {
      this.#error = error.message;
    }
    this.repaint();
  }
}

function shows() {
  return h(
    'p',
    null,
    'This shows that the signature fits the key that this deployment shows, and that the plan, the ',
    'log and the artifacts on this page are those that were signed.',
  );
}

function doesNotShow(runId) {
  return [
    h(
      'p',
      null,
      'A page from the service cannot vouch for the service: another key could be shown, or another ',
      'page. To verify the record independently, use a key that you got elsewhere and kept:',
    ),
    h(
      'pre',
      { class: 'value', tabindex: '0', role: 'group', 'aria-label': 'Command' },
      `taskrunner evidence fetch ${runId}\ntaskrunner evidence verify ${runId}.evidence --key PEM`,
    ),
  ];
}

customElements.define('tr-evidence', EvidencePanel);
