/**
 * Builds and updates the page's elements.
 *
 * A page describes what it shows with `h`, and `render` makes the document so. It changes only what
 * differs, so the focus, a selection and the place of scrolling survive an update. Text becomes text
 * nodes and attributes alone: nothing here reads markup, so no text of a pack can become any. Control
 * characters in it are shown as `\x1b`, so none is invisible and none changes the direction of text.
 */

import { visibleText } from './plain-text.js';

/**
 * @typedef {object} VirtualElement
 * @property {string} tag
 * @property {Record<string, any>} props
 * @property {Array<VirtualElement|string>} children
 */

/** @typedef {VirtualElement|string|number|null|undefined|false|Child[]} Child */

/** What `render` has set on an element: its key, its listeners and its other properties. */
const records = new WeakMap();

/**
 * Describes an element.
 *
 * @param {string} tag
 * @param {Record<string, any>|null} [props] Attributes by name. `onclick` and its like are
 *   listeners, a name after a dot is a property of the element, and `key` names a child in a list.
 * @param {...Child} children
 * @returns {VirtualElement}
 */
export function h(tag, props, ...children) {
  return { tag, props: props ?? {}, children: flatten(children) };
}

/**
 * Makes the children of *host* equal to *children*.
 *
 * @param {Element} host
 * @param {...Child} children
 */
export function render(host, ...children) {
  updateChildren(host, flatten(children));
}

/**
 * @param {Child[]} children
 * @returns {Array<VirtualElement|string>}
 */
function flatten(children) {
  return children
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== '')
    .map((child) => (typeof child === 'object' ? child : visibleText(String(child))));
}

function updateChildren(host, wanted) {
  const keyed = new Map();
  for (const node of host.childNodes) {
    const key = records.get(node)?.key;
    if (key !== undefined) keyed.set(key, node);
  }
  let cursor = host.firstChild;
  for (const child of wanted) {
    const node = reusable(child, cursor, keyed) ?? create(child);
    update(node, child); // before it is in the page: one of our elements starts with its properties
    if (node === cursor) cursor = cursor.nextSibling;
    else host.insertBefore(node, cursor);
  }
  while (cursor) {
    const next = cursor.nextSibling;
    cursor.remove();
    cursor = next;
  }
}

function reusable(child, cursor, keyed) {
  if (typeof child === 'string') return cursor?.nodeType === Node.TEXT_NODE ? cursor : null;
  if (child.props.key !== undefined) {
    const node = keyed.get(child.props.key);
    return node && isOfTag(node, child.tag) ? node : null;
  }
  const isUnkeyed = cursor && records.get(cursor)?.key === undefined;
  return isUnkeyed && isOfTag(cursor, child.tag) ? cursor : null;
}

function isOfTag(node, tag) {
  return node.nodeType === Node.ELEMENT_NODE && node.localName === tag;
}

function create(child) {
  if (typeof child === 'string') return document.createTextNode(child);
  const element = document.createElement(child.tag);
  records.set(element, { key: child.props.key, listeners: new Map(), props: {} });
  return element;
}

function update(node, child) {
  if (typeof child === 'string') {
    if (node.data !== child) node.data = child;
    return;
  }
  const record = records.get(node);
  for (const name of Object.keys(record.props)) {
    if (!(name in child.props)) setProperty(node, record, name, null);
  }
  for (const [name, value] of Object.entries(child.props)) {
    if (name !== 'key') setProperty(node, record, name, value);
  }
  record.props = child.props;
  // An element of ours fills itself in.
  if (!child.tag.includes('-')) updateChildren(node, child.children);
}

function setProperty(element, record, name, value) {
  if (name.startsWith('on')) {
    setListener(element, record, name.slice(2), value);
  } else if (name.startsWith('.')) {
    element[name.slice(1)] = value;
  } else if (value === null || value === undefined || value === false) {
    element.removeAttribute(name);
  } else {
    const text = value === true ? '' : String(value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

/** Adds one listener for each event, which calls the newest function. */
function setListener(element, record, type, listener) {
  if (!record.listeners.has(type)) {
    element.addEventListener(type, (event) => record.listeners.get(type)?.(event));
  }
  record.listeners.set(type, listener);
}
