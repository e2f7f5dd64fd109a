import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  amount,
  compact,
  count,
  duration,
  exponent,
  fixed,
  knobValue,
  moment,
  percent,
  share,
  short,
  signed,
  signedAmount,
  telling,
  tick,
} from '../../../workbench/web/static/format.js';

test('true minus, no negative zero, a dash for what was not measured', () => {
  assert.equal(fixed(-1.255, 1), '−1.3');
  assert.equal(fixed(-0.001), '0.00');
  assert.equal(fixed(null), '–');
  assert.equal(fixed(NaN), 'NaN');
  assert.equal(fixed(-Infinity), '−∞');
  assert.equal(signed(0.7242), '+0.72');
  assert.equal(signed(-1.26), '−1.26');
  assert.equal(signed(0.001), '0.00');
});

test('shares: integers, and never 0% for something', () => {
  assert.equal(share(0), '0%');
  assert.equal(share(0.003), '<1%');
  assert.equal(share(0.474), '47%');
  assert.equal(share(0.999), '>99%');
  assert.equal(share(1), '100%');
  assert.equal(percent(0.0143), '1.4%');
  assert.equal(percent(undefined), '–');
});

test('counts and compact numbers', () => {
  assert.equal(count(1750), '1\u2009750');
  assert.equal(count(1234567), '1\u2009234\u2009567');
  assert.equal(compact(0.0213), '0.021');
  assert.equal(compact(27.34), '27.3');
  assert.equal(compact(0.0000213), '2.13e−5');
  assert.equal(compact(0), '0.000');
  assert.equal(exponent(0.0025), '2.5e−3');
  assert.equal(exponent(0.001), '1e−3');
});

test('durations', () => {
  assert.deepEqual([0.71, 8.4, 42, 93, 7500].map(duration), ['0.71 s', '8.4 s', '42 s', '1 min 33 s', '2 h 05 min']);
});

test('knob values as their chips show them', () => {
  assert.equal(knobValue('beta', 0.1), '0.10');
  assert.equal(knobValue('beta', 0.005), '0.005');
  assert.equal(knobValue('beta', 0), '0.00');
  assert.equal(knobValue('num_generations', 8), '8');
  assert.equal(knobValue('learning_rate', 0.0025), '2.5e−3');
  assert.equal(knobValue('temperature', 1), '1.0');
  assert.equal(knobValue('temperature', 0.75), '0.75');
  assert.equal(knobValue('loss_type', 'dapo'), 'dapo');
  assert.equal(knobValue('delta', null), '–');
});

test('an amount has two decimals, and an exponent where they would say nothing of its size', () => {
  assert.deepEqual([0, 0.35, -1.5, 9999, null].map(amount), ['0.00', '0.35', '−1.50', '9999.00', '–']);
  assert.deepEqual([1.3562e9, -1e-7, 0.0049].map(amount), ['1.4e9', '−1e−7', '4.9e−3']);
  assert.deepEqual([0.72, -0.72, 1.5e-3, 0].map(signedAmount), ['+0.72', '−0.72', '+1.5e−3', '0.00']);
  assert.deepEqual(
    [tick(0.5, 1), tick(0, 7), tick(2e-7, 7), tick(1e9, 0), tick(0, 0)],
    ['0.5', '0', '2e−7', '1e9', '0'],
  );
});

test('what a diverging run measures stays short, and an ordinary value keeps its decimals', () => {
  assert.equal(short(0.044, 3), '0.044');
  assert.equal(short(-99.99), '−99.99');
  assert.equal(short(-123.456, 3), '−123');
  assert.equal(short(116168758.41, 3), '1.2e8');
  assert.equal(short(-641435.75, 3), '−6.4e5');
  assert.equal(short(1.7e-8, 3), '0.000', 'a loss that cancels is 0 but for rounding');
  assert.equal(short(null), '–');
  assert.equal(short(Infinity), '∞');
});

test('a small value that decimals would call 0 is told by its exponent', () => {
  assert.equal(telling(0.036, 3), '0.036');
  assert.equal(telling(0.0006, 3), '0.001');
  assert.equal(telling(0.00004, 3), '4e−5');
  assert.equal(telling(-0.00041, 3), '−4.1e−4');
  assert.equal(telling(0, 3), '0.000');
  assert.equal(telling(-3e-13, 3), '0.000', 'rounding of float32');
  assert.equal(telling(212951.77), '2.1e5');
  assert.equal(telling(NaN), 'NaN');
});

test('a moment of the past is told by what tells it from now', () => {
  const now = new Date(2026, 10, 23, 14, 5);
  const at = (...parts) => moment(new Date(...parts).getTime() / 1000, now);
  assert.equal(at(2026, 10, 23, 9, 3), '09:03');
  assert.equal(at(2026, 10, 22, 23, 59), '11-22 23:59');
  assert.equal(at(2026, 0, 2, 0, 0), '01-02 00:00');
  assert.equal(at(2025, 10, 23, 14, 5), '2025-11-23');
  assert.equal(at(2026, 10, 24, 0, 1), '11-24 00:01', 'another machine may be ahead');
});
