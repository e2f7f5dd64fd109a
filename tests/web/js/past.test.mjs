import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

globalThis.requestAnimationFrame = () => 0;
globalThis.document = { hidden: true, addEventListener() {}, dispatchEvent() {} };
const asked = [];
let answers = {};
globalThis.fetch = async (path) => {
  asked.push(path);
  const found = Object.entries(answers).find(([start]) => path.startsWith(start));
  return found ? { ok: true, json: async () => found[1] } : { ok: false };
};
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

const root = '../../../workbench/web/static/';
const { set, state } = await import(`${root}store.js`);
const { applyDelta, restOf, spend } = await import(`${root}poll.js`);
const { ema } = await import(`${root}math.js`);
const select = await import(`${root}select.js`);

const row = (step, reward = step) => ({ step, metrics: { reward }, updates: [], groups: [] });
const rows = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => row(from + i));
const base = { source: 'live', state: 'running', num_steps: 9999, events: [], next_event: 0, knobs: {}, focus: null };
let runs = 0;

// Steps 1 to 8 as two points of four steps each; a spike at step 3.
const past = {
  end: 8,
  width: 4,
  steps: [
    [1, 5],
    [4, 8],
  ],
  curves: {
    reward: { low: [2, 5], low_at: [2, 5], high: [90, 8], high_at: [3, 8], mean: [25, 6.5], first: 4 },
  },
};

beforeEach(() => {
  asked.length = 0;
  answers = { '/wb/curves/': past };
  applyDelta({ ...base, run: `p${(runs += 1)}`, rows: rows(9, 10), first: 8, first_step: 1, next: 10 });
});

test('a page of a long run holds its newest rows, and knows how many steps there are', () => {
  assert.deepEqual([state.rows.length, select.countSteps(), select.firstStep(), select.newestStep()], [2, 10, 1, 10]);
});

test('a curve is made of the first value, the extremes at their own steps, and the rows that are held', async () => {
  select.curve('reward');
  await settled();
  assert.ok(asked.some((path) => path.startsWith('/wb/curves/') && path.includes('reward')));
  const { steps, values, means } = select.curve('reward');
  assert.deepEqual(steps, [1, 2, 3, 5, 8, 9, 10]);
  assert.deepEqual(values, [4, 2, 90, 5, 8, 9, 10]);
  assert.deepEqual(means, { steps: [2.5, 6.5, 9, 10], values: [25, 6.5, 9, 10], widths: [4, 4, 1, 1] });
});

test('curves that reach further than the rows take their place, and later ones extend the page', async () => {
  select.curve('reward');
  await settled();
  applyDelta({ ...base, run: state.run, rows: rows(11, 270), first: 10, first_step: 1, next: 270 });
  answers = { '/wb/curves/': { ...past, end: 200 } };
  applyDelta({ ...base, run: state.run, rows: [row(271)], first: 270, first_step: 1, next: 271 });
  await settled();
  assert.deepEqual([state.first, state.rows.length, state.rows[0].step], [200, 71, 201]);
  assert.equal(select.countSteps(), 271);
});

test('a page that was away goes on with the newest rows and never asks for those between', async () => {
  applyDelta({ ...base, run: state.run, rows: rows(501, 503), first: 500, first_step: 1, next: 503 });
  assert.deepEqual([state.first, state.rows.length, select.newestStep()], [500, 3, 503]);
});

test('any older step can be looked at: its row is fetched once, and the last one stays until it comes', async () => {
  assert.equal(select.viewedRow().step, 10);
  answers['/wb/row/'] = row(4, 77);
  set({ step: 4 });
  assert.equal(select.viewedRow().step, 10);
  await settled();
  assert.deepEqual([select.viewedRow().step, select.rowAt(4).metrics.reward], [4, 77]);
  assert.equal(asked.filter((path) => path === `/wb/row/${state.run}/4`).length, 1);
  set({ step: null });
});

test('a mean of many steps weighs as much in the average as they would', () => {
  const one = ema([0, 1, 1, 1, 1], 0.3).at(-1);
  assert.ok(Math.abs(ema([0, 1], 0.3, [1, 4]).at(-1) - one) < 1e-12);
});

test('drawing takes its share of the time: a quiet page draws at once, a busy one rests for what it spent', () => {
  const share = 0.015;
  let purse = { credit: 150, at: 0 };
  assert.equal(restOf(purse, share, 0.2), 0);
  purse = spend(purse, share, 100, 0);
  assert.equal(restOf(purse, share, 0.2), 0, 'what was saved up is spent first');
  purse = spend(purse, share, 90, 0);
  const wait = restOf(purse, share, 0.2);
  assert.ok(Math.abs(wait - 40 / share) < 1e-6);
  assert.equal(restOf(purse, share, 1), 0, 'steps that take a second are drawn at once, each of them');
  assert.ok(restOf(purse, share / 8, 1) > 0, 'but not by eight pages');
  assert.equal(restOf(spend(purse, share, 0, wait), share, 0.2), 0, 'after the rest it goes on');
  assert.ok(restOf(spend(purse, share, 1e6, 0), share, 0.2) < 6000, 'one slow drawing does not silence the page');
  assert.equal(restOf(purse, share / 8, 0.2), 10_000, 'a page among many rests longer, but not for ever');
  assert.equal(spend(purse, share, 0, 1e9).credit, 150, 'no more is saved up than that');
});
