// What each loss makes of a token: its objective or its gradient weight over the ratio, both divided by |A|.
// The formulas are those of workbench/grpo/losstypes.py; the tests hold them equal to it.
import { bounds, clamp } from './math.js';

/**
 * What the picture of a loss shows. clip: PPO's objective; gate: SAPO's; cap, phi, plain: the weight of A·∇log π in
 * CISPO, VESPO and the plain policy gradient; none: the method has no ratio.
 * @typedef {'clip'|'gate'|'cap'|'phi'|'plain'|'none'} Form
 */

const FORMS = { cispo: 'cap', sapo: 'gate', vespo: 'phi', online: 'plain' };
const NO_RATIO = ['dpo', 'sft', 'rft', 'online_rft'];

/** @param {object} knobs  @param {string} [method]  @returns {Form} */
export const formOf = (knobs, method = 'grpo') =>
  NO_RATIO.includes(method) ? 'none' : (FORMS[knobs.loss_type] ?? 'clip');

/**
 * Have all tokens of a completion one ratio, the geometric mean of theirs? Without a ratio in the loss they have not.
 * @param {object} knobs  @param {Form} form  @returns {boolean}
 */
export const sharesRatio = (knobs, form) => form !== 'none' && knobs.importance_sampling_level === 'sequence';

/** Is there one mark for a whole completion? @param {object} knobs  @param {Form} form  @returns {boolean} */
export const isByCompletion = (knobs, form) => form === 'phi' || sharesRatio(knobs, form);

/** @param {number} x  @returns {number} */
export const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/**
 * PPO's clipped objective divided by |A|: every token of one sign lies on one curve.
 * @param {number} ratio  @param {number} sign  of the advantage  @param {import('./math.js').Bounds} band
 * @returns {number}
 */
export function clippedObjective(ratio, sign, band) {
  const capped = Math.min(ratio, band.delta);
  const held = clamp(ratio, band.low, band.high);
  return sign > 0 ? Math.min(capped, held) : -Math.max(capped, held);
}

/**
 * Where the clip makes the gradient zero, as ranges of the ratio.
 * @param {number} sign
 * @param {import('./math.js').Bounds} band
 * @returns {[number, number][]}
 */
export function flatRanges(sign, { low, high, delta }) {
  if (sign > 0) return [[Math.min(high, delta), Infinity]];
  return delta === Infinity
    ? [[0, low]]
    : [
        [0, low],
        [Math.max(high, delta), Infinity],
      ];
}

/**
 * VESPO's weight of a completion: s^k e^(λ(1 − s)).
 * @param {number} ratio  of the whole completion
 * @param {number} k
 * @param {number} lambda
 * @returns {number}
 */
export function phi(ratio, k, lambda) {
  const decay = Math.max(lambda, 1e-4);
  const weight = Math.exp(decay + k * Math.log(ratio) - decay * ratio);
  return Number.isFinite(weight) ? weight : 0;
}

/**
 * What is drawn over the ratio: `value`, the objective or the weight. `gain` is the gradient weight g: the surrogate
 * pushes a token with w·g·A.
 * @typedef {{form: Form, byCompletion: boolean, value: (ratio: number, sign: number) => number, gain: (ratio: number,
 *   sign: number) => number, flat: (sign: number) => [number, number][], kinks: number[], cap: number|null}} Picture
 */

/** @param {object} knobs  @param {string} [method]  @returns {Picture} */
export function pictureOf(knobs, method = 'grpo') {
  const form = formOf(knobs, method);
  const gain = GAINS[form](knobs);
  const band = bounds(knobs);
  const cap = form === 'cap' ? (knobs.epsilon_high ?? knobs.epsilon ?? 0.2) : null;
  const temperature = temperatures(knobs);
  const values = {
    clip: (r, sign) => clippedObjective(r, sign, band),
    gate: (r, sign) => ((sign * 4) / temperature(sign)) * sigmoid(temperature(sign) * (r - 1)),
  };
  return {
    form,
    byCompletion: isByCompletion(knobs, form),
    gain,
    value: values[form] ?? gain,
    flat: (sign) => (form === 'clip' ? flatRanges(sign, band) : []),
    kinks: form === 'clip' ? [band.low, band.high, band.delta] : cap == null ? [] : [cap],
    cap,
  };
}

const temperatures = (knobs) => (sign) =>
  sign > 0 ? (knobs.sapo_temperature_pos ?? 1) : (knobs.sapo_temperature_neg ?? 1.05);

const GAINS = {
  clip(knobs) {
    const band = bounds(knobs);
    return (r, sign) => (flatRanges(sign, band).some(([a, b]) => r > a && r < b) ? 0 : r);
  },
  gate(knobs) {
    return (r, sign) => {
      const x = temperatures(knobs)(sign) * (r - 1);
      return 4 * r * sigmoid(x) * sigmoid(-x);
    };
  },
  cap(knobs) {
    const cap = knobs.epsilon_high ?? knobs.epsilon ?? 0.2;
    return (r) => Math.min(r, cap);
  },
  phi(knobs) {
    const up = [knobs.vespo_k_pos ?? 2, knobs.vespo_lambda_pos ?? 3];
    const down = [knobs.vespo_k_neg ?? 3, knobs.vespo_lambda_neg ?? 2];
    return (r, sign) => phi(r, ...(sign >= 0 ? up : down));
  },
  plain: () => () => 1,
  none: () => () => NaN,
};
