import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.requestAnimationFrame = () => 0;

const root = '../../../workbench/web/static/';
const { set } = await import(`${root}store.js`);
const { evidenceOf, questionOf, soonerOf } = await import(`${root}views/why.js`);
const { whyAllOne } = await import(`${root}views/clipframe.js`);

const completion = (advantage, logps = [[-1], [-1.1]]) => ({
  length: 1,
  advantage,
  reward: advantage,
  old: [-1],
  ref: [-1],
  logps,
  clipped: logps.map(() => '0'),
  outside: logps.map(() => '0'),
  entropy: [0.5],
});
const group = (advantages, more = {}, logps = undefined) => ({
  knobs: {},
  method: 'grpo',
  bug: null,
  completions: advantages.map((a) => completion(a, logps)),
  budget: [0, 1].map(() => ({ up: 0.5, down: 0.5, kl: 0, lost: 0, loss: 0.001 })),
  ...more,
});
const row = { metrics: { 'completions/clipped_ratio': 0 }, updates: [] };

function ask(record) {
  set({ source: 'live', record, row: 0, k: null });
  return questionOf(record, row);
}

test('where log-probabilities are constants nothing is said of a gradient', () => {
  const still = [[-1], [-1]];
  const record = group([1, -1], { bug: 'logps_without_gradient', budget: [{ loss: 0 }, { loss: 0 }] }, still);
  assert.equal(ask(record), 'constant');
  assert.equal(ask({ ...record, dead: true, completions: [completion(0, still)] }), 'constant', 'dead or not');
});

test('a policy that has broken down is not told to try other prompts', () => {
  const record = group([0, 0], { dead: true, std: 0, mean: 0 });
  const at = (metrics, dead = true) => ({ metrics, updates: [], groups: [{ dead: true }, { dead }] });
  const far = { 'completions/clipped_ratio': 1, kl: 9 };
  set({ source: 'live', record, row: 0, k: null });
  assert.equal(questionOf(record, at(far)), 'broken');
  assert.deepEqual(evidenceOf(record, at(far)).slice(0, 2), [
    ['why.f.cut', '100%'],
    ['why.f.kl', '9.00'],
  ]);
  assert.equal(questionOf(record, at({ ...far, kl: 0.02 })), 'dead', 'the limit is too short');
  assert.equal(questionOf(record, at({ ...far, kl: undefined })), 'dead', 'not scored');
  assert.equal(questionOf(record, at(far, false)), 'dead', 'another group still teaches');
  assert.equal(questionOf(record, at({ ...far, 'completions/clipped_ratio': 0.9 })), 'dead');
});

test('ratios of 1 are said to be those of the first update in the first alone', () => {
  assert.deepEqual(
    [whyAllOne(1, 0), whyAllOne(4, 0), whyAllOne(4, 3)],
    ['clip.one_why_mu', 'clip.one_why', 'clip.one_why_still'],
  );
});

test('the loss is said to cancel only where the advantages do', () => {
  assert.equal(ask(group([1, -1])), 'loss');
  for (const advantage_estimator of ['rloo', 'reinforce_plus_plus', 'rank'])
    assert.equal(ask(group([0.5, -0.5], { knobs: { advantage_estimator } })), 'loss', advantage_estimator);
  assert.equal(ask(group([1, 0], { knobs: { advantage_estimator: 'pass_at_k', pass_k: 4 } })), 'watch');
  assert.equal(ask(group([1, -1], { knobs: { advantage_estimator: 'pass_at_k', pass_k: 1 } })), 'loss', 'that is rloo');
  assert.equal(ask(group([1, -1], { knobs: { advantage_estimator: 'gdpo' } })), 'watch', 'over the batch');
  assert.equal(ask(group([0.3, 0.2], { bug: 'batch_mean_baseline' })), 'watch');
  assert.equal(ask(group([1, -0.4])), 'watch', 'the numbers themselves must agree');
});

test('k1 is not said to pull by the distance, nor a mistake to reinforce what is better', () => {
  const pulled = { budget: [0, 1].map(() => ({ up: 0.1, down: 0.1, kl: 0.5, lost: 0, loss: 0.4 })) };
  assert.equal(ask(group([1, -1], pulled)), 'kl');
  assert.equal(ask(group([1, -1], { ...pulled, knobs: { kl_estimator: 'k1' } })), 'watch');
  const asked = (record) => (set({ source: 'tape', record }), questionOf(record, row));
  assert.equal(asked(group([1, -1])), 'gist');
  for (const bug of ['batch_mean_baseline', 'ratio_inverted']) assert.notEqual(asked(group([1, -1], { bug })), 'gist');
});

const evidence = (record, of = row) => (set({ source: 'live', record, row: 0, k: null }), evidenceOf(record, of));

test('beside an entropy bonus, which has no share, KL is not said to pull hard', () => {
  const pulled = { budget: [0, 1].map(() => ({ up: 0.1, down: 0.1, kl: 0.5, lost: 0, loss: 0.4 })) };
  assert.equal(ask(group([1, -1], { ...pulled, knobs: { entropy_coef: 0.01 } })), 'watch');
});

test('where no reward applies nothing is said to be equal; dead groups are counted in the step', () => {
  const none = group([0, 0], { dead: true, std: null, mean: null });
  none.completions.forEach((c) => (c.reward = null));
  const groups = [{ dead: true }, { dead: true }, { dead: false }];
  assert.equal(ask(none), 'unscored');
  assert.deepEqual(evidence(none, { ...row, groups }), [
    ['why.f.scored', '0 / 2'],
    ['why.f.dead', '2 / 3'],
  ]);
  assert.equal(ask(group([0, 0], { dead: true, std: 0 })), 'dead');
});

test('answers that the context cut off are not said to have reached the limit that was set', () => {
  const cut = (length) => ({ ...completion(1), truncated: true, length });
  const record = (length) => {
    const made = group([1, -1], { knobs: { max_completion_length: 48 } });
    made.completions = [cut(length), completion(-1)];
    return made;
  };
  const half = { metrics: { 'completions/clipped_ratio': 0.5 } };
  const asked = (made) => (set({ source: 'live', record: made, row: 0, k: null }), questionOf(made, half));
  assert.deepEqual([asked(record(6)), asked(record(48))], ['full', 'cut']);
  assert.deepEqual(evidence(record(6), half)[1], ['why.f.limit', '6']);
  assert.equal(asked(group([1, -1], { knobs: { max_completion_length: 48 } })), 'cut', 'the cut ones are elsewhere');
});

test('pushes are told in few characters, however small or large', () => {
  const sized = (size) => ({ budget: [0, 1].map(() => ({ up: size, down: size, kl: 0, lost: 0, loss: size / 1e4 })) });
  const said = (size) => evidence(group([1, -1], sized(size))).map(([, value]) => value);
  assert.deepEqual(said(344023.59).slice(0, 2), ['+3.4e5', '−3.4e5']);
  assert.deepEqual(said(2.3e-5), ['+2.3e−5', '−2.3e−5', '0.000']);
  assert.deepEqual(said(1.5), ['+1.50', '−1.50', '0.000']);
});

test("SAPO's gate closes sooner on the side of the higher temperature", () => {
  const at = (pos, neg) => soonerOf({ sapo_temperature_pos: pos, sapo_temperature_neg: neg });
  assert.deepEqual([soonerOf({}), at(1, 1.05), at(2, 1), at(1, 1)], ['bad', 'bad', 'good', 'same']);
});
