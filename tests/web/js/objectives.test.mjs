import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gradientParts } from '../../../workbench/web/static/gradientparts.js';
import { klSlope } from '../../../workbench/web/static/math.js';
import { clippedObjective, flatRanges, formOf, phi, pictureOf } from '../../../workbench/web/static/objectives.js';

const fixture = JSON.parse(readFileSync(new URL('./fixtures/losses.json', import.meta.url), 'utf8'));
const near = (a, b, why, eps = 1e-9) =>
  assert.ok(Math.abs(a - b) <= eps * Math.max(1, Math.abs(b)), `${a} is not ${b}: ${why}`);

test('the weight of the gradient is what autograd says of every loss, for both signs', () => {
  assert.deepEqual([...new Set(fixture.curves.map((c) => formOf(c.knobs)))].sort(), [
    'cap',
    'clip',
    'gate',
    'phi',
    'plain',
  ]);
  for (const { knobs, sign, ratios, gains } of fixture.curves) {
    const picture = pictureOf(knobs);
    ratios.forEach((r, i) => near(picture.gain(r, sign), gains[i], `${knobs.loss_type} at r = ${r}, A = ${sign}`));
  }
});

test('where the picture is of an objective, its curve is the loss; else it is the weight', () => {
  for (const { knobs, sign, ratios, values } of fixture.curves) {
    const picture = pictureOf(knobs);
    const isObjective = ['clip', 'gate'].includes(picture.form);
    ratios.forEach((r, i) =>
      near(picture.value(r, sign), isObjective ? values[i] : picture.gain(r, sign), `${knobs.loss_type} at ${r}`),
    );
  }
});

test('push and pull add up to the coefficient that the gradient gave, token by token', () => {
  assert.ok(fixture.groups.length >= 8);
  for (const record of fixture.groups) {
    let pushed = 0;
    record.completions.forEach((completion, row) => {
      for (let token = 0; token < completion.length; token += 1) {
        const parts = gradientParts(record, row, token, 0);
        assert.ok(parts, `${record.knobs.loss_type}: row ${row}, token ${token}`);
        near(parts.push + parts.pull, completion.coefficients[0][token], record.knobs.loss_type, 1e-7);
        pushed += parts.push !== 0;
      }
    });
    assert.ok(pushed > 3, 'the surrogate pushes most of them');
  }
});

test('parts that do not add up are not shown', () => {
  const record = structuredClone(fixture.groups[0]);
  record.completions[0].coefficients[0][1] *= -1;
  assert.equal(gradientParts(record, 0, 1, 0), null);
  assert.equal(gradientParts({ ...record, method: 'dpo' }, 0, 0, 0), null, 'another loss');
});

test('a mask leaves a token nothing but the pull', () => {
  const record = fixture.groups.find((g) => g.knobs.off_policy_mask_threshold != null);
  const row = record.completions.findIndex((c) => c.kept[0].includes('0'));
  const parts = gradientParts(record, row, 0, 0);
  assert.equal(parts.push, 0);
  assert.notEqual(parts.pull, 0);
});

test('the clip is flat where its weight is zero, and only the clip is', () => {
  const band = { low: 0.8, high: 1.2, delta: Infinity };
  assert.deepEqual(flatRanges(1, band), [[1.2, Infinity]]);
  assert.deepEqual(flatRanges(-1, { ...band, delta: 2 }), [
    [0, 0.8],
    [2, Infinity],
  ]);
  for (const knobs of [{ loss_type: 'sapo' }, { loss_type: 'cispo', epsilon_high: 5 }, { loss_type: 'vespo' }])
    assert.deepEqual(pictureOf(knobs).flat(1), []);
});

test('the two-sided cap bounds the loss of an unlikely move for A < 0', () => {
  const band = { low: 0.8, high: 1.2, delta: 3 };
  near(clippedObjective(2, -1, band), -2);
  near(clippedObjective(50, -1, band), -3);
  near(clippedObjective(50, 1, band), 1.2);
});

test('a completion that has run away weighs nothing, and a decay of 0 is held above it', () => {
  assert.equal(phi(1, 2, 3), 1);
  near(phi(2, 2, 3), 4 * Math.exp(-3));
  assert.equal(phi(Infinity, 2, 3), 0);
  assert.ok(phi(3, 1, 0) > 2.9);
});

test('the slope of each KL estimator, by differences', () => {
  const estimate = {
    k1: (x, ref) => x - ref,
    k2: (x, ref) => (ref - x) ** 2 / 2,
    k3: (x, ref) => Math.exp(ref - x) - (ref - x) - 1,
  };
  for (const [name, f] of Object.entries(estimate))
    for (const [x, ref] of [
      [-1, -3],
      [-2, -0.5],
    ])
      near(klSlope(name, x, ref), (f(x + 1e-5, ref) - f(x - 1e-5, ref)) / 2e-5, name, 1e-6);
});

test('a method without a ratio has no curve, whatever its loss type', () => {
  for (const method of ['dpo', 'sft', 'rft', 'online_rft']) assert.equal(formOf({ loss_type: 'dapo' }, method), 'none');
  assert.equal(formOf({ loss_type: 'dapo' }, 'ppo'), 'clip');
  assert.equal(pictureOf({ importance_sampling_level: 'sequence' }).byCompletion, true);
  assert.equal(pictureOf({ loss_type: 'vespo' }).byCompletion, true);
});
