// The few formulas the page evaluates itself: ratio, KL estimators, the clipped objective and colour ranges.
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

/**
 * Per-token objective divided by |A|: every token of one sign lies on one curve.
 * @param {number} ratio
 * @param {number} sign  sign of the advantage
 * @param {Bounds} band
 * @returns {number}
 */
export function objective(ratio, sign, band) {
  const capped = Math.min(ratio, band.delta);
  const clipped = clamp(ratio, band.low, band.high);
  return sign > 0 ? Math.min(capped, clipped) : -Math.max(capped, clipped);
}

/** k1, k2, k3 estimate KL(π‖π_ref) from one sample.
 * @param {number} logp  @param {number} ref  @returns {{k1: number, k2: number, k3: number}} */
export function klEstimates(logp, ref) {
  const back = ref - logp;
  return { k1: -back, k2: (back * back) / 2, k3: Math.expm1(back) - back };
}

/** @param {number} x  @param {number} low  @param {number} high  @returns {number} */
export function clamp(x, low, high) {
  return Math.min(high, Math.max(low, x));
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
 * @returns {(number|null)[]}
 */
export function ema(values, alpha) {
  let last = null;
  return values.map((v) => {
    if (v == null || !Number.isFinite(v)) return null;
    last = last == null ? v : last + alpha * (v - last);
    return last;
  });
}

/** @typedef {{log: Float64Array, dead: Uint8Array, out: Uint8Array, kl: Float64Array|null, entropy: Float64Array}} TokenArrays */

// JSON has no NaN: the server writes null for a value that is not finite.
const numbers = (list) => Float64Array.from(list ?? [], (v) => (v == null ? NaN : v));
const flags = (text, length) => Uint8Array.from({ length }, (_, t) => (text?.[t] === '1' ? 1 : 0));

/**
 * Token arrays of one completion at one inner update.
 * With sequence-level importance sampling every token shares the mean log ratio.
 * @param {object} completion  @param {number} k  index of the inner update  @param {string} [level]
 * @returns {TokenArrays}
 */
export function tokenArrays(completion, k, level = 'token') {
  const n = completion.length;
  const logps = numbers(completion.logps[k] ?? []);
  const old = numbers(completion.old);
  const log = logps.map((v, t) => v - old[t]);
  if (level === 'sequence' && n) log.fill(log.reduce((a, b) => a + b, 0) / n);
  const dead = flags(completion.clipped[k], n);
  // Without an advantage a token outside the band does not learn either.
  const out = flags(completion.outside[k], n).map((v, t) => (v && !dead[t] && completion.advantage ? 1 : 0));
  const ref = completion.ref && numbers(completion.ref);
  const kl = ref && logps.map((v, t) => klEstimates(v, ref[t]).k3);
  return { log, dead, out, kl, entropy: numbers(completion.entropy) };
}

/** @typedef {{tokens: TokenArrays[], range: {ratio: number, advantage: number, kl: number, entropy: number}, dead: number, out: number, total: number, flat: boolean, band: Bounds}} Derived */

const derivedCache = new WeakMap();

/**
 * Everything the views share about a group at inner update k; computed once a record and k.
 * @param {object} record  @param {number} k  @returns {Derived}
 */
export function derive(record, k) {
  const byK = derivedCache.get(record) ?? new Map();
  derivedCache.set(record, byK);
  if (!byK.has(k)) byK.set(k, computeDerived(record, k));
  return byK.get(k);
}

function computeDerived(record, k) {
  const band = bounds(record.knobs);
  const tokens = record.completions.map((c) => tokenArrays(c, k, record.knobs.importance_sampling_level));
  const sum = (key) => tokens.reduce((total, t) => total + t[key].reduce((a, b) => a + b, 0), 0);
  const total = tokens.reduce((a, t) => a + t.log.length, 0);
  const flat = tokens.every((t) => t.log.every((v) => !(Math.abs(v) > 1e-6)));
  return { tokens, band, total, flat, dead: sum('dead'), out: sum('out'), range: ranges(record, tokens, band) };
}

// Ranges are shared by the group, so that colours of two completions can be compared.
function ranges(record, tokens, band) {
  const all = (key, map = (v) => v) => tokens.flatMap((t) => (t[key] ? Array.from(t[key], map) : []));
  const widest = Math.max(...record.completions.map((c) => Math.abs(c.advantage ?? 0)), 0);
  return {
    ratio: Math.max(1.5 * Math.log(band.high), quantile(all('log', Math.abs), 0.99) || 0),
    advantage: Math.max(1.5, Math.ceil(widest * 2) / 2),
    kl: Math.max(0.02, quantile(all('kl'), 0.99) || 0),
    entropy: Math.max(1, quantile(all('entropy'), 0.99) || 0),
  };
}

/**
 * Value of a measure at one token: ln r, A, k3 or H. NaN where it was not measured.
 * @param {string} measure  @param {TokenArrays} arrays  @param {number|null} advantage  @param {number} t
 * @returns {number}
 */
export function measureValue(measure, arrays, advantage, t) {
  if (measure === 'advantage') return advantage ?? NaN;
  if (measure === 'kl') return arrays.kl ? arrays.kl[t] : NaN;
  return measure === 'entropy' ? arrays.entropy[t] : arrays.log[t];
}
