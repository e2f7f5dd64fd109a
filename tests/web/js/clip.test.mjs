import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clipGeometry, clipMarks, curvePoints, histogram } from '../../../workbench/web/static/clipgeometry.js';
import { derive } from '../../../workbench/web/static/math.js';

function record(logs, advantages, knobs = { epsilon: 0.2 }) {
  const band = [1 - knobs.epsilon, 1 + (knobs.epsilon_high ?? knobs.epsilon)];
  const flag = (test) =>
    logs.map((list, i) => [list.map((l) => (test(Math.exp(l), advantages[i]) ? '1' : '0')).join('')]);
  const clipped = flag((r, a) => (a > 0 && r > band[1]) || (a < 0 && r < band[0]));
  const outside = flag((r) => r > band[1] || r < band[0]);
  return {
    knobs,
    completions: logs.map((list, i) => ({
      length: list.length,
      advantage: advantages[i],
      old: list.map(() => 0),
      ref: null,
      logps: [list],
      clipped: clipped[i],
      outside: outside[i],
      entropy: list.map(() => 0),
    })),
  };
}

const draw = (r) => {
  const derived = derive(r, 0);
  const geometry = clipGeometry(526, 240, derived);
  return { geometry, marks: clipMarks(geometry, r, derived) };
};

test('every token with an advantage is a mark of its kind', () => {
  const { marks } = draw(record([[0, 0.5, -0.5], [0.5, -0.5], [0.1]], [1, -1, 0]));
  const kinds = (sign) =>
    marks
      .filter((m) => m.sign === sign)
      .map((m) => m.kind)
      .sort();
  assert.deepEqual(kinds(1), ['dead', 'live', 'out']);
  assert.deepEqual(kinds(-1), ['dead', 'out']);
  assert.equal(marks.length, 5, 'A = 0 pushes nothing');
});

test('marks that are close are stacked and stay in the panel', () => {
  const { geometry, marks } = draw(record([Array.from({ length: 60 }, () => 0.4)], [1]));
  assert.ok(new Set(marks.map((m) => m.y)).size > 5);
  assert.ok(marks.every((m) => m.y <= geometry.top + geometry.plot));
});

test('a huge ratio is clamped to the edge and said to be off the scale', () => {
  const { geometry, marks } = draw(record([[0, 6, -6]], [-1]));
  assert.deepEqual(marks.map((m) => m.off).sort(), [-1, 0, 1]);
  const panel = geometry.panels[1];
  assert.ok(marks.every((m) => m.x >= panel.left && m.x <= panel.left + geometry.panelWidth + 0.01));
});

test('the band is always inside the axis, wide or lopsided', () => {
  for (const knobs of [{ epsilon: 0.02 }, { epsilon: 0.5, epsilon_high: 3 }, { epsilon: 1 }]) {
    const { geometry } = draw(record([[0]], [1], knobs));
    assert.ok(Math.log(geometry.band.high) < geometry.reach);
    assert.ok(geometry.panels.every((p) => p.flat.every(([a, b]) => b >= a)));
    assert.ok(!/NaN/.test(curvePoints(geometry, geometry.panels[0])));
  }
});

test('no logps that are finite: no marks, no failure', () => {
  const { marks } = draw(record([[NaN, NaN]], [1]));
  assert.equal(marks.length, 0);
});

test('histogram bins by log ratio and counts the dead', () => {
  const { marks } = draw(record([[0, 0.001, 0.4]], [1]));
  const bins = histogram(marks, 0.02);
  assert.deepEqual(bins.get(0), { n: 2, dead: 0 });
  assert.deepEqual(bins.get(20), { n: 1, dead: 1 });
});
