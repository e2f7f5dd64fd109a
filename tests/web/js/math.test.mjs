import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bounds,
  clamp,
  derive,
  ema,
  klEstimates,
  measureValue,
  objective,
  quantile,
  tokenArrays,
} from '../../../workbench/web/static/math.js';

const near = (a, b, eps = 1e-12) => assert.ok(Math.abs(a - b) < eps, `${a} is not ${b}`);

test('the clip band follows epsilon unless epsilon_high is set', () => {
  assert.deepEqual(bounds({ epsilon: 0.25, epsilon_high: null, delta: null }), {
    low: 0.75,
    high: 1.25,
    delta: Infinity,
  });
  assert.deepEqual(bounds({ epsilon: 0.25, epsilon_high: 0.5, delta: 4 }), { low: 0.75, high: 1.5, delta: 4 });
});

test('the objective is the smaller of clipped and unclipped, for both signs', () => {
  const band = bounds({ epsilon: 0.2 });
  for (const sign of [1, -1]) {
    for (const r of [0.01, 0.5, 0.8, 0.99, 1, 1.1, 1.2, 1.5, 9])
      near(objective(r, sign, band), Math.min(r * sign, clamp(r, 0.8, 1.2) * sign));
  }
});

test('the two-sided cap bounds the loss of an unlikely move for A < 0', () => {
  const band = bounds({ epsilon: 0.2, delta: 3 });
  near(objective(2, -1, band), -2);
  near(objective(50, -1, band), -3);
  near(objective(50, 1, band), 1.2);
});

test('KL estimators: zero at equality, k2 and k3 never negative, k1 signed', () => {
  for (const k of Object.values(klEstimates(-1.5, -1.5))) near(k, 0);
  for (const d of [-3, -0.1, 1e-9, 0.2, 4]) {
    const { k1, k2, k3 } = klEstimates(-1, -1 + d);
    near(k1, -d, 1e-9);
    near(k2, (d * d) / 2, 1e-9);
    near(k3, Math.exp(d) - 1 - d, 1e-9);
    assert.ok(k2 >= 0 && k3 >= 0);
  }
});

test('k1 and k3 have the same expectation, the KL', () => {
  const [p, q] = [
    [0.7, 0.2, 0.1],
    [0.5, 0.3, 0.2],
  ];
  const mean = (name) => p.reduce((sum, pi, i) => sum + pi * klEstimates(Math.log(pi), Math.log(q[i]))[name], 0);
  const kl = p.reduce((sum, pi, i) => sum + pi * Math.log(pi / q[i]), 0);
  near(mean('k1'), kl);
  near(mean('k3'), kl);
});

const completion = {
  length: 3,
  advantage: -1,
  old: [-1, -2, -0.5],
  ref: [-1, -2.5, -0.5],
  logps: [
    [-1, -2, -0.5],
    [-1.5, -1.8, null],
  ],
  clipped: ['000', '100'],
  outside: ['000', '110'],
  entropy: [0.1, 0.2, 0.3],
};

test("the first inner update has ratio exactly 1; the flags are the server's", () => {
  const first = tokenArrays(completion, 0);
  assert.deepEqual([...first.log], [0, 0, 0]);
  const second = tokenArrays(completion, 1);
  assert.deepEqual([...second.dead], [1, 0, 0]);
  assert.deepEqual([...second.out], [0, 1, 0]);
  near(second.log[0], -0.5);
  assert.ok(Number.isNaN(second.log[2]), 'null is not a number');
});

test('sequence level: every token has the mean log ratio', () => {
  const { log } = tokenArrays(
    {
      ...completion,
      logps: [
        [-1, -2, -0.5],
        [-1.3, -2.3, -0.8],
      ],
    },
    1,
    'sequence',
  );
  for (const v of log) near(v, -0.3);
});

test('without an advantage nothing outside the band is said to learn', () => {
  assert.deepEqual([...tokenArrays({ ...completion, advantage: 0 }, 1).out], [0, 0, 0]);
});

test('empty completions and missing references are drawn as such', () => {
  const empty = { length: 0, advantage: 1, old: [], ref: null, logps: [[]], clipped: [''], outside: [''], entropy: [] };
  const record = { knobs: { epsilon: 0.2 }, completions: [empty, { ...completion, ref: null }] };
  const derived = derive(record, 0);
  assert.equal(derived.total, 3);
  assert.equal(derived.flat, true);
  assert.equal(derived.tokens[1].kl, null);
  assert.equal(derived.range.kl, 0.02);
  assert.ok(Number.isNaN(measureValue('kl', derived.tokens[1], 1, 0)));
  assert.equal(derive(record, 0), derived, 'worked out once');
});

test('ranges hold the largest advantage and skip what is not finite', () => {
  const record = { knobs: { epsilon: 0.2 }, completions: [{ ...completion, advantage: 2.6 }] };
  const { range, dead, out } = derive(record, 1);
  assert.equal(range.advantage, 3);
  near(range.ratio, Math.max(1.5 * Math.log(1.2), 0.5));
  assert.deepEqual([dead, out], [1, 1]);
});

test('quantile and ema skip gaps', () => {
  assert.equal(quantile([3, NaN, 1, 2], 0.5), 2);
  assert.ok(Number.isNaN(quantile([], 0.5)));
  assert.deepEqual(ema([1, null, 3], 0.5), [1, null, 2]);
});
