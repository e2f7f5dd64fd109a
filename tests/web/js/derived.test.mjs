import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  derive,
  hasSteps,
  isDead,
  laterRewards,
  measuresOf,
  measureValue,
  pushOf,
  sequenceLogRatio,
  stepAt,
  tokenArrays,
} from '../../../workbench/web/static/derived.js';
import { pushGeometry } from '../../../workbench/web/static/pushgeometry.js';

const near = (a, b, eps = 1e-12) => assert.ok(Math.abs(a - b) < eps, `${a} is not ${b}`);

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
    { importance_sampling_level: 'sequence' },
  );
  for (const v of log) near(v, -0.3);
});

test('a method without a ratio in its loss leaves the level of the ratio aside: each token has its own', () => {
  const knobs = { importance_sampling_level: 'sequence' };
  for (const method of ['dpo', 'sft', 'rft', 'online_rft'])
    assert.deepEqual([...tokenArrays(completion, 1, knobs, method).log], [...tokenArrays(completion, 1).log], method);
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
  assert.ok(Number.isNaN(measureValue('kl', derived.tokens[1], 0)));
  assert.equal(derive(record, 0), derived, 'worked out once');
});

test('ranges hold the largest advantage and skip what is not finite', () => {
  const record = { knobs: { epsilon: 0.2 }, completions: [{ ...completion, advantage: 2.6 }] };
  const { range, dead, out } = derive(record, 1);
  assert.equal(range.advantage, 3);
  near(range.ratio, Math.max(1.5 * Math.log(1.2), 0.5));
  assert.deepEqual([dead, out], [1, 1]);
});

test('tokens may have advantages of their own, and their sign is theirs', () => {
  const { advantage, out } = tokenArrays({ ...completion, advantages: [0, 2, -1], outside: ['111', '111'] }, 1);
  assert.deepEqual([...advantage], [0, 2, -1]);
  assert.deepEqual([...out], [0, 1, 1], 'A = 0 learns nothing; the first is dead besides');
  const { range } = derive({ knobs: {}, completions: [{ ...completion, advantages: [0, 2, -4.2] }] }, 0);
  assert.equal(range.advantage, 4.5);
});

test('small advantages are not drawn as nothing', () => {
  const { range } = derive({ knobs: {}, completions: [{ ...completion, advantage: 0.03 }] }, 0);
  assert.equal(range.advantage, 0.05);
});

test('a masked token neither learns nor is dead; a masked completion has only such', () => {
  const masked = tokenArrays({ ...completion, kept: ['111', '101'] }, 1);
  assert.deepEqual([...masked.masked], [0, 1, 0]);
  assert.deepEqual([...masked.out], [0, 0, 0]);
  assert.deepEqual([...tokenArrays({ ...completion, masked: true }, 1).masked], [1, 1, 1]);
  assert.equal(derive({ knobs: {}, completions: [{ ...completion, masked: true }] }, 0).masked, 3);
});

test('the KL shown is the exact one where it was recorded, k3 where the estimate has a sign', () => {
  const exact = { ...completion, exact_kl: [[0.5, 0, 0.25], null] };
  assert.deepEqual([...tokenArrays(exact, 0, { kl_estimator: 'exact' }).kl], [0.5, 0, 0.25]);
  near(tokenArrays(completion, 1, { kl_estimator: 'k1' }).kl[0], Math.expm1(0.5) - 0.5);
  near(tokenArrays(completion, 1, { kl_estimator: 'k2' }).kl[0], 0.125);
});

test('coefficients and values are measures of their own; what was not recorded is not a number', () => {
  const rich = {
    ...completion,
    coefficients: [
      [0.01, 0, -0.02],
      [0, 0, 0],
    ],
    values: [0.5, -0.25, null],
  };
  const record = { knobs: {}, completions: [rich] };
  const { tokens, range } = derive(record, 0);
  assert.equal(measureValue('coefficient', tokens[0], 2), -0.02);
  assert.deepEqual([range.coefficient, range.value], [0.02, 0.5]);
  assert.equal(measureValue('value', tokens[0], 1), -0.25);
  assert.ok(Number.isNaN(measureValue('coefficient', tokenArrays(completion, 0), 0)));
  assert.deepEqual(measuresOf(record).slice(-2), ['coefficient', 'value']);
  assert.ok(!measuresOf({ knobs: {}, completions: [completion] }).includes('value'));
});

test('a method without advantages is pushed by its coefficients', () => {
  const pushed = {
    ...completion,
    coefficients: [
      [0.5, 0.25, -0.5],
      [0, 0, 0],
    ],
  };
  const record = { method: 'dpo', knobs: {}, completions: [pushed] };
  assert.equal(pushOf(derive(record, 0), pushed, 0), 0.25);
  assert.ok(!measuresOf(record).includes('advantage'));
  const own = { knobs: {}, completions: [pushed] };
  assert.equal(pushOf(derive(own, 0), pushed, 0), -1, 'else by its advantage');
});

test("VESPO's ratio is the product over the tokens, held within bounds", () => {
  const two = { ...completion, logps: [[-1.5, -1.8, -0.5]], length: 3 };
  near(sequenceLogRatio(two, 0), -0.3);
  near(sequenceLogRatio({ ...two, logps: [[-99, -2, -0.5]] }, 0), Math.log(1e-8));
  near(sequenceLogRatio({ ...two, old: [-90, -2, -0.5], logps: [[-1, -2, -0.5]] }, 0), 20);
});

test('a token belongs to the step that ends after it, and answers for that and all later ones', () => {
  const step = (end, normalised) => ({ end, reward: 1, normalised, reason: '' });
  const stepped = { ...completion, steps: [step(1, 0.5), step(3, -1.25)] };
  assert.deepEqual([stepAt(stepped, 0).index, stepAt(stepped, 0).first], [0, 0]);
  assert.deepEqual([stepAt(stepped, 1).index, stepAt(stepped, 1).first], [1, 1]);
  assert.equal(stepAt({ ...stepped, steps: [step(1, 0.5)] }, 2), null, 'after the last step');
  assert.deepEqual(laterRewards(stepped, 0), [0.5, -1.25]);
  assert.deepEqual(laterRewards(stepped, 1), [-1.25]);
  assert.ok(hasSteps({ knobs: {}, completions: [completion, stepped] }));
  assert.ok(hasSteps({ knobs: { supervision: 'process' }, completions: [completion] }), 'also where none was written');
  assert.ok(!hasSteps({ knobs: {}, completions: [completion] }) && !hasSteps(null));
});

test('equal rewards are a dead group only where nothing else tells the completions apart', () => {
  const still = { ...completion, advantage: 0 };
  assert.ok(isDead({ dead: true, completions: [still, still] }));
  assert.ok(!isDead({ dead: true, completions: [still, { ...still, advantages: [0.5, -0.5, 0] }] }), 'steps, a critic');
  assert.ok(
    !isDead({ dead: true, completions: [{ ...still, advantage: 1 }] }),
    'a method that learns from what is right',
  );
  assert.ok(!isDead({ dead: false, completions: [still] }));
});

test('the KL is times the ratio where the loss has it so, and the numbers are those of the engine', () => {
  const moved = { length: 2, advantage: 1, old: [-1.5, -1.7], ref: [-3, -1], logps: [[-1, -2]] };
  const whole = { ...moved, clipped: ['00'], outside: ['00'], entropy: [0, 0] };
  const knobs = { beta: 0.1, kl_estimator: 'k3', use_bias_correction_kl: true };
  const kl = (more, method = 'grpo') => [...tokenArrays(whole, 0, { ...knobs, ...more }, method).kl];
  const is = (values, wanted) => values.forEach((v, i) => near(v, wanted[i], 1e-4));
  is(kl({}), [1.8718, 0.5321]);
  is(kl({ kl_estimator: 'k2' }), [3.2974, 0.3704]);
  is(kl({ importance_sampling_level: 'sequence' }), [1.2547, 0.7938]);
  is(kl({}, 'ppo'), [1.8718, 0.5321]);
  const plain = [1.1353, 0.7183];
  for (const off of [{ beta: 0 }, { kl_in: 'reward' }, { use_bias_correction_kl: false }]) is(kl(off), plain);
  is(kl({}, 'dpo'), plain);
  const { tokens } = derive({ knobs, method: 'grpo', completions: [whole] }, 0);
  is([...tokens[0].kl], [1.8718, 0.5321]);
});

test('a group of more tokens than the stack has arguments is derived, and drawn', () => {
  const n = 200_000;
  const all = (v) => new Array(n).fill(v);
  const flags = ['0'.repeat(n)];
  const long = { length: n, advantage: 2, old: all(-1), ref: null, logps: [all(-2)], clipped: flags, outside: flags };
  const record = {
    knobs: {},
    method: 'dpo',
    completions: [{ ...long, entropy: all(0.5), values: all(3), coefficients: [all(0.25)] }],
  };
  const derived = derive(record, 0);
  assert.equal(derived.range.value, 3);
  const geometry = pushGeometry(600, 300, record, 0, derived);
  assert.ok(geometry.from < Math.log(0.1) && geometry.panels[0].high > 0.25);
});
