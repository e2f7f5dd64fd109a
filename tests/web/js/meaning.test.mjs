import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.requestAnimationFrame = () => 0;

const root = '../../../workbench/web/static/';
const { baselineOf, isKlCorrected, isZScore, klForm, klName, measureHelp, moversOf, rewardsAreAll, samplerOf } =
  await import(`${root}meaning.js`);
const { advantageFormula } = await import(`${root}advantageformula.js`);
const { budgetNote } = await import(`${root}views/lower.js`);
const { set, state } = await import(`${root}store.js`);

const of = (knobs, more = {}) => ({ knobs, ...more });

test('the KL is named by what made its number: the knob, the method, the mistake', () => {
  assert.deepEqual(
    [{}, { kl_estimator: 'k1' }, { kl_estimator: 'k2' }].map((knobs) => klForm(of(knobs))),
    ['k3', 'k1', 'k2'],
  );
  for (const method of ['sft', 'rft'])
    assert.equal(klForm(of({ kl_estimator: 'k3' }, { method })), 'exact', 'others wrote the tokens');
  assert.equal(klForm(of({ kl_estimator: 'k3' }, { method: 'online_rft' })), 'k3');
  assert.equal(klForm(of({ kl_estimator: 'k3', beta: 0.5 }, { bug: 'k1_as_loss' })), 'k1');
});

test('the exact KL is only summed where the loss has it', () => {
  const exact = { kl_estimator: 'exact', beta: 0.1 };
  assert.equal(klForm(of(exact)), 'exact');
  assert.equal(klForm(of({ ...exact, kl_in: 'reward' })), 'k3');
  assert.equal(klForm(of({ ...exact, beta: 0 })), 'k3');
  for (const method of ['dpo', 'online_rft']) assert.equal(klForm(of(exact, { method })), 'k3');
  assert.equal(klForm(of({}, { completions: [{ exact_kl: [[0.5]] }] })), 'exact', 'what was recorded says so itself');
});

test('the colours show k3 for k1, which has a sign', () => {
  assert.equal(klName(of({ kl_estimator: 'k1' })), 'k3');
  assert.equal(klName(of({ kl_estimator: 'k2' })), 'k2');
  assert.equal(klName(of({}, { method: 'sft' })), 'exact');
});

test('a title names the KL of the step that is looked at, and before there is one that of the run', () => {
  set({ knobs: { kl_estimator: 'k2' }, method: 'grpo', bug: null, record: of({ kl_estimator: 'k3' }) });
  assert.equal(klForm(state.record ?? state), 'k3', 'the knob was turned after this step');
  set({ record: null });
  assert.equal(klForm(state.record ?? state), 'k2');
  set({ bug: 'k1_as_loss' });
  assert.equal(klForm(state.record ?? state), 'k1');
});

test('equal rewards are no advantage only where nothing else makes one', () => {
  assert.ok(rewardsAreAll(of({ supervision: 'outcome', kl_in: 'loss' })));
  assert.ok(!rewardsAreAll(of({ supervision: 'process' })) && !rewardsAreAll(of({ kl_in: 'reward' })));
  assert.ok(!rewardsAreAll(of({}, { method: 'ppo' })) && !rewardsAreAll(of({ advantage_estimator: 'gdpo' })));
  assert.ok(isZScore(of({})) && !isZScore(of({ scale_rewards: 'none' })));
  assert.ok(!isZScore(of({ advantage_estimator: 'rloo' })) && !isZScore(of({}, { method: 'dpo' })));
});

test('with the mean over the batch as baseline, no group of equal rewards is dead and no formula has its mean', () => {
  const record = { ...of({}, { bug: 'batch_mean_baseline' }), mean: 1.5, std: 0 };
  const completion = { reward: 1.5, advantage: 0.26 };
  assert.ok(!rewardsAreAll(record) && !isZScore(record));
  assert.equal(advantageFormula(record, completion), 'A = (1.50 − mean(batch)) / std(batch)');
  assert.equal(advantageFormula({ ...record, knobs: { scale_rewards: 'none' } }, completion), 'A = 1.50 − mean(batch)');
  assert.equal(advantageFormula({ ...record, bug: null, std: 0.5 }, completion), 'A = (1.50 − 1.50) / 0.50');
  assert.deepEqual(
    [record, of({}), of({ advantage_estimator: 'pass_at_k', pass_k: 4 }), of({ pass_k: 4 })].map(baselineOf),
    ['batch', 'group', 'best', 'group'],
  );
  assert.equal(baselineOf(of({ advantage_estimator: 'pass_at_k', pass_k: 1 })), 'group', 'that is rloo');
  assert.equal(baselineOf(of({ advantage_estimator: 'pass_at_k', pass_k: 4 }, { method: 'ppo' })), 'group');
});

test('a token without an advantage is moved by a KL in the loss and by the entropy bonus, if by anything', () => {
  assert.equal(moversOf(of({ beta: 0.1, kl_in: 'loss' }), true), 'kl');
  assert.equal(moversOf(of({ beta: 0.1 }, { method: 'ppo' }), true), 'kl');
  for (const facts of [of({ beta: 0 }), of({ beta: 0.1, kl_in: 'reward' })])
    assert.equal(moversOf(facts, true), 'nothing');
  for (const method of ['dpo', 'sft', 'rft', 'online_rft'])
    assert.equal(moversOf(of({ beta: 0.1 }, { method }), true), 'nothing', 'there the KL is only shown');
  assert.equal(moversOf(of({ beta: 0, entropy_coef: 0.1 }), true), 'entropy');
  assert.equal(moversOf(of({ beta: 0.1, entropy_coef: 0.1 }), true), 'both');
  assert.equal(moversOf(of({ beta: 0.1, entropy_coef: 0.1 }), false), 'kl', 'the bonus does not count it');
  assert.equal(moversOf(of({ beta: 0.1, entropy_coef: 0.1 }, { bug: 'logps_without_gradient' }), true), 'nothing');
});

test('the ratio is told of as it was made', () => {
  assert.equal(measureHelp(of({}), 'ratio'), 'measure.ratio.help');
  assert.equal(measureHelp(of({}, { bug: 'ratio_to_reference' }), 'ratio'), 'measure.ratio.help_ref');
  assert.equal(measureHelp(of({}, { bug: 'ratio_to_reference' }), 'kl'), 'measure.kl.help');
  const knobs = { importance_sampling_level: 'sequence' };
  assert.equal(measureHelp(of(knobs), 'ratio'), 'measure.ratio.help_sequence');
  assert.equal(measureHelp(of(knobs, { bug: 'ratio_to_reference' }), 'ratio'), 'measure.ratio.help_sequence_ref');
  assert.equal(measureHelp(of(knobs, { method: 'rft' }), 'ratio'), 'measure.ratio.help', 'its loss has no ratio');
});

test('a demonstration was not sampled, and RFT learns from what the reference sampled', () => {
  assert.deepEqual(
    ['grpo', 'ppo', 'dpo', 'online_rft', 'rft', 'sft'].map((method) => samplerOf(of({}, { method }))),
    ['old', 'old', 'old', 'old', 'ref', 'none'],
  );
  assert.equal(measureHelp(of({}, { method: 'sft' }), 'entropy'), 'measure.entropy.help_sft');
  assert.equal(measureHelp(of({}, { method: 'rft' }), 'entropy'), 'measure.entropy.help');
});

test('the KL is corrected in the loss alone', () => {
  const knobs = { use_bias_correction_kl: true, beta: 0.1 };
  assert.ok(isKlCorrected(of(knobs)) && isKlCorrected(of(knobs, { method: 'ppo' })));
  for (const off of [{ beta: 0 }, { kl_in: 'reward' }, { use_bias_correction_kl: false }])
    assert.ok(!isKlCorrected(of({ ...knobs, ...off })));
  assert.ok(!isKlCorrected(of(knobs, { method: 'dpo' })));
});

const scored = (rewards, knobs = {}) => ({ ...of(knobs), completions: rewards.map((reward) => ({ reward })) });
const formulaOf = (group, more, c) => advantageFormula({ ...group, ...more }, c);

test('the formula of an advantage divides by what the engine does', () => {
  const tiny = scored([3e-6, 2e-6, 1e-6, 4e-6]);
  const means = { mean: 2.5e-6, std: 1.291e-6 };
  const text = formulaOf(tiny, means, { reward: 4e-6, advantage: 0.0148 });
  assert.equal(text, 'A = (4e−6 − 2.5e−6) / (1.3e−6 + 1e−4)');
  const usual = scored([-1, -2, -1, -1.5]);
  assert.equal(
    formulaOf(usual, { mean: -1.375, std: 0.4787 }, { reward: -1, advantage: 0.783 }),
    'A = (−1.00 − (−1.375)) / 0.479',
  );
  assert.equal(
    formulaOf(usual, { mean: -1, std: 0, knobs: {} }, { reward: -1, advantage: 0 }),
    'A = (−1.00 − (−1.00)) / (0.00 + 1e−4)',
  );
  assert.equal(formulaOf(usual, { mean: -1, std: 0, knobs: { std_eps: 0 } }, { reward: -1, advantage: 0 }), null);
  const batch = scored([1, 0], { scale_rewards: 'batch' });
  const by = (std) => formulaOf(batch, { mean: 0.5, std: 0.7 }, { reward: 1, advantage: 0.5 / (std + 1e-4) });
  assert.equal(by(0.5), 'A = (1.00 − 0.50) / std(batch)');
  assert.equal(by(0.001), 'A = (1.00 − 0.50) / (std(batch) + 1e−4)');
});

test('by hand, the numbers of the formula make the advantage that stands above it', () => {
  const rewards = [0.35, 1.5, 0.35, 1.5, 0.35, 1.5, 1.5, 0.35];
  for (const extra of [0, 0.1, -0.7, 1 / 3]) {
    const all = rewards.map((r, i) => r + (i === 2 ? extra : 0));
    const mean = all.reduce((a, b) => a + b, 0) / all.length;
    const std = Math.sqrt(all.reduce((sum, r) => sum + (r - mean) ** 2, 0) / (all.length - 1));
    for (const reward of all) {
      const advantage = (reward - mean) / (std + 1e-4);
      const text = formulaOf(scored(all), { mean, std }, { reward, advantage });
      const [a, b, by] = text
        .replaceAll('−', '-')
        .match(/-?[\d.]+/g)
        .map(Number);
      assert.equal(((a - b) / by).toFixed(2), advantage.toFixed(2), text);
    }
  }
});

test('a deviation that divides by N is made from the one shown, which divides by N − 1', () => {
  const group = scored([1, 0, 0, 0, null], { std_ddof: 0, std_eps: 0 });
  const text = formulaOf(group, { mean: 0.25, std: 0.5 }, { reward: 1, advantage: 1.732 });
  assert.equal(text, 'A = (1.00 − 0.25) / (0.50 · √(3/4))');
  assert.ok(!isZScore(group) && isZScore(scored([1, 0], { std_ddof: 1 })));
});

test('no formula is made of a reward that does not apply', () => {
  const group = scored([null, 2, 3]);
  assert.equal(formulaOf(group, { mean: 2.5, std: 0.7 }, { reward: null, advantage: 0 }), null);
});

test('the budget says where it leaves an entropy bonus out', () => {
  assert.equal(budgetNote(of({ entropy_coef: 0.01 })), 'budget.note_bonus');
  assert.equal(budgetNote(of({ entropy_coef: 0 })), 'budget.note');
  assert.equal(budgetNote(of({ entropy_coef: 0.01 }, { method: 'sft' })), 'budget.note');
});
