/**
 * Checks the signed record of a run against what this page can read.
 *
 * The checks are those of `taskrunner evidence verify` (docs/evidence.md). The key is the one that
 * the service recorded with the signature. So they show that record and service agree, and not that
 * the service is honest.
 */

import { pathOf, read, readLogText } from './api.js';
import {
  CheckFailedError,
  fromBase64,
  readEnvelope,
  readStatement,
  sha256,
  signedStatement,
} from './envelope.js';
import { plural, size } from './words.js';

export const EVIDENCE = 'evidence-bundle';
const MOST_BYTES = 1024 * 1024;
const MOST_FILES = 50;

/** @typedef {{name: string, result: 'passed'|'failed'|'not checked', detail: string}} Check */

/**
 * @typedef {object} Report
 * @property {'verified'|'failed'|'unknown'} state unknown: it cannot be checked here.
 * @property {string} [reason] Why it cannot be checked.
 * @property {Check[]} checks
 * @property {string} [keyId]
 */

/** Returns the signed record among a run's artifacts, if it is there. */
export function evidenceOf(artifacts) {
  return artifacts.find((artifact) => artifact.name === EVIDENCE);
}

/**
 * @param {any} run As the page shows it.
 * @param {any[]} artifacts As the page shows them.
 * @returns {Promise<Report>}
 */
export async function verifyEvidence(run, artifacts) {
  const bundle = evidenceOf(artifacts);
  const { attestations = [] } = JSON.parse(bundle.expressionJson ?? '{}');
  const [{ publicKey = '', keyId = '' } = {}] = attestations;
  const unknown = (reason) => ({ state: 'unknown', reason, checks: [], keyId });
  if (!publicKey) return unknown('The run ended before the service recorded its key with it.');
  if (!crypto.subtle) return unknown('The browser verifies nothing on a page without HTTPS.');
  const content = await readContent(run.runId, EVIDENCE);
  if (!content) return unknown('The record is too large for this page.');

  const checks = [];
  const check = async (name, task) => {
    try {
      const [result, detail, found] = await task();
      checks.push({ name, result, detail });
      return found;
    } catch (error) {
      if (!(error instanceof CheckFailedError)) throw error;
      checks.push({ name, result: 'failed', detail: error.message });
      return null;
    }
  };

  const envelope = await check('Record', () => envelopeOf(content, bundle));
  const payload = envelope && (await check('Signature', () => payloadOf(envelope, publicKey)));
  const statement = payload && (await check('Statement', () => statementOf(payload, run)));
  if (statement) {
    const { predicate } = statement;
    await check('Plan', () => planOf(predicate, run));
    await check('Log', () => logOf(predicate.journal, run.runId));
    for (const [place, signed] of predicate.artifacts.entries()) {
      await check(`Artifact ${signed.name}`, () => artifactOf(signed, artifacts, run, place));
    }
    const known = new Set(predicate.artifacts.map((signed) => signed.name));
    for (const { name } of artifacts.filter((item) => item !== bundle && !known.has(item.name))) {
      await check(`Artifact ${name}`, () => fail('It is not in the statement.'));
    }
  }
  const failed = checks.some(({ result }) => result === 'failed');
  return { state: failed ? 'failed' : 'verified', checks, keyId };
}

async function envelopeOf(content, bundle) {
  if ((await sha256(content)) !== bundle.sha256) fail('It is not the one that is listed.');
  return ['passed', 'one signature, in canonical form', readEnvelope(content)];
}

async function payloadOf(envelope, publicKey) {
  const payload = await signedStatement(envelope, fromBase64(publicKey));
  return ['passed', `by the key ${envelope.signatures[0].keyid}`, payload];
}

async function statementOf(payload, run) {
  const statement = readStatement(payload);
  const { id, tenant, outcome } = statement.predicate.run;
  if (id !== run.runId || tenant !== run.tenantId) fail(`It is about the run ${id} of ${tenant}.`);
  if (outcome !== run.status) fail(`It says ${outcome}; the page says ${run.status}.`);
  return ['passed', `about this run, which ${outcome === 'cancelled' ? 'was' : 'has'} ${outcome}`, statement];
}

async function planOf({ planHash }, run) {
  if (planHash !== run.planHash) fail(`Signed is ${planHash}; the page shows ${run.planHash}.`);
  return ['passed', planHash];
}

async function logOf({ lines, sha256: signed }, runId) {
  let text = '';
  let cursor = '';
  let count = 0;
  while (count < lines) {
    const page = await readLogText(runId, cursor);
    if (!page.text) fail(`It has ${plural(count, 'line')}, but ${lines} are signed.`);
    text += page.text;
    count += page.text.split('\n').length - 1;
    cursor = page.cursor;
  }
  const covered = text.split('\n').slice(0, lines).join('\n');
  const digest = await sha256(new TextEncoder().encode(`${covered}\n`));
  if (digest !== signed) fail(`The first ${plural(lines, 'line')} are not those signed.`);
  return ['passed', plural(lines, 'line')];
}

async function artifactOf(signed, artifacts, run, place) {
  const listed = artifacts.find((artifact) => artifact.name === signed.name);
  if (!listed) fail('It is signed, but not listed.');
  if (listed.status !== signed.status) fail(`Signed is ${signed.status}; listed ${listed.status}.`);
  if (signed.status !== 'captured') return ['passed', `not captured: ${signed.notes ?? ''}`];
  if (listed.sha256 !== signed.sha256) fail(`Signed is ${signed.sha256}; listed ${listed.sha256}.`);
  if (listed.sizeBytes > MOST_BYTES || place >= MOST_FILES) {
    return ['not checked', `its digest is the signed one; ${size(listed.sizeBytes)} were not read`];
  }
  const content = await readContent(run.runId, signed.name);
  if (!content) return ['not checked', 'its digest is the signed one; its content was not sent'];
  if ((await sha256(content)) !== signed.sha256) fail('Its content is not the one signed.');
  return ['passed', `sha256 ${signed.sha256}`];
}

async function readContent(runId, name) {
  const { content } = await read(pathOf`/runs/${runId}/artifacts/${name}`, { content: 'true' });
  return content === undefined ? null : fromBase64(content);
}

function fail(detail) {
  throw new CheckFailedError(detail);
}
