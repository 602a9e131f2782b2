/** Dialogs that repeat what is about to happen, and where, before it does. */

import { h, render } from './dom.js';

/**
 * Asks before something is done, and does it.
 *
 * The dialog stays open while it is done, and shows the service's refusal. Escape closes it, and the
 * focus goes back to where it was.
 *
 * @param {object} question
 * @param {string} question.title
 * @param {import('./dom.js').Child} question.body
 * @param {string} question.action The button's words, which name what is done.
 * @param {string} [question.comment] The label of a comment; without it, none is asked for.
 * @param {boolean} [question.isDangerous]
 * @param {(comment: string) => Promise<void>} question.act
 * @returns {Promise<boolean>} Whether it was done.
 */
export function confirm(question) {
  const dialog = document.createElement('dialog');
  dialog.setAttribute('aria-labelledby', 'dialog-title');
  document.body.append(dialog);
  let comment = '';
  let error = '';
  let isBusy = false;
  let isDone = false;

  async function act() {
    isBusy = true;
    error = '';
    paint();
    try {
      await question.act(comment.trim());
      isDone = true;
      dialog.close();
    } catch (problem) {
      isBusy = false;
      error = problem.message;
      paint();
    }
  }

  function paint() {
    render(
      dialog,
      h(
        'form',
        {
          onsubmit: (event) => {
            event.preventDefault();
            if (!isBusy) act();
          },
        },
        h('h2', { id: 'dialog-title' }, question.title),
        h('div', { class: 'dialog-body' }, question.body),
        question.comment &&
          h(
            'label',
            null,
            question.comment,
            h('textarea', {
              rows: '3',
              maxlength: '2000',
              oninput: (event) => {
                comment = event.target.value;
              },
            }),
          ),
        h('p', { class: 'error', role: 'alert' }, error),
        h(
          'div',
          { class: 'buttons' },
          h('button', { type: 'button', onclick: () => dialog.close() }, 'Go back'),
          h(
            'button',
            { class: question.isDangerous ? 'danger' : 'primary', disabled: isBusy },
            isBusy ? 'Sending …' : question.action,
          ),
        ),
      ),
    );
  }

  paint();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(isDone);
    });
  });
}
