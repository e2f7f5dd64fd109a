// What the views share about a group at one inner update: each token's numbers, the ranges of the colours, the counts.
import { bounds, clamp, klEstimates, quantile, span } from './math.js';
import { isKlCorrected, klName } from './meaning.js';
import { formOf, pictureOf, sharesRatio } from './objectives.js';
import { niceStep } from './scale.js';

/**
 * One completion's tokens at one inner update. `kl` is null without a reference, `coefficient` and `value` where they
 * were not recorded. `dead`: the clip made the gradient zero; `out`: outside the band (for cispo above the cap) but
 * learning; `masked`: left out of the surrogate.
 * @typedef {{log: Float64Array, advantage: Float64Array, dead: Uint8Array, out: Uint8Array, masked: Uint8Array,
 *   kl: Float64Array|null, entropy: Float64Array, coefficient: Float64Array|null,
 *   value: Float64Array|null}} TokenArrays
 */

// JSON has no NaN: the server writes null for a value that is not finite.
const numbers = (list) => Float64Array.from(list ?? [], (v) => (v == null ? NaN : v));
const flags = (text, length) => Uint8Array.from({ length }, (_, t) => (text?.[t] === '1' ? 1 : 0));
const FLAT = 1e-6; // of a log-ratio: rounding
const LONGEST = 20; // nats; what VESPO holds a log-ratio within
const SHORTEST = Math.log(1e-8);

/**
 * With sequence-level importance sampling in the loss every token shares the mean log-ratio.
 * @param {object} completion  @param {number} k  index of the inner update  @param {object} [knobs]
 * @param {string} [method]
 * @returns {TokenArrays}
 */
export function tokenArrays(completion, k, knobs = {}, method = 'grpo') {
  const n = completion.length;
  const log = logRatios(completion, k);
  if (sharesRatio(knobs, formOf(knobs, method)) && n) log.fill(log.reduce((a, b) => a + b, 0) / n);
  const advantage = completion.advantages
    ? numbers(completion.advantages)
    : new Float64Array(n).fill(completion.advantage ?? NaN);
  const dead = flags(completion.clipped[k], n);
  const kept = completion.kept ? flags(completion.kept[k], n) : new Uint8Array(n).fill(1);
  const masked = kept.map((v) => (v && !completion.masked ? 0 : 1));
  // Without an advantage, or left out, a token outside the band does not learn either.
  const out = flags(completion.outside[k], n).map((v, t) => (v && !dead[t] && !masked[t] && advantage[t] ? 1 : 0));
  return {
    log,
    advantage,
    dead,
    out,
    masked,
    kl: klOf(completion, k, log, knobs, method),
    entropy: numbers(completion.entropy),
    coefficient: completion.coefficients ? numbers(completion.coefficients[k]) : null,
    value: completion.values ? numbers(completion.values) : null,
  };
}

function logRatios(completion, k) {
  const old = numbers(completion.old);
  return numbers(completion.logps[k] ?? []).map((v, t) => v - old[t]);
}

// As the loss has it, so that the tokens' mean is the step's number: times the ratio where the run corrects it.
function klOf(completion, k, log, knobs, method) {
  const name = klName({ knobs, method, completions: [completion] });
  if (name === 'exact') return completion.exact_kl ? numbers(completion.exact_kl[k]) : null;
  if (!completion.ref) return null;
  const ref = numbers(completion.ref);
  const weight = isKlCorrected({ knobs, method }) ? log.map(Math.exp) : null;
  return numbers(completion.logps[k]).map((v, t) => klEstimates(v, ref[t])[name] * (weight ? weight[t] : 1));
}

/**
 * The log-ratio of a whole completion, as VESPO takes it: the sum, not the mean.
 * @param {object} completion  @param {number} k  @returns {number}
 */
export function sequenceLogRatio(completion, k) {
  const total = logRatios(completion, k).reduce((sum, v) => sum + clamp(v, -LONGEST, LONGEST), 0);
  return clamp(total, SHORTEST, LONGEST);
}

/**
 * @typedef {{tokens: TokenArrays[], picture: import('./objectives.js').Picture, band: import('./math.js').Bounds,
 *   kl: string, range: Object<string, number>, dead: number, out: number, masked: number, total: number,
 *   flat: boolean}} Derived
 */

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
  const picture = pictureOf(record.knobs, record.method);
  const tokens = record.completions.map((c) => tokenArrays(c, k, record.knobs, record.method));
  const sum = (key) => tokens.reduce((total, t) => total + t[key].reduce((a, b) => a + b, 0), 0);
  return {
    tokens,
    picture,
    band: bounds(record.knobs),
    kl: klName(record),
    range: ranges(record, tokens, picture),
    dead: sum('dead'),
    out: sum('out'),
    masked: sum('masked'),
    total: tokens.reduce((a, t) => a + t.log.length, 0),
    flat: tokens.every((t) => t.log.every((v) => !(Math.abs(v) > FLAT))),
  };
}

// Ranges are shared by the group, so that colours of two completions can be compared.
function ranges(record, tokens, picture) {
  const all = (key, map = (v) => v) => tokens.flatMap((t) => (t[key] ? Array.from(t[key], map) : []));
  const widest = (key) => span([all(key, Math.abs)], 0, 0)[1];
  const most = (key) => quantile(all(key, Math.abs), 0.99) || widest(key);
  const { high } = picture.form === 'clip' ? bounds(record.knobs) : { high: 1.2 };
  const pushes = Math.max(widest('advantage'), ...record.completions.map((c) => Math.abs(c.advantage ?? 0)));
  return {
    ratio: Math.max(1.5 * Math.log(high), most('log')),
    advantage: pushes > 0 && pushes < 0.5 ? niceStep(pushes) : Math.max(1.5, Math.ceil(pushes * 2) / 2),
    kl: Math.max(0.02, most('kl')),
    entropy: Math.max(1, most('entropy')),
    coefficient: most('coefficient') || 1,
    push: Math.max(1e-9, ...tokens.map((t) => Math.abs((t.coefficient ?? []).reduce((a, b) => a + b, 0)))),
    value: Math.max(1e-3, widest('value')),
  };
}

/**
 * Value of a measure at one token: ln r, A, KL, H, the gradient coefficient or the critic's value. NaN where it was
 * not measured.
 * @param {string} measure  @param {TokenArrays} arrays  @param {number} t  @returns {number}
 */
export function measureValue(measure, arrays, t) {
  const list = measure === 'ratio' ? arrays.log : arrays[measure];
  return list ? list[t] : NaN;
}

/** The colourings that this record has something for. @param {object|null} record  @returns {string[]} */
export function measuresOf(record) {
  const hasAdvantages = !record || formOf(record.knobs, record.method) !== 'none';
  const hasValues = !!record?.completions.some((c) => c.values);
  const measures = ['ratio', hasAdvantages && 'advantage', 'kl', 'entropy', 'coefficient', hasValues && 'value'];
  return measures.filter(Boolean);
}

/**
 * What pushes a completion as a whole: its advantage, or for a method without any the sum of its tokens' coefficients.
 * @param {Derived} derived  @param {object} completion  @param {number} row  @returns {number|null}
 */
export function pushOf({ picture, tokens }, completion, row) {
  if (picture.form !== 'none') return completion.advantage;
  return (tokens[row].coefficient ?? []).reduce((sum, c) => sum + c, 0);
}

/**
 * Does this group teach nothing? Equal rewards alone do not say so: steps, a critic or a KL may tell completions apart.
 * @param {object} record
 * @returns {boolean}
 */
export const isDead = (record) => record.dead && record.completions.every((c) => !c.advantage && !c.advantages);

// ---- process supervision

/** Do these completions have steps with rewards? @param {object|null} record  @returns {boolean} */
export const hasSteps = (record) =>
  record?.knobs.supervision === 'process' || !!record?.completions.some((c) => c.steps?.length);

/**
 * The step that a token belongs to.
 * @param {object} completion  @param {number} token
 * @returns {{index: number, first: number, step: {end: number, reward: number, normalised: number,
 *   reason: string}}|null}
 */
export function stepAt(completion, token) {
  const steps = completion.steps ?? [];
  const index = steps.findIndex((s) => token < s.end);
  return index < 0 ? null : { index, first: index ? steps[index - 1].end : 0, step: steps[index] };
}

/**
 * Normalised rewards of the steps that end at or after a token: they add up to its advantage.
 * @param {object} completion
 * @param {number} token
 * @returns {number[]}
 */
export const laterRewards = (completion, token) =>
  (completion.steps ?? []).filter((s) => s.end > token).map((s) => s.normalised);
