// The pinned token: a sentence, the objective with its numbers, log-probs and KL, what else could have been said.
import { unpin } from '../actions.js';
import { h } from '../dom.js';
import { compact, fixed, known, share } from '../format.js';
import { rich, t } from '../i18n.js';
import { bounds, clamp, derive, klEstimates } from '../math.js';
import { pinnedToken, selectedCompletion, selectedRow, updateIndex, updatesOf } from '../select.js';
import { state } from '../store.js';
import { chipColour } from '../theme.js';
import { fate, visible } from '../tips.js';
import { tip } from '../tooltip.js';

/** The four columns of the card. @returns {HTMLElement[]} */
export function tokenCard() {
  const { record } = state;
  const k = updateIndex(updatesOf(record));
  const derived = derive(record, k);
  const token = pinnedToken();
  const completion = selectedCompletion();
  const arrays = derived.tokens[selectedRow()];
  const facts = {
    record,
    derived,
    completion,
    arrays,
    token,
    advantage: completion.advantage,
    ratio: Math.exp(arrays.log[token]),
    now: completion.logps[k]?.[token],
    old: completion.old?.[token],
    ref: completion.ref?.[token],
    sequence: record.knobs.importance_sampling_level === 'sequence',
  };
  return [h('div', { class: 'card' }, sentence(facts), formula(facts), logps(facts), alternatives(facts))];
}

function sentence({ completion, arrays, token, ratio, old, now, derived, advantage }) {
  const text = visible(completion.tokens[token]);
  const chip = h('span', {
    class: 'mono token-name',
    text,
    style: { 'background-color': chipColour('ratio', arrays.log[token], derived.range.ratio) },
  });
  const words = known(ratio)
    ? rich('card.likely', {
        token: h('b', { class: 'mono', text }),
        r: fixed(ratio),
        old: share(Math.exp(old)),
        now: share(Math.exp(now)),
      })
    : rich('card.unknown', {});
  const close = h(
    'button',
    { class: 'unpin', type: 'button', on: { click: unpin } },
    t('card.unpin'),
    ' ',
    h('kbd', { text: 'Esc' }),
  );
  return h(
    'div',
    { class: 'card-words' },
    h('div', { class: 'head' }, h('h2', { class: 'h2' }, `${t('card.token', { i: token + 1 })} `, chip), close),
    h('p', { class: 'para' }, ...words, ' ', ...rich(`${fate(arrays, token, advantage)}.why`, {})),
  );
}

// Three decimals, so that the products are those of the numbers shown.
const exact = (x) => fixed(x, 3);
const paren = (x) => (x < 0 ? `(${exact(x)})` : exact(x));

function formula(f) {
  const head = h('div', { class: 'head' }, h('h2', { class: 'h2', text: t('card.numbers') }));
  if (!known(f.ratio) || f.advantage == null)
    return h('div', {}, head, h('p', { class: 'para', text: t('card.no_numbers') }));
  const band = bounds(f.record.knobs);
  const clipped = clamp(f.ratio, band.low, band.high);
  const ratio = Math.min(f.ratio, f.record.knobs.delta ?? Infinity);
  const [free, held] = [ratio * f.advantage, clipped * f.advantage];
  const power = f.sequence ? t('card.sequence') : `${exact(f.now)} + ${exact(-f.old)}`.replace('+ −', '− ');
  const dead = f.arrays.dead[f.token] === 1;
  const chosen = Math.abs(free - held) < 1e-12 ? 'card.same' : free < held ? 'card.chose_free' : 'card.chose_held';
  const rows = [
    ['ratio', ['r = e', h('sup', { class: 'sup', text: power }), ' = ', em(exact(f.ratio))]],
    ['free', [`r · A = ${exact(ratio)} × ${paren(f.advantage)} = `, em(exact(free))]],
    ['held', [`clip(r) · A = ${exact(clipped)} × ${paren(f.advantage)} = `, em(exact(held))]],
    [
      'min',
      [
        `min(${exact(free)}, ${exact(held)}) = `,
        em(exact(Math.min(free, held))),
        h('span', { class: 'faint', text: ` ${t(chosen)}` }),
      ],
    ],
    [
      'gradient',
      dead
        ? [em('0'), h('span', { class: 'faint', text: ` ${t('card.ignores')}` })]
        : ['r · A = ', em(exact(free)), h('span', { class: 'faint', text: `  × w ${compact(f.completion.weight)}` })],
    ],
  ];
  const cells = rows.flatMap(([name, parts]) => [
    tip(h('dt', { text: t(`card.${name}`) }), () => ({ title: t(`card.${name}`), text: t(`card.${name}.help`) })),
    h('dd', {}, ...parts),
  ]);
  return h('div', {}, head, h('dl', { class: 'formula' }, ...cells));
}

const em = (text) => h('b', { text });
const pi = (sub) => [t('card.log_pi'), sub ? h('sub', { class: 'sub', text: sub }) : ''];

function logps({ now, old, ref, completion, token, record }) {
  const k = known(now) && known(ref) ? klEstimates(now, ref) : { k1: null, k2: null, k3: null };
  const used = record.knobs.kl_estimator ?? 'k3';
  const rows = [
    ['now', pi(''), fixed(now, 3)],
    ['old', pi('old'), fixed(old, 3)],
    ['ref', pi('ref'), known(ref) ? fixed(ref, 3) : t('token.no_ref')],
    ...['k1', 'k2', 'k3'].map((name) => [
      name,
      [name],
      name === 'k1' && k.k1 != null && Math.abs(k.k1) >= 5e-4 ? fixed(k.k1, 3) : compact(k[name]),
    ]),
  ];
  const cells = rows.flatMap(([name, label, value]) => [
    tip(h('dt', {}, ...label), () => ({ title: t(`card.${name}`), text: t(`card.${name}.help`) })),
    h('dd', { class: name.startsWith('k') && name === used ? 'kl-used' : '', text: value }),
  ]);
  const entropy = completion.entropy?.[token];
  return h(
    'div',
    {},
    tip(
      h(
        'div',
        { class: 'head' },
        h('span', { class: 'note' }, 'H ', h('b', { text: fixed(entropy) }), ` ${t('card.nats')}`),
      ),
      () => ({ title: t('measure.entropy'), text: t('measure.entropy.help') }),
    ),
    h('dl', { class: 'logps' }, ...cells),
  );
}

function alternatives({ completion, token }) {
  const top = (completion.top?.[token] ?? []).slice(0, 5);
  const rows = top.flatMap(([text, p]) => {
    const me = text === completion.tokens[token];
    return [
      h('span', { class: `mono option${text.length > 1 ? ' long' : ''}${me ? ' me' : ''}`, text: visible(text) }),
      h('span', { class: 'gauge' }, h('i', { class: me ? 'me' : '', style: { width: `${Math.min(1, p) * 100}%` } })),
      h('span', { class: 'number', text: share(p) }),
    ];
  });
  const head = tip(
    h(
      'div',
      { class: 'head' },
      h('span', { class: 'note' }, t('card.options'), ' π', h('sub', { class: 'sub', text: 'old' })),
    ),
    () => ({ title: t('card.options.title'), text: t('card.options.help') }),
  );
  return h(
    'div',
    { class: 'options' },
    head,
    rows.length ? h('div', { class: 'option-rows' }, ...rows) : h('p', { class: 'para', text: t('card.no_options') }),
  );
}
