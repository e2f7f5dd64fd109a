// One tooltip for the whole page: every number says what it means within one hover.
import { h } from './dom.js';

/** @typedef {{title?: string|Node[], rows?: [string, string][], text?: string|Node[], formula?: string}} Tip */

const sources = new WeakMap();
let layer = null;
let box = null;
let owner = null;

/**
 * Explain an element on hover and focus.
 * @param {Element} node  @param {(event: Event) => Tip|null} make  called when the tip is about to show
 * @returns {Element} the node
 */
export function tip(node, make) {
  sources.set(node, make);
  return node;
}

/** The fixed layer over the page that holds tips and popovers. @returns {HTMLElement} */
export function overlay() {
  if (!layer) {
    layer = h('div', { class: 'wb wb-layer' });
    document.body.append(layer);
  }
  return layer;
}

/** Listen once for the whole document. */
export function startTooltips() {
  box = h('div', { class: 'tip', role: 'tooltip', id: 'wb-tip' });
  box.hidden = true;
  overlay().append(box);
  document.addEventListener('pointermove', onMove, { passive: true });
  document.addEventListener('pointerdown', hideTip, { passive: true });
  document.addEventListener('scroll', hideTip, { passive: true, capture: true });
  document.addEventListener('focusin', (e) => e.target.matches?.(':focus-visible') && show(find(e.target), e));
  document.addEventListener('focusout', hideTip);
}

function find(node) {
  for (let at = node; at && at !== document; at = at.parentNode) if (sources.has(at)) return at;
  return null;
}

function onMove(event) {
  if (event.pointerType === 'touch') return;
  show(find(event.target), event);
}

// Called on every move: an element may have a different tip at each point (a strip, a plot).
function show(node, event) {
  const content = node && sources.get(node)(event);
  if (!content) return hideTip();
  if (owner && owner !== node) owner.removeAttribute('aria-describedby');
  owner = node;
  node.setAttribute('aria-describedby', 'wb-tip');
  box.replaceChildren(...parts(content));
  box.hidden = false;
  place(node, event);
}

function parts({ title, text, rows, formula }) {
  return [
    title && h('div', { class: 'tip-title' }, ...nodes(title)),
    text && h('div', { class: 'tip-text' }, ...nodes(text)),
    rows?.length &&
      h('dl', { class: 'tip-rows' }, ...rows.flatMap(([k, v]) => [h('dt', { text: k }), h('dd', { text: v })])),
    formula && h('div', { class: 'tip-formula', text: formula }),
  ].filter(Boolean);
}

const nodes = (value) => (Array.isArray(value) ? value : [value]);

function place(node, event) {
  const r = node.getBoundingClientRect();
  const small = r.width < 260 && r.height < 60;
  const pointer = event.clientX != null && !small;
  const [x, top, bottom] = pointer
    ? [event.clientX, event.clientY, event.clientY + 10]
    : [r.left + r.width / 2, r.top, r.bottom];
  const { offsetWidth: w, offsetHeight: height } = box;
  const left = Math.max(8, Math.min(window.innerWidth - w - 8, x - w / 2));
  const below = bottom + 8 + height < window.innerHeight;
  box.style.transform = `translate(${Math.round(left)}px, ${Math.round(below ? bottom + 8 : top - height - 8)}px)`;
}

/** Take the tip away. */
export function hideTip() {
  if (!box || box.hidden) return;
  owner?.removeAttribute('aria-describedby');
  owner = null;
  box.hidden = true;
}
