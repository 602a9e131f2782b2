/** The base of the console's own elements: paints once for all changes of a frame. */

import { render } from './dom.js';

export class ConsoleElement extends HTMLElement {
  #isDue = false;

  connectedCallback() {
    this.connected();
    this.repaint();
  }

  disconnectedCallback() {
    this.disconnected();
  }

  /** Starts what the element needs while it is in the page. */
  connected() {}

  /** Ends it. */
  disconnected() {}

  /**
   * Describes what the element shows.
   *
   * @returns {import('./dom.js').Child}
   */
  view() {
    return null;
  }

  /** Paints before the next frame. */
  repaint() {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      if (this.isConnected) render(this, this.view());
    });
  }
}
