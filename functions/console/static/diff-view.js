/** What differs between two plans: added, removed and changed parts. */

import { h } from './dom.js';
import { valueText } from './words.js';

const SIGNS = { added: '+', removed: '−', changed: '±' };

/**
 * Shows a diff as the API makes it: an object whose parts hold `added`, `removed` and `changed`.
 *
 * @param {any} diff
 */
export function diffView(diff) {
  const rows = [...rowsOf(diff, [])];
  if (!rows.length) return h('p', null, 'Nothing has changed.');
  return h(
    'ul',
    { class: 'diff' },
    rows.map(({ kind, where, text }) =>
      h(
        'li',
        { class: kind },
        h('span', { class: 'sign', 'aria-hidden': 'true' }, SIGNS[kind]),
        h('span', { class: 'visually-hidden' }, `${kind}: `),
        h('span', { class: 'where' }, where),
        text && h('pre', null, text),
      ),
    ),
  );
}

function* rowsOf(part, path) {
  if (part === null || typeof part !== 'object') return;
  for (const [name, value] of Object.entries(part)) {
    if (name in SIGNS) yield* changes(name, value, path);
    else yield* rowsOf(value, [...path, name]);
  }
}

function* changes(kind, values, path) {
  const entries = Array.isArray(values)
    ? values.map((value, place) => [nameOf(value) ?? String(place), value])
    : Object.entries(values ?? {});
  for (const [name, value] of entries) {
    yield { kind, where: [...path, name].join(' › '), text: textOf(kind, name, value) };
  }
}

function nameOf(value) {
  if (typeof value === 'string') return value;
  return value?.id ?? value?.stepId ?? value?.name ?? value?.path;
}

function textOf(kind, name, value) {
  if (value === name) return '';
  if (kind === 'changed' && value && ('before' in value || 'after' in value)) {
    return `${valueText(value.before ?? null)}\n→ ${valueText(value.after ?? null)}`;
  }
  return valueText(value);
}
