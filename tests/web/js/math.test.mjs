import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bounds, ema, klEstimates, quantile, span } from '../../../workbench/web/static/math.js';

const near = (a, b, eps = 1e-12) => assert.ok(Math.abs(a - b) < eps, `${a} is not ${b}`);

test('the clip band follows epsilon unless epsilon_high is set', () => {
  assert.deepEqual(bounds({ epsilon: 0.25, epsilon_high: null, delta: null }), {
    low: 0.75,
    high: 1.25,
    delta: Infinity,
  });
  assert.deepEqual(bounds({ epsilon: 0.25, epsilon_high: 0.5, delta: 4 }), { low: 0.75, high: 1.5, delta: 4 });
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

test('quantile and ema skip gaps', () => {
  assert.equal(quantile([3, NaN, 1, 2], 0.5), 2);
  assert.ok(Number.isNaN(quantile([], 0.5)));
  assert.deepEqual(ema([1, null, 3], 0.5), [1, null, 2]);
});

test('the span of lists is that of their finite values and of those given first', () => {
  assert.deepEqual(span([[3, NaN, null], [], Float64Array.of(-2, Infinity)]), [-2, 3]);
  assert.deepEqual(span([[3]], 0, 0), [0, 3]);
  assert.deepEqual(span([], 0, 1), [0, 1]);
});

test('a list longer than the stack has arguments has a span', () => {
  const long = Float64Array.from({ length: 200_000 }, (_, i) => i - 1000);
  assert.deepEqual(span([long, long], 0, 0), [-1000, 198_999]);
});
