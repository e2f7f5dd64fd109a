// How a completion's advantage is made from its reward, in numbers.
import { amount, exponent, fixed } from './format.js';
import { baselineOf } from './meaning.js';

const DIGITS = [2, 3, 4, 5];

/**
 * A completion's advantage in numbers; null where the formula is not one line. The numbers have as many digits as it
 * takes that they make the advantage shown.
 * @param {object} record  @param {object} c  one of its completions  @returns {string|null}
 */
export function advantageFormula(record, c) {
  const { knobs, method } = record;
  const own = (method ?? 'grpo') === 'grpo' && (knobs.advantage_estimator ?? 'grpo') === 'grpo';
  if (!own || c.advantages || knobs.supervision === 'process' || knobs.kl_in === 'reward') return null;
  if (c.advantage == null || c.reward == null) return null;
  const tries = DIGITS.map((digits) => formulaIn(record, c, digits));
  const isRight = ({ value }) => amount(value) === amount(c.advantage);
  return tries[0] && (tries.find(isRight) ?? tries[0]).text;
}

// The formula, and what the numbers in it make; null where one of them is not known here.
function formulaIn({ knobs, bug, mean, std, completions = [] }, c, digits) {
  const write = (x) => written(x, digits);
  const isBatch = baselineOf({ knobs, bug }) === 'batch';
  const from = isBatch ? 'mean(batch)' : mean < 0 ? `(${write(mean)})` : write(mean);
  const centred = `${write(c.reward)} − ${from}`;
  const above = isBatch ? null : read(write(c.reward)) - read(write(mean));
  if (knobs.scale_rewards === 'none') return { text: `A = ${centred}`, value: above };
  if (isBatch) return { text: `A = (${centred}) / std(batch)`, value: null };
  if (knobs.scale_rewards === 'batch')
    return { text: `A = (${centred}) / ${batchDivisor(knobs, c, mean)}`, value: null };
  const divisor = groupDivisor({ knobs, completions, std }, c.reward - mean, write);
  return divisor && { text: `A = (${centred}) / ${divisor.text}`, value: above && above / divisor.value };
}

// What two decimals say exactly stays so.
function written(x, digits) {
  const text = amount(x);
  if (Math.abs(read(text) - x) <= 1e-6 * Math.abs(x)) return text;
  return text.includes('e') ? exponent(x, digits - 1) : fixed(x, digits);
}

const read = (text) => Number(text.replaceAll('−', '-'));
const epsOf = ({ std_eps: eps = 1e-4 }) => eps;

// The stabiliser is written where the advantage would read otherwise without it.
const withEps = (std, eps, isSeen) => (isSeen ? `(${std} + ${eps < 0.005 ? exponent(eps) : amount(eps)})` : std);

// The group's std as the page shows it divides by N − 1; where the run divides by N, N is that of the scored ones.
function groupDivisor({ knobs, completions, std }, above, write) {
  const eps = epsOf(knobs);
  const n = completions.filter((other) => other.reward != null).length;
  const byN = knobs.std_ddof === 0 && n > 1;
  const root = byN ? Math.sqrt((n - 1) / n) : 1;
  const divisor = std * root;
  if (std == null || (eps === 0 && divisor <= 1e-8)) return null; // nothing is divided, A is 0
  const text = byN ? `${write(std)} · √(${n - 1}/${n})` : write(std);
  const isSeen = amount(above / divisor) !== amount(above / (divisor + eps));
  const value = read(write(std)) * root + (isSeen ? eps : 0);
  return { text: isSeen || !byN ? withEps(text, eps, isSeen) : `(${text})`, value };
}

// The batch's std is not known here, but its advantage tells what it was divided by.
function batchDivisor(knobs, c, mean) {
  const [above, eps] = [c.reward - mean, epsOf(knobs)];
  const std = above / c.advantage - eps;
  return withEps('std(batch)', eps, c.advantage !== 0 && amount(above / std) !== amount(c.advantage));
}
