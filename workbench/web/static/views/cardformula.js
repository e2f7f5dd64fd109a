// The pinned token's objective and gradient with its numbers, in the form that the loss has.
import { sequenceLogRatio } from '../derived.js';
import { h } from '../dom.js';
import { amount, fixed, known, signedAmount, small } from '../format.js';
import { t } from '../i18n.js';
import { gainOf, gradientParts } from '../gradientparts.js';
import { bounds, clamp } from '../math.js';
import { isRatioShared } from '../meaning.js';
import { sigmoid } from '../objectives.js';
import { precise } from '../tips.js';
import { tip } from '../tooltip.js';
import { sumText } from './steptrack.js';

/**
 * @typedef {{record: object, row: number, token: number, k: number, derived: import('../derived.js').Derived,
 *   completion: object, arrays: import('../derived.js').TokenArrays, advantage: number, ratio: number, now: number,
 *   old: number, ref: number|undefined}} Facts
 */

// Factors have digits enough that the products are those of the numbers shown; exponents are sums and need no more.
const nats = (x) => fixed(x, 3);
const paren = (x) => (x < 0 ? `(${precise(x)})` : precise(x));
const em = (text) => h('b', { text });
const quiet = (text) => h('span', { class: 'faint', text: ` ${text}` });
const power = (text) => h('sup', { class: 'sup', text });

/** @param {Facts} f  @returns {HTMLElement} */
export function formula(f) {
  const head = h('div', { class: 'head' }, h('h2', { class: 'h2', text: t('card.numbers') }));
  const { form } = f.derived.picture;
  if (!known(f.ratio) || (form !== 'none' && !known(f.advantage)))
    return h('div', {}, head, h('p', { class: 'para', text: t('card.no_numbers') }));
  const rows = [...advantageRows(f), ...ROWS[form](f), gradientRow(f)];
  // A narrow card has no room for the words, so the numbers too say what they are.
  const cells = rows.flatMap(([name, parts, help = `card.${name}.help`, numbers = []]) =>
    [h('dt', { text: t(`card.${name}`) }), h('dd', {}, ...parts)].map((node) =>
      tip(node, () => ({ title: t(`card.${name}`), text: t(help), rows: numbers })),
    ),
  );
  return h('div', {}, head, h('dl', { class: `formula${rows.length > 5 ? ' tight' : ''}` }, ...cells));
}

// Where tokens have advantages of their own, where this one's comes from.
function advantageRows({ completion, token, arrays }) {
  if (completion.steps?.length) return [['advantage', [`A = ${sumText(completion, token)}`]]];
  if (!arrays.value) return [];
  return [['critic', ['A = ', em(signedAmount(arrays.advantage[token])), `, V = ${amount(arrays.value[token])}`]]];
}

function ratioRow(f) {
  const terms = `${nats(f.now)} + ${nats(-f.old)}`.replace('+ −', '− ');
  const shared = isRatioShared(f.record);
  const parts = ['r = e', power(shared ? t('card.sequence') : terms), ' = ', em(precise(f.ratio))];
  return ['ratio', parts, shared ? 'card.ratio.help_sequence' : undefined];
}

const ROWS = {
  clip(f) {
    const band = bounds(f.record.knobs);
    const ratio = Math.min(f.ratio, band.delta);
    const capped = f.ratio > band.delta ? 'min(r, δ)' : 'r';
    const held = clamp(f.ratio, band.low, band.high);
    const [free, cut] = [ratio * f.advantage, held * f.advantage];
    const help = f.ratio > band.delta ? 'card.free.help_delta' : undefined;
    return [
      ratioRow(f),
      ['free', [`${capped} · A = ${precise(ratio)} × ${paren(f.advantage)} = `, em(precise(free))], help],
      ['held', [`clip(r) · A = ${precise(held)} × ${paren(f.advantage)} = `, em(precise(cut))]],
      ['min', [`min(${precise(free)}, ${precise(cut)}) = `, em(precise(Math.min(free, cut)))]],
    ];
  },
  gate(f) {
    const { knobs } = f.record;
    const temperature = f.advantage > 0 ? knobs.sapo_temperature_pos : knobs.sapo_temperature_neg;
    const gate = sigmoid(temperature * (f.ratio - 1));
    return [
      ratioRow(f),
      ['gate', [`σ(τ(r − 1)) = σ(${fixed(temperature)} × ${paren(f.ratio - 1)}) = `, em(precise(gate))]],
      [
        'soft',
        [
          `4/τ · σ · A = ${precise((4 / temperature) * gate)} × ${paren(f.advantage)} = `,
          em(precise(f.derived.picture.value(f.ratio, Math.sign(f.advantage)) * Math.abs(f.advantage))),
        ],
      ],
      ['slope', ['g = r · 4σ(1 − σ) = ', em(precise(gainOf(f.record, f.row, f.token, f.k)))]],
    ];
  },
  cap(f) {
    const { cap } = f.derived.picture;
    const note = f.ratio > cap ? [quiet(t('card.capped'))] : [];
    return [
      ratioRow(f),
      ['weight', [`g = min(r, ${fixed(cap, 1)}) = `, em(precise(Math.min(f.ratio, cap))), ...note], 'card.cap.help'],
    ];
  },
  phi(f) {
    const { knobs } = f.record;
    const good = f.advantage >= 0;
    const [k, lambda] = good
      ? [knobs.vespo_k_pos, knobs.vespo_lambda_pos]
      : [knobs.vespo_k_neg, knobs.vespo_lambda_neg];
    const log = sequenceLogRatio(f.completion, f.k);
    const weight = gainOf(f.record, f.row, f.token, f.k);
    return [
      ratioRow(f),
      ['whole', ['s = Π r = e', power(nats(log)), ' = ', em(precise(Math.exp(log)))]],
      [
        'weight',
        ['g = s', power(fixed(k, 1)), ' · e', power(`${fixed(lambda, 1)}(1 − s)`), ' = ', em(precise(weight))],
        'card.phi.help',
      ],
    ];
  },
  plain: (f) => [ratioRow(f), ['weight', ['g = ', em('1')], 'card.plain.help']],
  none: (f) => [['likelihood', ['π = e', power(nats(f.now)), ' = ', em(precise(Math.exp(f.now)))]]],
};

// ---- the gradient coefficient, and what it is made of where that is known

function gradientRow(f) {
  const { arrays, token, completion, derived } = f;
  const whole = arrays.coefficient?.[token];
  const parts = gradientParts(f.record, f.row, token, f.k);
  const numbers = [
    [t('card.weight_w'), small(completion.weight)],
    ...(parts
      ? [
          [t('card.push'), small(parts.push)],
          [t('card.pull'), small(parts.pull)],
        ]
      : []),
    [t('measure.coefficient'), small(whole)],
  ];
  const row = (...dd) => ['gradient', dd, 'card.gradient.help', numbers];
  if (!parts) return row('c = ', em(small(whole)), quiet(t('card.autograd')));
  const product = derived.picture.form === 'clip' ? 'w · r · A' : 'w · g · A';
  const dead = arrays.dead[token] ? quiet(t('card.ignores')) : arrays.masked[token] ? quiet(t('card.left_out')) : null;
  if (Math.abs(parts.pull) <= 0.005 * Math.abs(whole))
    return row(dead ? 'c = ' : `c = ${product} = `, em(small(whole)), dead ?? '');
  if (!parts.push) return row(`c = ${t('card.pull')} = `, em(small(whole)));
  // Each of the two in one piece, on one line or on two.
  const [made, sum] = [`${t('card.push')} ${small(parts.push)}, KL ${small(parts.pull)}:`, ['c = ', em(small(whole))]];
  return row(h('span', { text: made }), ' ', h('span', {}, ...sum));
}
