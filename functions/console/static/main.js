/** The console: signs the person in, and shows the page of the address. */

import './approvals-page.js';
import './run-page.js';
import './runs-page.js';
import './simulate-page.js';
import { h } from './dom.js';
import { ConsoleElement } from './element.js';
import { parsePlace, runsLink } from './places.js';
import { settings } from './settings.js';
import { session } from './sign-in.js';

const TITLES = {
  approvals: 'Waiting for you',
  runs: 'Runs',
  run: 'Run',
  simulate: 'Simulate',
};

class Console extends ConsoleElement {
  #place = parsePlace(location.hash);
  #error = '';
  #isReady = false;

  async connected() {
    window.addEventListener('hashchange', () => this.#go());
    session.addEventListener('change', () => this.repaint());
    session.addEventListener('expired', () => this.repaint());
    try {
      await session.finish();
    } catch (error) {
      this.#error = error.message;
    }
    this.#isReady = true;
    this.#go();
  }

  view() {
    if (!this.#isReady) return null;
    if (!session.isSignedIn) return this.#signInPage();
    const { page } = this.#place;
    document.title = `${page === 'run' ? this.#place.runId : TITLES[page]} · TaskRunner`;
    return [
      h('a', { class: 'skip-link', href: '#main', onclick: focusMain }, 'Skip to the content'),
      h(
        'header',
        null,
        h('span', { class: 'brand' }, 'TaskRunner'),
        h(
          'nav',
          { 'aria-label': 'Pages' },
          this.#link('#/approvals', 'Waiting for you', page === 'approvals'),
          this.#link(runsLink(), 'Runs', page === 'runs' || page === 'run'),
          this.#link('#/simulate', 'Simulate', page === 'simulate'),
        ),
        session.needsTenant && tenantChoice(),
        h('span', { class: 'person' }, session.name),
        h(
          'button',
          { type: 'button', class: 'quiet', onclick: () => session.signOut() },
          'Sign out',
        ),
      ),
      session.hasExpired && expiredNotice(),
      h('main', { id: 'main', tabindex: '-1' }, this.#page()),
      h('div', { id: 'announcements', class: 'visually-hidden', role: 'status' }),
    ];
  }

  #page() {
    const place = this.#place;
    const key = `${session.tenant} ${place.runId}`; // of another tenant or run, nothing is kept
    if (place.page === 'run') return h('tr-run', { key, '.place': place });
    if (place.page === 'runs') return h('tr-runs', { key, '.place': place });
    if (place.page === 'simulate') return h('tr-simulate', { key });
    return h('tr-approvals', { key });
  }

  #link(href, words, isCurrent) {
    return h('a', { href, 'aria-current': isCurrent ? 'page' : null }, words);
  }

  #signInPage() {
    const canSignIn = settings.clientId && settings.authorizeUrl;
    return h(
      'main',
      { class: 'sign-in' },
      h('h1', null, 'TaskRunner'),
      this.#error && h('p', { class: 'error', role: 'alert' }, this.#error),
      canSignIn
        ? h(
            'button',
            { class: 'primary', type: 'button', onclick: () => session.begin() },
            'Sign in',
          )
        : h('p', null, 'Nobody can sign in here: this deployment has no client for the console.'),
    );
  }

  #go() {
    if (location.hash === '#main') return;
    this.#place = parsePlace(location.hash);
    this.repaint();
  }
}

/** Asks for the tenant, of which a person may have several. */
function tenantChoice() {
  return h(
    'form',
    { class: 'tenant', onsubmit: chooseTenant },
    h('label', null, 'Tenant ', h('input', { name: 'tenant', value: session.tenant })),
    h('button', null, 'Choose'),
  );
}

function chooseTenant(event) {
  event.preventDefault();
  session.chooseTenant(new FormData(event.target).get('tenant').trim());
}

/** Says above the page, which stays, that the person must sign in again. */
function expiredNotice() {
  return h(
    'div',
    { class: 'notice', role: 'alert' },
    h(
      'p',
      null,
      'Your sign-in has expired, so nothing here is updated. You come back to this place.',
    ),
    h(
      'button',
      { type: 'button', class: 'primary', onclick: () => session.begin() },
      'Sign in again',
    ),
  );
}

function focusMain(event) {
  event.preventDefault();
  document.querySelector('#main').focus();
}

customElements.define('tr-console', Console);
