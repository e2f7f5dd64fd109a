// Words for hovers: what a metric or a token's numbers mean.
import { compact, fixed, known, share, signed } from './format.js';
import { pick, t } from './i18n.js';
import { klEstimates } from './math.js';
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

/** What the clip does to a token. @param {import('./math.js').TokenArrays} arrays  @param {number} token  @param {number|null} advantage  @returns {string} locale key */
export function fate(arrays, token, advantage) {
  if (!known(arrays.log[token])) return 'fate.unknown';
  if (!advantage) return 'fate.none';
  const way = advantage > 0 ? 'up' : 'down';
  if (arrays.dead[token]) return `fate.dead_${way}`;
  return arrays.out[token] ? `fate.out_${way}` : `fate.in_${way}`;
}

/**
 * A token's numbers in words.
 * @param {object} completion  @param {import('./math.js').TokenArrays} arrays  @param {number} token  @param {number} k
 * @returns {import('./tooltip.js').Tip}
 */
export function tokenTip(completion, arrays, token, k) {
  const logp = completion.logps[k]?.[token];
  const old = completion.old?.[token];
  const ratio = Math.exp(arrays.log[token]);
  const ref = completion.ref?.[token];
  const words = known(ratio)
    ? t(ratio >= 1 ? 'token.more' : 'token.less', {
        r: fixed(ratio),
        old: share(Math.exp(old)),
        now: share(Math.exp(logp)),
      })
    : t('token.unknown');
  return {
    title: t('token.title', { i: token + 1, text: visible(completion.tokens[token]) }),
    text: `${words} ${t(fate(arrays, token, completion.advantage))}`,
    rows: [
      [t('measure.ratio'), `r ${fixed(ratio, 3)}`],
      [t('measure.advantage'), `A ${signed(completion.advantage)}`],
      [t('measure.kl'), known(ref) && known(logp) ? `k3 ${compact(klEstimates(logp, ref).k3)}` : t('token.no_ref')],
      [t('measure.entropy'), `H ${fixed(arrays.entropy[token], 3)}`],
    ],
  };
}
