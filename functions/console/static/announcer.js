/** Says changes of state to people who use a screen reader. */

let region = null;

/** @param {string} text */
export function announce(text) {
  region ??= document.querySelector('#announcements');
  if (region) region.textContent = text;
}
