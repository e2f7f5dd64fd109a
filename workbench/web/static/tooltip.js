// One tooltip for the whole page: every number says what it means within one hover.
import { h, setChildren } from './dom.js';
import { watch } from './store.js';

/** @typedef {{title?: string|Node[], rows?: [string, string][], text?: string|Node[], formula?: string}} Tip */

// What a tip may speak of: one that stays open while these change would speak of another step, or another run.
const MADE_FROM = [
  ...['run', 'source', 'rows', 'step', 'record', 'group', 'row', 'k', 'measure', 'pin'],
  ...['knobs', 'pending', 'phase', 'status', 'events', 'spec', 'lang', 'view'],
];

const sources = new WeakMap();
let layer = null;
let box = null;
let owner = null;
let seen = null; // the event that the tip was last made for

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
  // After all views have drawn, so that what the pointer is on is new as well, and still before the frame is painted.
  watch(MADE_FROM, () => box.hidden || queueMicrotask(refresh));
}

function find(node) {
  for (let at = node; at && at !== document; at = at.parentNode) if (sources.has(at)) return at;
  return null;
}

function onMove(event) {
  if (event.pointerType === 'touch') return;
  show(find(event.target), event);
}

// The pointer rests, but what is under it may have moved, or been made anew.
function refresh() {
  if (box.hidden) return;
  const { clientX: x, clientY: y } = seen;
  if (x == null) return owner.contains(document.activeElement) ? show(owner, seen) : hideTip();
  const target = document.elementFromPoint(x, y);
  show(find(target), { type: seen.type, target, clientX: x, clientY: y });
}

// Called on every move: an element may have a different tip at each point (a strip, a plot).
function show(node, event) {
  const content = node && sources.get(node)(event);
  if (!content) return hideTip();
  if (owner && owner !== node) owner.removeAttribute('aria-describedby');
  [owner, seen] = [node, event];
  node.setAttribute('aria-describedby', 'wb-tip');
  setChildren(box, parts(content));
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
  [owner, seen] = [null, null];
  box.hidden = true;
}
