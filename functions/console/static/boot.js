/**
 * Loads the console.
 *
 * A service that is busy refuses some of many requests that come together, and a page that misses a
 * script does not work. So the files are fetched two at a time, and again where they are refused.
 * The browser then has them all, and the scripts import each other without a request.
 */

const { files } = JSON.parse(document.querySelector('meta[name=taskrunner]').content);
const TRIES = 6;

const waiting = files.map((name) => new URL(name, import.meta.url));

async function fetchFiles() {
  for (let address = waiting.shift(); address; address = waiting.shift()) await fetchFile(address);
}

async function fetchFile(address) {
  for (let count = 1; count <= TRIES; count += 1) {
    const answer = await fetch(address, { credentials: 'omit' });
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

await Promise.all([fetchFiles(), fetchFiles()]);
link('stylesheet', 'console.css');
link('icon', 'icon.svg');
await import('./main.js');
