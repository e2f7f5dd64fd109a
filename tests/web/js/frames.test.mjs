import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

mock.timers.enable({ apis: ['setTimeout'] });
const page = Object.assign(new EventTarget(), { hidden: false });
const frames = [];
globalThis.document = page;
globalThis.window = { requestAnimationFrame: (draw) => frames.push(draw), setTimeout: (fn, ms) => setTimeout(fn, ms) };
await import('../../../workbench/web/static/frames.js');

// Gradio's stopwatch, as its bundle has it: a frame sets the seconds and asks for the next one.
let ticks = 0;
const start = performance.now();
const s = () => start;
const a = (_, seconds) => (ticks += Number.isFinite(seconds));
const n = null;
// prettier-ignore
const stopwatch = () => {a(n, (performance.now() - s(n)) / 1e3), window.requestAnimationFrame(stopwatch)};

test('the stopwatch of the loading screen ticks once a second, and not while the page is hidden', () => {
  window.requestAnimationFrame(stopwatch);
  mock.timers.tick(999);
  assert.equal(ticks, 0);
  mock.timers.tick(1);
  assert.equal(ticks, 1);
  page.hidden = true;
  mock.timers.tick(60_000);
  assert.equal(ticks, 1);
  page.hidden = false;
  page.dispatchEvent(new Event('visibilitychange'));
  assert.equal(ticks, 2);
  mock.timers.tick(1000);
  assert.equal(ticks, 3);
  assert.equal(frames.length, 0, 'it takes no frame');
});

test('any other drawing gets the next frame', () => {
  const draw = () => {};
  window.requestAnimationFrame(draw);
  assert.deepEqual(frames, [draw]);
});
