/**
 * Verifies a DSSE envelope: the signature of an in-toto statement by an ECDSA key of the curve P-256.
 *
 * See https://github.com/secure-systems-lab/dsse/blob/master/protocol.md.
 */

const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
const PREDICATE_TYPE = 'https://stellaops.io/attestations/task-run/v1';
const KEY = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' };
const INTEGER_BYTES = 32;

/** What was checked does not hold. */
export class CheckFailedError extends Error {}

/**
 * @typedef {object} Envelope
 * @property {string} payload In base64.
 * @property {string} payloadType
 * @property {{keyid: string, sig: string}[]} signatures
 */

/**
 * Reads an envelope, which must be in the one form that its content has (RFC 8785).
 *
 * @param {Uint8Array} bytes
 * @returns {Envelope}
 */
export function readEnvelope(bytes) {
  const text = new TextDecoder().decode(bytes);
  const { payload, payloadType, signatures } = parsed(text, 'The record is not JSON');
  if (payloadType !== PAYLOAD_TYPE || signatures?.length !== 1) {
    throw new CheckFailedError('The record is not an envelope with one signature.');
  }
  const [{ keyid, sig }] = signatures;
  if (JSON.stringify({ payload, payloadType, signatures: [{ keyid, sig }] }) !== text) {
    throw new CheckFailedError('Something was added to the record, or changed.');
  }
  return { payload, payloadType, signatures };
}

/**
 * Checks that the key signed the envelope, and returns the statement in it.
 *
 * @param {Envelope} envelope
 * @param {Uint8Array} publicKey In DER.
 */
export async function signedStatement(envelope, publicKey) {
  const [{ keyid, sig }] = envelope.signatures;
  const id = await sha256(publicKey);
  if (id !== keyid) throw new CheckFailedError(`It was signed by the key ${keyid}, not by ${id}.`);
  const payload = fromBase64(envelope.payload);
  const key = await crypto.subtle.importKey('spki', publicKey, KEY, false, ['verify']);
  const signature = rawSignature(fromBase64(sig));
  if (!(await crypto.subtle.verify(SIGNATURE, key, signature, encoded(payload)))) {
    throw new CheckFailedError(`The key ${id} did not sign this statement.`);
  }
  return payload;
}

/** Reads a statement about a run. Call it with a payload whose signature is valid. */
export function readStatement(payload) {
  const statement = parsed(new TextDecoder().decode(payload), 'The statement is not JSON');
  if (statement._type !== STATEMENT_TYPE || statement.predicateType !== PREDICATE_TYPE) {
    throw new CheckFailedError('The statement is not about a run.');
  }
  if (sorted(subjectsOf(statement)) !== sorted(describedBy(statement.predicate))) {
    throw new CheckFailedError('Its subjects are not those that it describes.');
  }
  return statement;
}

function subjectsOf({ subject }) {
  return subject.map(({ name, digest }) => `${name} ${digest.sha256}`);
}

function describedBy({ planHash, journal, artifacts }) {
  const captured = artifacts.filter(({ status }) => status === 'captured');
  return [
    `plan ${planHash.replace('sha256:', '')}`,
    `journal ${journal.sha256}`,
    ...captured.map((artifact) => `artifacts/${artifact.name} ${artifact.sha256}`),
  ];
}

function sorted(lines) {
  return lines.toSorted().join('\n');
}

/** Returns the SHA-256 of *bytes* in hex. */
export async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Returns the bytes that *text* has in base64. */
export function fromBase64(text) {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    throw new CheckFailedError('A part of the record is not base64.');
  }
}

/** Returns DSSE's encoding of the payload and its type, which is what was signed. */
function encoded(payload) {
  const type = new TextEncoder().encode(PAYLOAD_TYPE).length;
  const head = new TextEncoder().encode(`DSSEv1 ${type} ${PAYLOAD_TYPE} ${payload.length} `);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}

/**
 * Returns a signature as the browser takes it: both integers in 32 bytes each. KMS writes them in
 * DER (RFC 3279, section 2.2.3): a sequence of two integers, each as short as possible.
 */
function rawSignature(der) {
  const raw = new Uint8Array(2 * INTEGER_BYTES);
  let place = 2;
  for (const end of [INTEGER_BYTES, 2 * INTEGER_BYTES]) {
    const length = der[place + 1];
    const digits = der.slice(place + 2, place + 2 + length);
    const first = digits.findIndex((byte) => byte !== 0);
    const integer = first < 0 ? digits.slice(0, 0) : digits.slice(first);
    if (der[place] !== 2 || digits.length !== length || integer.length > INTEGER_BYTES) {
      throw new CheckFailedError('The signature is malformed.');
    }
    raw.set(integer, end - integer.length);
    place += 2 + length;
  }
  return raw;
}

function parsed(text, problem) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CheckFailedError(`${problem}: ${error.message}`);
  }
}
