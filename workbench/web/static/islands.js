// The islands are drawn on a first screen of our own, and move into Gradio's places for them when it has built these.
import { h, setText } from './dom.js';
import { t } from './i18n.js';
import { touch, watch } from './store.js';

const roots = new Map();
const places = new Map();
let first = null;
let noForm = null;

/**
 * Draw all islands where they will be seen before Gradio is ready.
 * @param {Record<'top'|'left'|'right'|'curves', (root: HTMLElement) => void>} islands  what fills each of them
 */
export function drawIslands(islands) {
  for (const name of Object.keys(islands)) roots.set(name, h('div', { class: `wb wb-${name}` }));
  const [top, left, right, curves] = ['top', 'left', 'right', 'curves'].map((name) => roots.get(name));
  const setup = h('div', { class: 'wb wb-first-setup' }, h('p', { class: 'empty-says' }));
  first = h('div', { class: 'wb-first' }, top, h('div', { class: 'wb-first-live' }, left, right), curves, setup);
  watch(['lang'], () =>
    setText(setup.firstChild, noForm == null ? t('setup.loading') : t('setup.failed', { error: noForm })),
  );
  document.body.prepend(first);
  for (const [name, fill] of Object.entries(islands)) fill(roots.get(name));
}

/** Say in the form's place why there is none. @param {string} error */
export function tellNoForm(error) {
  noForm = error;
  touch('lang');
}

/**
 * Say where an island belongs. They move together once all are told, so that nothing jumps; a place told anew counts.
 * @param {string} name  @param {HTMLElement} place
 */
export function placeIsland(name, place) {
  places.set(name, place);
  if (places.size < roots.size) return;
  for (const [each, root] of roots) {
    const at = places.get(each);
    if (at.contains(root)) continue;
    // Gradio's typography would reach into the island (gr.HTML without apply_default_css=False).
    for (const shell of [at, ...ancestors(at)]) shell.classList.remove('prose', 'gradio-style');
    at.append(root);
  }
  first.remove();
}

function* ancestors(node) {
  for (let at = node.parentElement; at && at !== document.body; at = at.parentElement) yield at;
}
