/** The deployment's settings, which the server wrote into the page. */

/**
 * @typedef {object} Settings
 * @property {string} apiPath The path before `/v1`, such as `/live`; empty at a root.
 * @property {string} consolePath The path of this page.
 * @property {string} clientId The console's client at the issuer; empty if it has none.
 * @property {string} authorizeUrl
 * @property {string} tokenUrl
 * @property {string} logoutUrl Empty if the issuer has none.
 * @property {string} scopes Separated by spaces.
 */

/** @type {Settings} */
export const settings = JSON.parse(document.querySelector('meta[name=taskrunner]').content);
