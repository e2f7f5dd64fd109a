import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  clipGeometry,
  clipMarks,
  curvePoints,
  histogram,
  logLimits,
  placeLimits,
} from '../../../workbench/web/static/clipgeometry.js';
import { derive } from '../../../workbench/web/static/derived.js';
import { pictureOf } from '../../../workbench/web/static/objectives.js';
import { pushGeometry, pushMarks } from '../../../workbench/web/static/pushgeometry.js';

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
  const geometry = clipGeometry(526, 240, r, 0, derived);
  return { geometry, marks: clipMarks(geometry, r, 0, derived) };
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
    assert.ok(Math.log(geometry.band.high) < geometry.to);
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

test('a token lies on the side of its own advantage', () => {
  const r = record([[0.1, 0.1, 0.1]], [1]);
  r.completions[0].advantages = [2, -1, 0];
  assert.deepEqual(
    draw(r).marks.map((m) => [m.token, m.sign]),
    [
      [0, 1],
      [1, -1],
    ],
  );
});

test('a token that a mask left out is a ring and is not counted', () => {
  const r = record([[0.1, 0.4]], [1]);
  r.completions[0].kept = ['01'];
  const { marks } = draw(r);
  assert.deepEqual(marks.map((m) => m.kind).sort(), ['dead', 'masked']);
  assert.deepEqual([...histogram(marks, 0.02).values()], [{ n: 1, dead: 1 }]);
});

test('a completion with one ratio has one mark, at its mean or, for VESPO, at its sum', () => {
  const logs = [
    [0.1, 0.3],
    [-0.2, -0.2],
  ];
  const at = (knobs) => draw(record(logs, [1, -1], { epsilon: 0.2, ...knobs })).marks.map((m) => m.log.toFixed(6));
  assert.deepEqual(at({ importance_sampling_level: 'sequence' }), ['0.200000', '-0.200000']);
  assert.deepEqual(at({ loss_type: 'vespo' }), ['0.400000', '-0.400000']);
});

test('a band of a few thousandths fills its axis; the usual one keeps its own', () => {
  const limits = (knobs, widest = 0) => {
    const picture = pictureOf(knobs);
    return logLimits(widest, { low: 1 - knobs.epsilon, high: 1 + knobs.epsilon, delta: Infinity }, picture);
  };
  assert.ok(limits({ epsilon: 0.003 })[1] < 0.01);
  assert.ok(limits({ epsilon: 0.003 }, 0.5)[1] > 0.5, 'and opens for tokens far away');
  assert.ok(limits({ epsilon: 0.1 })[1] >= Math.log(1.41));
});

test('what the loss names is on the axis: the cap of CISPO, unless it is out of reach', () => {
  const right = (cap) => logLimits(0.1, { low: 0.8, high: 6 }, pictureOf({ loss_type: 'cispo', epsilon_high: cap }))[1];
  assert.ok(right(5) > Math.log(5));
  assert.ok(right(1000) < Math.log(25));
});

test('every form of loss has a curve on its axes, and a weight is read against zero', () => {
  const settings = [
    { loss_type: 'grpo', delta: 3 },
    { loss_type: 'cispo', epsilon_high: 5 },
    { loss_type: 'sapo' },
    { loss_type: 'vespo' },
    { loss_type: 'online' },
  ];
  for (const knobs of settings) {
    const { geometry, marks } = draw(record([[0.1, -0.3], [0.2]], [1, -1], { epsilon: 0.2, ...knobs }));
    for (const panel of geometry.panels) {
      const points = curvePoints(geometry, panel)
        .split(' ')
        .map((p) => p.split(',').map(Number));
      assert.ok(points.flat().every(Number.isFinite), knobs.loss_type);
      assert.ok(points.every(([, y]) => y >= geometry.top && y <= geometry.top + geometry.plot + 0.1));
      if (['cap', 'phi', 'plain'].includes(geometry.form)) assert.ok(panel.low <= 0 && panel.high >= 1);
    }
    assert.ok(marks.length > 0);
  }
});

test('without a ratio every token lies at its probability and its push; what nothing pushes is a ring on zero', () => {
  const r = record([[-0.5, -3]], [1]);
  r.method = 'sft';
  r.completions[0].coefficients = [[0.25, 0]];
  const derived = derive(r, 0);
  const geometry = pushGeometry(526, 240, r, 0, derived);
  const [pushed, still] = pushMarks(geometry, r, 0, derived);
  assert.deepEqual([pushed.kind, pushed.sign, still.kind], ['live', 1, 'masked']);
  assert.equal(still.y, geometry.panels[0].y(0));
  assert.ok(pushed.y < still.y, 'up is up');
  assert.ok(still.x < pushed.x, 'rarer is further left');
  assert.ok(geometry.yTicks.includes(0));
});

const marginsOf = (knobs) => {
  const { panels, panelWidth } = draw(record([[0]], [1], knobs)).geometry;
  return { left: panels[0].left, gap: panels[1].left - panels[0].left - panelWidth, panels };
};

test('an ordinary axis of values has one decimal and the usual margin', () => {
  for (const knobs of [{ epsilon: 0.2 }, { epsilon: 0.2, epsilon_high: 0.28 }, { epsilon: 0.5 }]) {
    const { left, gap, panels } = marginsOf(knobs);
    assert.deepEqual([left, Math.round(gap)], [34, 42]);
    assert.ok(panels.every((p) => p.ticks.every(([, text]) => /^−?\d\.\d$/.test(text))));
  }
});

test('values of a wide band are whole from 10 and an exponent from 1000, with room for the longest', () => {
  const texts = (high) => marginsOf({ epsilon: 0.2, epsilon_high: high }).panels[1].ticks.map(([, text]) => text);
  assert.deepEqual(texts(10), ['−100', '−50', '0']);
  assert.ok(texts(100).some((text) => /^−\de3$|^−\de4$/.test(text)));
  const { left, gap, panels } = marginsOf({ epsilon: 0.2, epsilon_high: 450 });
  const longest = Math.max(...panels.flatMap((p) => p.ticks.map(([, text]) => text.length)));
  assert.ok(left >= 6 + longest * 5.5 && gap >= left);
});

test('the names of the limits never lie on each other', () => {
  const place = (low, one, high) =>
    placeLimits(
      [
        [one, '1'],
        [low, '1−ε'],
        [high, '1+ε'],
      ],
      11,
    ).map(({ text, x, anchor }) => [text, x, anchor]);
  assert.deepEqual(
    place(100, 130, 160).map(([text]) => text),
    ['1', '1−ε', '1+ε'],
  );
  assert.deepEqual(place(100, 115, 130), [
    ['1−ε', 106, 'end'],
    ['1+ε', 124, 'start'],
  ]);
  assert.deepEqual(place(100, 102, 104), [
    ['1−ε', 99, 'end'],
    ['1+ε', 105, 'start'],
  ]);
  assert.deepEqual(place(100, 100, 100), [
    ['1−ε', 97, 'end'],
    ['1+ε', 103, 'start'],
  ]);
  assert.deepEqual(
    place(100, 112, 160).map(([text]) => text),
    ['1−ε', '1+ε'],
    '"1" lies under 1−ε',
  );
});
