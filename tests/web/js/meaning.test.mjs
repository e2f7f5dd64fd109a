import assert from 'node:assert/strict';
import { test } from 'node:test';

globalThis.requestAnimationFrame = () => 0;

const root = '../../../workbench/web/static/';
const { baselineOf, isZScore, klForm, klName, measureHelp, moversOf, rewardsAreAll } = await import(
  `${root}meaning.js`
);
const { advantageFormula } = await import(`${root}views/grouprow.js`);
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
});
