// The pinned token: a sentence, the objective with its numbers, log-probs and KL, what else could have been said.
import { unpin } from '../actions.js';
import { h } from '../dom.js';
import { compact, fixed, known, share } from '../format.js';
import { rich, t } from '../i18n.js';
import { derive } from '../derived.js';
import { icon } from '../icons.js';
import { klEstimates } from '../math.js';
import { isKlCorrected, isOverReference, klForm, measureHelp, ratioKind, samplerOf } from '../meaning.js';
import { pinnedToken, selectedCompletion, selectedRow, updateIndex, updatesOf } from '../select.js';
import { state } from '../store.js';
import { chipColour } from '../theme.js';
import { fate, ratioText, visible } from '../tips.js';
import { tip } from '../tooltip.js';
import { formula } from './cardformula.js';

/** The four columns of the card. @returns {HTMLElement[]} */
export function tokenCard() {
  const { record } = state;
  const k = updateIndex(updatesOf(record));
  const derived = derive(record, k);
  const token = pinnedToken();
  const completion = selectedCompletion();
  const row = selectedRow();
  const arrays = derived.tokens[row];
  const facts = {
    record,
    row,
    k,
    derived,
    completion,
    arrays,
    token,
    advantage: arrays.advantage[token],
    ratio: Math.exp(arrays.log[token]),
    now: completion.logps[k]?.[token],
    old: completion.old?.[token],
    ref: completion.ref?.[token],
  };
  return [h('div', { class: 'card' }, sentence(facts), formula(facts), logps(facts), alternatives(facts))];
}

function sentence({ record, row, k, completion, arrays, token, ratio, old, now, derived }) {
  const text = visible(completion.tokens[token]);
  const chip = h('span', {
    class: 'mono token-name',
    text,
    style: { 'background-color': chipColour('ratio', arrays.log[token], derived.range.ratio) },
  });
  const words = known(ratio)
    ? rich(`card.likely${ratioKind(record)}`, {
        token: h('b', { class: 'mono', text }),
        r: ratioText(record, ratio),
        old: share(Math.exp(old)),
        now: share(Math.exp(now)),
      })
    : rich('card.unknown', {});
  const [key, values] = fate(record, row, token, k);
  const props = { class: 'unpin', type: 'button', 'aria-label': t('card.unpin'), on: { click: unpin } };
  const close = tip(h('button', props, icon('close')), () => ({ title: t('card.unpin'), text: t('card.unpin.help') }));
  return h(
    'div',
    { class: 'card-words' },
    h('div', { class: 'head' }, h('h2', { class: 'h2' }, `${t('card.token', { i: token + 1 })} `, chip), close),
    h('p', { class: 'para' }, ...words, ' ', ...rich(`${key}.why`, values)),
  );
}

// Whose alternatives stand in the last column: by who sampled the token.
const OPTIONS = { old: 'card.options', ref: 'card.options', none: 'card.options_read' };

const pi = (sub) => [t('card.log_pi'), sub ? h('sub', { class: 'sub', text: sub }) : ''];

function logps({ now, old, ref, arrays, token, record, ratio }) {
  const k = known(now) && known(ref) ? klEstimates(now, ref) : { k1: null, k2: null, k3: null };
  const used = klForm(record);
  const corrected = (name) => name === used && isKlCorrected(record);
  const exact = used === 'exact' && arrays.kl ? [['exact', [t('kl.exact')], compact(arrays.kl[token])]] : [];
  const rows = [
    ['now', pi(''), fixed(now, 3)],
    ['old', pi('old'), fixed(old, 3)],
    ['ref', pi('ref'), known(ref) ? fixed(ref, 3) : t('token.no_ref')],
    ...exact,
    ...['k1', 'k2', 'k3'].map((name) => {
      const value = k[name] != null && corrected(name) ? ratio * k[name] : k[name];
      const isPlain = name === 'k1' && value != null && Math.abs(value) >= 5e-4 && Math.abs(value) < 1e4;
      return [name, [corrected(name) ? `r · ${name}` : name], isPlain ? fixed(value, 3) : compact(value)];
    }),
  ];
  const help = (name) =>
    corrected(name)
      ? 'card.corrected.help'
      : name === 'old'
        ? `card.old.help${isOverReference(record) ? '_ref' : samplerOf(record) === 'old' ? '' : '_read'}`
        : `card.${name}.help`;
  const cells = rows.flatMap(([name, label, value]) => [
    tip(h('dt', {}, ...label), () => ({ title: t(`card.${name}`), text: t(help(name)) })),
    h('dd', { class: name === used ? 'kl-used' : '', text: value }),
  ]);
  const head = tip(
    h(
      'div',
      { class: 'head' },
      h('span', { class: 'note' }, 'H ', h('b', { text: fixed(arrays.entropy[token]) }), ` ${t('card.nats')}`),
    ),
    () => ({ title: t('measure.entropy'), text: t(measureHelp(record, 'entropy')) }),
  );
  return h('div', {}, head, h('dl', { class: `logps${exact.length ? ' tight' : ''}` }, ...cells));
}

function alternatives({ completion, token, record }) {
  const sampler = samplerOf(record);
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
      h(
        'span',
        { class: 'note' },
        t(OPTIONS[sampler]),
        ' π',
        h('sub', { class: 'sub', text: sampler === 'ref' ? 'ref' : 'old' }),
      ),
    ),
    () => ({ title: t(`${OPTIONS[sampler]}.title`), text: t(`card.options.help_${sampler}`) }),
  );
  return h(
    'div',
    { class: 'options' },
    head,
    rows.length ? h('div', { class: 'option-rows' }, ...rows) : h('p', { class: 'para', text: t('card.no_options') }),
  );
}
