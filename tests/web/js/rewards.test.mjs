import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

globalThis.requestAnimationFrame = () => 0;
globalThis.document = { hidden: true, addEventListener() {}, dispatchEvent() {} };

const root = '../../../workbench/web/static/';
const { setTable } = await import(`${root}i18n.js`);
const { set } = await import(`${root}store.js`);
const { isLearned, rewardLines, scalesApart, toUnit } = await import(`${root}rewards.js`);
const { roundStarts } = await import(`${root}select.js`);

const show = (metrics, more = {}) =>
  set({ rows: metrics.map((m, i) => ({ step: i + 1, metrics: m, groups: [], updates: [], ...more })) });

beforeEach(() => {
  setTable('en', {
    'curves.mean': 'mean',
    'curves.true': 'true',
    'curves.learned': 'learned',
    'curves.uncounted': '{name} (×0)',
  });
});

test('a run has a mean with the parts that add up to it, and those that weigh nothing beside', () => {
  const metrics = { reward: 1.2, 'rewards/answer/mean': 0.8, 'rewards/steps/mean': 0.9, 'rewards/watched/mean': 0.3 };
  show([metrics], { reward_parts: { answer: 0.8, steps: 0.4 } });
  const { lines, own } = rewardLines();
  assert.equal(isLearned() || own, false);
  assert.deepEqual(
    lines.map((l) => [l.label, l.is, l.values[0]]),
    [
      ['mean', 'main', 1.2],
      ['answer', 'part', 0.8],
      ['steps', 'part', 0.4],
      ['watched (×0)', 'uncounted', 0.3],
    ],
  );
});

test('a learned reward stands beside the true one, on one scale where their sizes allow', () => {
  show([
    { reward: 1, true_reward: 0.5 },
    { reward: 3, true_reward: 1 },
  ]);
  const { lines, own } = rewardLines();
  assert.deepEqual([isLearned(), own], [true, false]);
  assert.deepEqual(
    lines.map((l) => [l.label, l.is, l.heights]),
    [
      ['true', 'main', [0.5, 1]],
      ['learned', 'learned', [1, 3]],
    ],
  );
});

test('where the sizes are far apart each fills the panel, and the numbers stay what they are', () => {
  show([
    { reward: 10, true_reward: 0.5 },
    { reward: 30, true_reward: null },
    { reward: 20, true_reward: 1 },
  ]);
  const { lines, own } = rewardLines();
  assert.equal(own, true);
  assert.deepEqual(lines[1].heights, [0, 1, 0.5]);
  assert.deepEqual(lines[0].heights, [0, null, 1]);
  assert.equal(lines[1].of({ metrics: { reward: 30 } }), 30);
});

test('scales: gaps and zeros do not separate them', () => {
  assert.equal(scalesApart([[1, null], [3.9]]), false);
  assert.equal(scalesApart([[1, null], [-4.1]]), true);
  assert.equal(scalesApart([[0], [100]]), false);
  assert.deepEqual(toUnit([2, 2]), [0, 0]);
  assert.deepEqual(toUnit([]), []);
});

test('rounds begin where their number rises', () => {
  show([1, 1, 2, 2, 3].map((round) => ({ reward: 0, round })));
  assert.deepEqual(roundStarts(), [
    { number: 2, step: 3 },
    { number: 3, step: 5 },
  ]);
  show([{ reward: 0 }, { reward: 0 }]);
  assert.deepEqual(roundStarts(), []);
});

test('the small panels show what the method and the loss have', async () => {
  globalThis.window = { innerWidth: 1366 };
  const { sparks } = await import(`${root}views/sparks.js`);
  const keys = (method, loss_type) => {
    set({ method, knobs: { loss_type }, pending: {}, source: 'live' });
    return sparks()
      .map((s) => s.key)
      .slice(0, 2);
  };
  assert.deepEqual(keys('grpo', 'dapo'), ['dead', 'clip']);
  assert.deepEqual(keys('grpo', 'cispo'), ['dead', 'cap']);
  assert.deepEqual(keys('grpo', 'vespo'), ['dead', 'phi']);
  assert.deepEqual(keys('grpo', 'sapo'), ['dead', 'unclipped']);
  assert.deepEqual(keys('ppo', 'grpo'), ['critic', 'clip']);
  assert.deepEqual(keys('dpo', 'grpo'), ['pairs', 'unclipped']);
  assert.deepEqual(keys('sft', 'dapo'), ['dead', 'unclipped']);
});
