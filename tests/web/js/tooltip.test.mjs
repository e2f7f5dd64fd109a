// The tip that stays open while the run goes on, in a page of the few things that it touches.
import assert from 'node:assert/strict';
import { test } from 'node:test';

class Node {
  children = [];
  style = {};
  attributes = {};
  parentNode = null;
  append(...nodes) {
    for (const node of nodes) if (typeof node === 'object') node.parentNode = this;
    this.children.push(...nodes);
  }
  replaceChildren(...nodes) {
    this.children = [];
    this.append(...nodes);
  }
  setAttribute = (name, value) => (this.attributes[name] = value);
  removeAttribute = (name) => delete this.attributes[name];
  getBoundingClientRect = () => ({ left: 0, right: 500, top: 0, bottom: 90, width: 500, height: 90 });
  contains = (node) => node === this;
  isEqualNode = (other) => this.textContent === other.textContent;
  get childNodes() {
    return this.children;
  }
  get textContent() {
    return this.children.map((child) => child.textContent ?? child).join('');
  }
}

const listeners = {};
let under = null;
globalThis.window = { innerWidth: 1366, innerHeight: 768 };
globalThis.requestAnimationFrame = () => 0;
globalThis.document = {
  body: new Node(),
  createElement: () => new Node(),
  createTextNode: (text) => ({ textContent: text }),
  addEventListener: (type, fn) => (listeners[type] = fn),
  elementFromPoint: () => under,
};
const { overlay, startTooltips, tip } = await import('../../../workbench/web/static/tooltip.js');
const { flush, set } = await import('../../../workbench/web/static/store.js');

startTooltips();
const box = overlay().children[0];
const said = () => (box.hidden ? null : box.textContent);
const drawn = async () => {
  flush();
  await null; // the tip follows the views
};

test('an open tip is made anew when what it speaks of changes, at the place of the pointer', async () => {
  const seen = [];
  let step = 1;
  const row = tip(new Node(), (event) => {
    seen.push(event.clientX);
    return { text: `step ${step}` };
  });
  under = row;
  listeners.pointermove({ type: 'pointermove', target: row, clientX: 70, clientY: 20 });
  assert.equal(said(), 'step 1');
  step = 2;
  set({ record: {} });
  await drawn();
  assert.equal(said(), 'step 2');
  assert.deepEqual(seen, [70, 70]);

  // The view drew another node there; then nothing with a tip.
  under = tip(new Node(), () => ({ text: 'the new row' }));
  set({ row: 3 });
  await drawn();
  assert.equal(said(), 'the new row');
  under = new Node();
  set({ run: 'another' });
  await drawn();
  assert.equal(said(), null);
});

test('without an open tip nothing is asked', async () => {
  let asked = 0;
  under = tip(new Node(), () => (asked += 1) && { text: 'x' });
  set({ k: 1 });
  await drawn();
  assert.equal(asked, 0);
});

test('a tip of the focus goes when its control has gone', async () => {
  const button = tip(new Node(), () => ({ text: 'button' }));
  button.matches = () => true;
  document.activeElement = button;
  listeners.focusin({ type: 'focusin', target: button });
  set({ lang: 'zh' });
  await drawn();
  assert.equal(said(), 'button');
  document.activeElement = document.body;
  set({ lang: 'en' });
  await drawn();
  assert.equal(said(), null);
});
