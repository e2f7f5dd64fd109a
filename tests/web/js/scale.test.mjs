import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  fromSlider,
  stepSlider,
  linear,
  niceStep,
  path,
  pieces,
  stepTicks,
  tickDigits,
  ticks,
  toSlider,
} from '../../../workbench/web/static/scale.js';

test('linear maps ends and middle; a single value sits in the middle', () => {
  const x = linear(1, 41, 0, 400);
  assert.deepEqual([x(1), x(21), x(41)], [0, 200, 400]);
  assert.equal(linear(5, 5, 0, 10)(5), 5);
});

test('ticks are round and stay inside', () => {
  assert.deepEqual(ticks(0, 1.5, 3), [0, 0.5, 1, 1.5]);
  assert.deepEqual(ticks(-0.9, -0.45, 4), [-0.8, -0.6]);
  assert.deepEqual(ticks(3, 3, 4), [3]);
  assert.equal(niceStep(0.3), 0.5);
  assert.equal(niceStep(0), 1);
  assert.equal(tickDigits([0, 0.05]), 2);
  assert.deepEqual(stepTicks(1, 40, 4), [1, 10, 20, 30, 40]);
  assert.deepEqual(stepTicks(1, 2, 4), [1, 2]);
});

test('pieces keep gaps and single points', () => {
  assert.deepEqual(pieces([0, 1, 2, 3], [5, null, 6, undefined]), [[[0, 5]], [[2, 6]]]);
  assert.deepEqual(pieces([], []), []);
  assert.match(
    path(pieces([0], [5]), (y) => y),
    /^M0\.0 5\.0h/,
  );
});

test('pieces keep the extremes of every pixel column, in order', () => {
  const n = 10000;
  const xs = Array.from({ length: n }, (_, i) => (i / n) * 400);
  const ys = xs.map((_, i) => Math.sin(i / 300));
  ys[5000] = 99;
  ys[5003] = -99;
  const [piece] = pieces(xs, ys);
  assert.ok(piece.length <= 800);
  assert.ok(piece.some(([, y]) => y === 99) && piece.some(([, y]) => y === -99));
  assert.ok(piece.every(([x], i) => i === 0 || x >= piece[i - 1][0]));
});

test('few points are not touched', () => {
  assert.deepEqual(pieces([0, 10, 20], [1, 3, 2]), [
    [
      [0, 1],
      [10, 3],
      [20, 2],
    ],
  ]);
});

test('sliders: every scale goes there and back', () => {
  for (const slider of [
    { low: 0, high: 0.5, step: 0.005, scale: 'sqrt' },
    { low: 2, high: 32, step: 1, scale: 'linear' },
  ]) {
    for (const value of [slider.low, slider.low + slider.step * 7, slider.high])
      assert.ok(Math.abs(fromSlider(slider, toSlider(slider, value)) - value) < 1e-9);
  }
  const log = { low: 1e-6, high: 0.1, step: 0, scale: 'log' };
  assert.equal(fromSlider(log, toSlider(log, 0.0025)), 0.0025);
  assert.equal(toSlider(log, 5), 1, 'a typed value beyond the slider stays at its end');
});

test('a key on a slider goes a step further, from wherever the value is, and not beyond its end', () => {
  const beta = { low: 0, high: 0.5, step: 0.01, scale: 'linear' };
  assert.deepEqual(
    [stepSlider(beta, 0.04, 1), stepSlider(beta, 0.04, -10), stepSlider(beta, 0.037, 1), stepSlider(beta, 0.5, 1)],
    [0.05, 0, 0.05, 0.5],
  );
  assert.equal(stepSlider(beta, 3, 1), 3, 'a typed value beyond the end stays');
  const rate = { low: 1e-5, high: 1e-2, step: 1e-5, scale: 'log' };
  assert.deepEqual([stepSlider(rate, 0.001, 1), stepSlider(rate, 0.00025, -1)], [0.0011, 0.00024]);
  for (let value = rate.low; value < rate.high;) {
    const next = stepSlider(rate, value, 1);
    assert.ok(next > value && next <= rate.high, `${value} → ${next}`);
    value = next;
  }
});
