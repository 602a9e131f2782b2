/** Values of packs and steps: inputs, parameters and outputs, as text. */

import { h } from './dom.js';
import { valueText } from './words.js';

const LONG = 20_000;

/** Returns a value; one that is very long is cut, with its size. */
export function valueView(value) {
  const text = valueText(value) ?? '';
  const shown =
    text.length > LONG
      ? `${text.slice(0, LONG)}\n… ${text.length.toLocaleString()} characters`
      : text;
  return h('pre', { class: 'value', tabindex: '0', role: 'group', 'aria-label': 'Value' }, shown);
}

/** Returns the names and values of an object. */
export function namedValues(values) {
  const names = Object.keys(values ?? {});
  if (!names.length) return h('p', { class: 'why' }, 'None.');
  return h(
    'dl',
    { class: 'facts-list' },
    names.map((name) => [
      h('dt', { key: `name ${name}` }, name),
      h('dd', { key: `value ${name}` }, valueView(values[name])),
    ]),
  );
}

/** Returns pairs of a name and a value, without those that have no value. */
export function facts(pairs) {
  const given = pairs.filter(
    ([, value]) => value !== undefined && value !== null && value !== '' && value !== false,
  );
  return h(
    'dl',
    { class: 'facts-list' },
    given.map(([name, value]) => [
      h('dt', { key: `name ${name}` }, name),
      h('dd', { key: `value ${name}` }, value),
    ]),
  );
}
