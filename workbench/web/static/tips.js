// Words for hovers: what a metric or a token's numbers mean.
import { derive } from './derived.js';
import { amount, compact, exponent, fixed, known, share, signedAmount, small } from './format.js';
import { gainOf } from './gradientparts.js';
import { pick, t } from './i18n.js';
import { isRatioShared, moversOf, ratioKind } from './meaning.js';
import { state } from './store.js';

/**
 * What a metric is: its value, the meaning in words and the formula, as the server describes it.
 * @param {string} name  TRL's metric name
 * @param {string} title  @param {string|null} [value]
 * @returns {import('./tooltip.js').Tip}
 */
export function metricTip(name, title, value = null) {
  const about = state.spec?.metrics[name] ?? state.spec?.metrics[name.replace(/^rewards\/[^/]+\//, 'rewards/*/')];
  return { title: value == null ? title : `${title} ${value}`, text: pick(about?.meaning), formula: about?.formula };
}

/**
 * A factor or a product: three decimals, more digits where they would say little of it.
 * @param {number|null|undefined} x
 * @returns {string}
 */
export function precise(x) {
  const size = Math.abs(x);
  if (!known(x) || x === 0) return fixed(x, 3);
  if (size < 1e-3 || size >= 1e4) return exponent(x, 3);
  return fixed(x, size < 0.01 ? 5 : size < 0.1 ? 4 : 3);
}

/** A ratio in a sentence: a completion's is within a narrow band. @param {object} record  @param {number} ratio */
export const ratioText = (record, ratio) => (isRatioShared(record) ? precise(ratio) : amount(ratio));

/** A token as text: control characters made visible. @param {string} text  @returns {string} */
export function visible(text) {
  if (text === '') return '∅';
  return text
    .replace(/\n/g, '⏎')
    .replace(/\t/g, '⇥')
    .replace(/\r/g, '␍')
    .replace(/^ | $/g, '·')
    .replace(/\u200b/g, '');
}

// Why a mask took a token out of the surrogate: [locale key, its numbers].
function whyMasked({ knobs, method, bug }, completion, arrays, token, k) {
  if (bug === 'eos_not_in_mask' && !completion.truncated && token === completion.length - 1) return ['fate.masked_end'];
  if (completion.masked) {
    if (completion.truncated && knobs.mask_truncated_completions) return ['fate.masked_cut'];
    return method === 'dpo' ? ['fate.masked_unpaired'] : ['fate.masked_rejected'];
  }
  const limit = knobs.off_policy_mask_threshold;
  const drift = -mean(completion.logps[k].map((v, i) => v - completion.old[i]));
  if (limit != null && arrays.advantage[token] < 0 && drift > limit)
    return ['fate.masked_policy', { drift: compact(drift), limit: compact(limit) }];
  return knobs.top_entropy_quantile < 1
    ? ['fate.masked_entropy', { share: share(knobs.top_entropy_quantile), h: fixed(arrays.entropy[token]) }]
    : ['fate.masked_rejected'];
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);

/**
 * What the loss does to a token.
 * @param {object} record  @param {number} row  @param {number} token  @param {number} k
 * @returns {[string, object]} locale key, and what fills it; the card's longer words are under the key + ".why"
 */
export function fate(record, row, token, k) {
  const [key, numbers] = fateKey(record, row, token, k);
  const movers = moversOf(record, key !== 'fate.masked_entropy');
  return [key, { ...numbers, movers: t(`fate.movers.${movers}`) }];
}

function fateKey(record, row, token, k) {
  const { tokens, picture, band } = derive(record, k);
  const [arrays, completion] = [tokens[row], record.completions[row]];
  if (!known(arrays.log[token])) return ['fate.unknown'];
  if (arrays.masked[token]) return whyMasked(record, completion, arrays, token, k);
  if (picture.form === 'none') return [`fate.push_${wayOf(arrays.coefficient?.[token])}`];
  if (record.bug === 'logps_without_gradient') return ['fate.constant'];
  const way = wayOf(arrays.advantage[token]);
  if (way === 'none') return ['fate.none'];
  if (record.bug === 'ratio_inverted') return [`fate.inverted_${arrays.dead[token] ? 'dead' : way}`];
  if (picture.form !== 'clip')
    return [`fate.${arrays.out[token] ? 'capped' : 'weight'}_${way}`, { g: amount(gainOf(record, row, token, k)) }];
  if (arrays.dead[token] && isHeldByDelta(Math.exp(arrays.log[token]), way, band)) return ['fate.dead_delta'];
  return [`fate.${arrays.dead[token] ? 'dead' : arrays.out[token] ? 'out' : 'in'}_${way}`];
}

// Where min(r, δ) is what makes the objective flat. Without δ, A < 0 has no end above; for A > 0 δ caps only where it
// is the tighter one.
const isHeldByDelta = (ratio, way, { high, delta }) => ratio > delta && (way === 'up' ? delta < high : ratio > high);

const wayOf = (value) => (value > 0 ? 'up' : value < 0 ? 'down' : 'none');

/**
 * A token's numbers in words.
 * @param {object} record  @param {number} row  @param {number} token  @param {number} k
 * @returns {import('./tooltip.js').Tip}
 */
export function tokenTip(record, row, token, k) {
  const derived = derive(record, k);
  const [arrays, completion] = [derived.tokens[row], record.completions[row]];
  const ratio = Math.exp(arrays.log[token]);
  const words = known(ratio)
    ? t(`token.likely${ratioKind(record)}`, {
        r: ratioText(record, ratio),
        old: share(Math.exp(completion.old?.[token])),
        now: share(Math.exp(completion.logps[k]?.[token])),
      })
    : t('token.unknown');
  const kl = arrays.kl?.[token];
  const rows = [
    [t('measure.ratio'), `r ${precise(ratio)}`],
    derived.picture.form !== 'none' && [t('measure.advantage'), `A ${signedAmount(arrays.advantage[token])}`],
    [t('measure.kl'), known(kl) ? `${t(`kl.${derived.kl}`)} ${compact(kl)}` : t('token.no_ref')],
    [t('measure.entropy'), `H ${fixed(arrays.entropy[token], 3)}`],
    arrays.coefficient && [t('measure.coefficient'), `c ${small(arrays.coefficient[token])}`],
    arrays.value && [t('measure.value'), `V ${amount(arrays.value[token])}`],
  ];
  return {
    title: t('token.title', { i: token + 1, text: visible(completion.tokens[token]) }),
    text: `${words} ${t(...fate(record, row, token, k))}`,
    rows: rows.filter(Boolean),
  };
}
