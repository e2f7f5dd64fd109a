// The few formulas that need no record: the clip band, KL estimators and their slopes, quantiles, averages.
// Everything else (advantages, weights, budgets, which token was clipped) comes from the server.

/** @typedef {{low: number, high: number, delta: number}} Bounds   1 − ε, 1 + ε and the two-sided cap */

/**
 * The clip band of a set of knobs, in units of the ratio.
 * @param {{epsilon?: number, epsilon_high?: number|null, delta?: number|null}} knobs
 * @returns {Bounds}
 */
export function bounds(knobs) {
  const low = knobs.epsilon ?? 0.2;
  return { low: 1 - low, high: 1 + (knobs.epsilon_high ?? low), delta: knobs.delta ?? Infinity };
}

/** Decimals in which a ratio is told from the band's ends. @param {{epsilon?: number}} knobs  @returns {number} */
export const ratioDigits = (knobs) => ((knobs.epsilon ?? 0.2) < 0.02 ? 3 : 2);

/** k1, k2, k3 estimate KL(π‖π_ref) from one sample.
 * @param {number} logp  @param {number} ref  @returns {{k1: number, k2: number, k3: number}} */
export function klEstimates(logp, ref) {
  const back = ref - logp;
  return { k1: -back, k2: (back * back) / 2, k3: Math.expm1(back) - back };
}

/**
 * Slope of an estimator on log π, which β times the weight makes a pull.
 * @param {string} estimator
 * @param {number} logp
 * @param {number} ref
 * @returns {number}
 */
export const klSlope = (estimator, logp, ref) =>
  estimator === 'k1' ? 1 : estimator === 'k2' ? logp - ref : -Math.expm1(ref - logp);

/** @param {number} x  @param {number} low  @param {number} high  @returns {number} */
export function clamp(x, low, high) {
  return Math.min(high, Math.max(low, x));
}

/**
 * Least and greatest of the finite values of some lists, and of those given first. By a loop: as arguments of
 * Math.max the tokens of a large group overflow the stack.
 * @param {Iterable<ArrayLike<number>>} lists  @param {number} [low]  @param {number} [high]
 * @returns {[number, number]}
 */
export function span(lists, low = Infinity, high = -Infinity) {
  let [least, greatest] = [low, high];
  for (const list of lists)
    for (let i = 0; i < list.length; i += 1) {
      const value = list[i];
      if (!Number.isFinite(value)) continue;
      if (value < least) least = value;
      if (value > greatest) greatest = value;
    }
  return [least, greatest];
}

/**
 * Quantile of the finite values (nearest rank); NaN when there are none.
 * @param {ArrayLike<number>} values  @param {number} p  @returns {number}
 */
export function quantile(values, p) {
  const sorted = Float64Array.from(values).filter(Number.isFinite).sort();
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))] : NaN;
}

/**
 * Exponential moving average that carries over gaps (null stays null).
 * @param {(number|null)[]} values  @param {number} alpha  weight of the newest value
 * @param {number[]} [widths]  how many steps each value is the mean of; it weighs as much as they would
 * @returns {(number|null)[]}
 */
export function ema(values, alpha, widths = []) {
  let last = null;
  return values.map((v, i) => {
    if (v == null || !Number.isFinite(v)) return null;
    last = last == null ? v : last + (1 - (1 - alpha) ** (widths[i] ?? 1)) * (v - last);
    return last;
  });
}
