/**
 * Loads the console.
 *
 * A service that is busy refuses some of many requests that come together, and a page without its
 * script or style does not work. So these are fetched one after the other, beside the icon, and
 * again where they are refused. The browser then uses them without a request.
 */

const { files } = JSON.parse(document.querySelector('meta[name=taskrunner]').content);
const TRIES = 6;

async function fetchFile(name) {
  for (let count = 1; count <= TRIES; count += 1) {
    const answer = await fetch(new URL(name, import.meta.url), { credentials: 'omit' });
    await answer.arrayBuffer();
    if (answer.ok) return;
    const seconds = Number(answer.headers.get('Retry-After')) || count;
    await new Promise((resolve) => setTimeout(resolve, (seconds + Math.random()) * 200 * count));
  }
}

function link(relation, name) {
  const element = document.createElement('link');
  element.rel = relation;
  element.href = new URL(name, import.meta.url);
  document.head.append(element);
}

link('icon', 'icon.svg'); // before the browser looks for one by itself
for (const name of files) await fetchFile(name);
link('stylesheet', 'console.css');
await import('./console.js');
