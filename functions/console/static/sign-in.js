/**
 * Signs a person in by the authorization code flow with PKCE (RFC 7636).
 *
 * The token is in a private field, so it ends with the page, and no storage, address or log has it.
 * While the browser is at the issuer, the session's storage has the verifier, the state and the
 * place to come back to. They are removed before they are used.
 */

import { settings } from './settings.js';

const PENDING = 'taskrunner.sign-in';

/** Emits `change` when somebody has signed in, and `expired` when the token is no longer good. */
class Session extends EventTarget {
  #token = '';
  #hasExpired = false;

  /** The person's name, for the page to show; the service decides by the token. */
  name = '';

  /** The tenant that the person chose; empty leaves it to the service. */
  tenant = '';

  /** Whether the service has asked for a tenant, because the person has several. */
  needsTenant = false;

  /** Asks the person for a tenant. */
  askForTenant() {
    if (this.needsTenant) return;
    this.needsTenant = true;
    this.dispatchEvent(new Event('change'));
  }

  /** Takes the tenant that the person chose. */
  chooseTenant(tenant) {
    this.tenant = tenant;
    this.dispatchEvent(new Event('change'));
  }

  get isSignedIn() {
    return this.#token !== '';
  }

  get hasExpired() {
    return this.#hasExpired;
  }

  /** @returns {string} The value of the header `Authorization`. */
  get authorization() {
    return `Bearer ${this.#token}`;
  }

  /** Says that the service no longer takes the token. */
  expire() {
    if (this.#hasExpired || !this.isSignedIn) return;
    this.#hasExpired = true;
    this.dispatchEvent(new Event('expired'));
  }

  /** Leaves for the issuer's page, which sends the person back to this place. */
  async begin() {
    const verifier = randomText(48);
    const state = randomText(24);
    const pending = { verifier, state, place: location.hash };
    sessionStorage.setItem(PENDING, JSON.stringify(pending));
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: settings.clientId,
      redirect_uri: consoleAddress(),
      scope: settings.scopes,
      state,
      code_challenge: await challenge(verifier),
      code_challenge_method: 'S256',
    });
    location.assign(`${settings.authorizeUrl}?${query}`);
  }

  /**
   * Ends a sign-in if the issuer has just sent the person back, and removes the code from the
   * address and from the browser's history.
   *
   * @throws {Error} The issuer refused, or the answer is not for a request of this tab.
   */
  async finish() {
    const query = new URLSearchParams(location.search);
    const pending = JSON.parse(sessionStorage.getItem(PENDING) ?? 'null');
    sessionStorage.removeItem(PENDING);
    if (!query.has('code') && !query.has('error')) return;
    history.replaceState(null, '', `${location.pathname}${pending?.place || '#/approvals'}`);
    if (!pending || query.get('state') !== pending.state) {
      throw new Error('The answer to the sign-in is not for this tab. Sign in again.');
    }
    if (query.has('error')) {
      throw new Error(query.get('error_description') ?? 'The sign-in was refused.');
    }
    this.#accept(await redeem(query.get('code'), pending.verifier));
  }

  /** Forgets the token, and ends the session at the issuer if it can. */
  signOut() {
    this.#token = '';
    const query = new URLSearchParams({
      client_id: settings.clientId,
      logout_uri: consoleAddress(),
    });
    location.assign(settings.logoutUrl ? `${settings.logoutUrl}?${query}` : location.pathname);
  }

  #accept(token) {
    const claims = claimsOf(token);
    this.#token = token;
    this.name = String(claims.username ?? claims.preferred_username ?? claims.sub ?? '');
    const remainingMs = Number(claims.exp) * 1000 - Date.now();
    if (remainingMs > 0) setTimeout(() => this.expire(), Math.min(remainingMs, 2 ** 31 - 1));
    this.dispatchEvent(new Event('change'));
  }
}

export const session = new Session();

function consoleAddress() {
  return location.origin + settings.consolePath;
}

/** @returns {Promise<string>} The access token. */
async function redeem(code, verifier) {
  const answer = await fetch(settings.tokenUrl, {
    method: 'POST',
    credentials: 'omit',
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: settings.clientId,
      redirect_uri: consoleAddress(),
      code,
      code_verifier: verifier,
    }),
  });
  const tokens = await answer.json().catch(() => ({}));
  if (!answer.ok || !tokens.access_token) {
    throw new Error('The sign-in has taken too long or was used before. Sign in again.');
  }
  return tokens.access_token;
}

/** Returns what the token says, without checking it: the service does. */
function claimsOf(token) {
  try {
    const payload = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return {};
  }
}

function randomText(size) {
  return encode(crypto.getRandomValues(new Uint8Array(size)));
}

async function challenge(verifier) {
  const digest = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(verifier));
  return encode(new Uint8Array(digest));
}

/** Encodes bytes in base64 for addresses (RFC 4648, section 5), without padding. */
function encode(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}
