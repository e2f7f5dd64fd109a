// What a token's gradient coefficient is made of: the push of the surrogate and the pull of the KL.
import { derive, sequenceLogRatio } from './derived.js';
import { klEstimates, klSlope } from './math.js';

/**
 * The weight g of a token's gradient: its surrogate pushes with w·g·A.
 * @param {object} record  @param {number} row  @param {number} token  @param {number} k  @returns {number}
 */
export function gainOf(record, row, token, k) {
  const { tokens, picture } = derive(record, k);
  const log = picture.form === 'phi' ? sequenceLogRatio(record.completions[row], k) : tokens[row].log[token];
  return picture.gain(Math.exp(log), Math.sign(tokens[row].advantage[token]));
}

/**
 * Push and pull; null where they do not add up to the coefficient: a mistake built in on purpose, or another loss.
 * @param {object} record  @param {number} row  @param {number} token  @param {number} k
 * @returns {{push: number, pull: number}|null}
 */
export function gradientParts(record, row, token, k) {
  const { tokens, picture } = derive(record, k);
  const [arrays, completion] = [tokens[row], record.completions[row]];
  if (picture.form === 'none' || !arrays.coefficient) return null;
  const learns = !arrays.masked[token] && !arrays.dead[token];
  const push = learns ? completion.weight * gainOf(record, row, token, k) * arrays.advantage[token] : 0;
  const pull = completion.masked ? 0 : klPull(record, row, token, k);
  const whole = arrays.coefficient[token];
  const isWhole = Math.abs(push + pull - whole) <= 2e-3 * (Math.abs(push) + Math.abs(pull)) + 1e-9;
  return isWhole ? { push, pull } : null;
}

// An exact KL pulls the whole distribution at once and has no share in the coefficient of the sampled token.
function klPull({ knobs, completions }, row, token, k) {
  const { weight, logps, old, ref } = completions[row];
  if (!knobs.beta || knobs.kl_in === 'reward' || knobs.kl_estimator === 'exact' || !ref) return 0;
  const now = logps[k][token];
  const slope = klSlope(knobs.kl_estimator, now, ref[token]);
  const estimate = klEstimates(now, ref[token])[knobs.kl_estimator];
  const ratio = Math.exp(now - old[token]);
  return -knobs.beta * weight * (knobs.use_bias_correction_kl ? ratio * (slope + estimate) : slope);
}
