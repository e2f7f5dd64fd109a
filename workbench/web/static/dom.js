// Elements without markup strings: model text can only ever become a text node.

const SVG = 'http://www.w3.org/2000/svg';

/**
 * An HTML element. Props: `class`, `style` (object, custom properties too), `on` (listeners), `text`, attributes.
 * @param {string} tag  @param {object} [props]  @param {...(Node|string|null|undefined)} children
 * @returns {HTMLElement}
 */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/**
 * An SVG element; numbers become attributes.
 * @param {string} tag  @param {object} [props]  @param {...(Node|string|null|undefined)} children
 * @returns {SVGElement}
 */
export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(node, props, children) {
  for (const [key, value] of Object.entries(props)) {
    if (value == null || value === false) continue;
    if (key === 'text') node.textContent = value;
    else if (key === 'on') Object.entries(value).forEach(([type, fn]) => node.addEventListener(type, fn));
    else if (key === 'style') Object.entries(value).forEach(([name, v]) => node.style.setProperty(name, v));
    else node.setAttribute(key, value === true ? '' : value);
  }
  node.append(...children.flat().filter((c) => c != null));
  return node;
}

/** Set text only where it differs: an equal write still costs layout. @param {Node} node  @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Give a node these children, unless it has just such ones: what stays is neither shaped nor laid out again.
 * @param {Element} node  @param {(Node|string)[]} parts  without listeners
 */
export function setChildren(node, parts) {
  const made = parts.map((part) => (typeof part === 'object' ? part : document.createTextNode(part)));
  const old = node.childNodes;
  if (made.length === old.length && made.every((part, i) => part.isEqualNode(old[i]))) return;
  node.replaceChildren(...made);
}

/** @param {Element} node  @param {string} name  @param {string|number|null} value  null removes it */
export function setAttr(node, name, value) {
  if (value == null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

/** @param {HTMLElement} node  @param {string} name  @param {string} value */
export function setStyle(node, name, value) {
  if (node.style.getPropertyValue(name) !== value) node.style.setProperty(name, value);
}

/** Let the arrows walk along the buttons of a node; Enter or Space chooses one. @param {HTMLElement} node */
export function walkByArrows(node) {
  node.addEventListener('keydown', (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = [...node.children];
    if (!by || !buttons.includes(event.target)) return;
    event.preventDefault();
    buttons[(buttons.indexOf(event.target) + by + buttons.length) % buttons.length].focus();
  });
}

const made = new WeakSet();

/**
 * Give a parent exactly n children of its own making; all else in it is removed.
 * @param {Element} parent  @param {number} n  @param {(i: number) => Element} make  @returns {Element[]}
 */
export function resize(parent, n, make) {
  if (!made.has(parent.firstElementChild)) parent.replaceChildren();
  while (parent.children.length > n) parent.lastElementChild.remove();
  while (parent.children.length < n) {
    const child = make(parent.children.length);
    made.add(child);
    parent.append(child);
  }
  return [...parent.children];
}

/**
 * Make the children of a drawing those of a list, and leave alone what is there already: a label that says the same is
 * neither shaped nor laid out again.
 * @param {Element} parent  @param {Element[]} parts  without listeners
 */
export function redraw(parent, parts) {
  const old = [...parent.children];
  parts.forEach((part, i) => {
    if (!old[i]) parent.append(part);
    else if (!old[i].isEqualNode(part)) old[i].replaceWith(part);
  });
  old.slice(parts.length).forEach((node) => node.remove());
}

/**
 * SVG text.
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {object} [props]
 * @returns {SVGElement}
 */
export function label(x, y, text, props = {}) {
  return s('text', { x, y, fill: 'var(--ink3)', ...props, text });
}

/**
 * SVG line.
 * @param {number} x1
 * @param {number} y1
 * @param {number} x2
 * @param {number} y2
 * @param {object} [props]
 * @returns {SVGElement}
 */
export function line(x1, y1, x2, y2, props = {}) {
  return s('line', { x1, y1, x2, y2, stroke: 'var(--line)', ...props });
}

/** π with a lowered "old" or "ref", for HTML. @param {string} sub  @returns {(string|Node)[]} */
export const piHtml = (sub) => ['π', h('sub', { class: 'sub', text: sub })];

/**
 * A canvas sized to its box in device pixels. Null while it has no size (hidden tab).
 * @param {HTMLCanvasElement} canvas  @param {number} width  @param {number} height
 * @returns {CanvasRenderingContext2D|null}
 */
export function context(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [w, hgt] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (!w || !hgt) return null;
  if (canvas.width !== w || canvas.height !== hgt) Object.assign(canvas, { width: w, height: hgt });
  const g = canvas.getContext('2d');
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  return g;
}

const sizes = new WeakMap();
const observer =
  typeof ResizeObserver === 'undefined'
    ? null
    : new ResizeObserver((entries) => entries.forEach(({ target }) => sizes.set(target, measure(target))));

const measure = (node) => ({ width: node.clientWidth, height: node.clientHeight, outer: node.offsetHeight });

/**
 * The inner width and height of an element and its outer height, as of the last layout: asking for them costs none.
 * @param {HTMLElement} node  @returns {{width: number, height: number, outer: number}}
 */
export function sizeOf(node) {
  if (!sizes.has(node)) {
    sizes.set(node, measure(node));
    observer?.observe(node, { box: 'border-box' });
  }
  return sizes.get(node);
}

const lengths = new WeakMap();

/**
 * A computed length that only another window changes.
 * @param {HTMLElement} node
 * @param {string} name
 * @returns {number}
 */
export function pixelsOf(node, name) {
  const key = `${name}/${window.innerWidth}/${window.innerHeight}`;
  const kept = lengths.get(node) ?? new Map();
  lengths.set(node, kept);
  if (!kept.has(key)) kept.set(key, parseFloat(getComputedStyle(node)[name]));
  return kept.get(key);
}
