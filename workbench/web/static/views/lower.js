// The slot under the tokens: budget and why-card, or the pinned token, or why the run failed. Its height never changes.
import { h } from '../dom.js';
import { compact, share } from '../format.js';
import { t, translated } from '../i18n.js';
import { baselineOf, hasEntropyBonus } from '../meaning.js';
import { formOf } from '../objectives.js';
import { countSteps, endedBeforeAStep, pinnedToken, updateIndex, updatesOf, viewedRow } from '../select.js';
import { state, watch } from '../store.js';
import { tip } from '../tooltip.js';
import { tokenCard } from './tokencard.js';
import { whyCard } from './why.js';

// What a gradient divides into, by what the loss does: only the clip loses some of it.
const PARTS = { clip: ['up', 'down', 'kl', 'lost'], none: ['up', 'down'] };
const WITHOUT_CLIP = ['up', 'down', 'kl'];

/** @param {HTMLElement} column  @returns {HTMLElement} */
export function mountLower(column) {
  const slot = h('section', { class: 'lower' });
  column.append(slot);
  let drawn = [];
  watch(['record', 'row', 'k', 'pin', 'lang', 'theme', 'status', 'error', 'source', 'rows', 'step'], () => {
    const { record, row, k, pin, lang, theme, status, error, source } = state;
    const shown = [record, row, k, pin, lang, theme, status, error, source, viewedRow()];
    if (shown.every((value, i) => value === drawn[i])) return; // drawn anew it would lose the focus
    drawn = shown;
    slot.replaceChildren(...content());
  });
  return slot;
}

function content() {
  if (state.status === 'failed' && state.source === 'live' && pinnedToken() == null) return [failure(), whatNow()];
  if (!state.record) return state.rows.length || endedBeforeAStep() ? [] : [startCard()];
  return pinnedToken() == null ? [budget(), whyCard()] : tokenCard();
}

// Before the first step: what is about to happen.
function startCard() {
  const g = state.knobs.num_generations ?? 'G';
  return h(
    'div',
    { class: 'why wide' },
    h('div', { class: 'head' }, h('h2', { class: 'h2', text: t('why.start') })),
    h('p', {
      class: 'para',
      text: t(`why.start.${baselineOf(state) === 'batch' ? 'batch' : (state.method ?? 'grpo')}`, { g }),
    }),
  );
}

/**
 * What the budget is the share of: the bonus has no coefficient on the sampled token, so it is not counted.
 * @param {object} record
 * @returns {string} locale key
 */
export const budgetNote = (record) => (hasEntropyBonus(record) ? 'budget.note_bonus' : 'budget.note');

function budget() {
  const shares = state.record.budget?.[updateIndex(updatesOf(state.record))] ?? {};
  const { knobs, method } = state.record;
  // A KL that is exact or in the reward pulls too, but has no share in the coefficients.
  const pulls = knobs.kl_estimator !== 'exact' && knobs.kl_in !== 'reward';
  const names = (PARTS[formOf(knobs, method)] ?? WITHOUT_CLIP).filter((part) => part !== 'kl' || pulls);
  const total = names.reduce((sum, part) => sum + (shares[part] ?? 0), 0);
  const of = (part) => (total > 0 ? (shares[part] ?? 0) / total : 0);
  const bars = names
    .filter((part) => of(part) > 0)
    .map((part) => h('i', { class: `budget-${part}`, style: { 'flex-grow': of(part) } }));
  const items = names.map((part) =>
    tip(
      h(
        'span',
        { class: 'budget-item' },
        h('b', { text: total > 0 ? share(of(part)) : '–' }),
        h('span', {}, h('i', { class: `dot budget-${part}` }), t(`budget.${part}`)),
      ),
      () => ({
        title: t(`budget.${part}`),
        text: t(`budget.${part}.help`),
        rows: [[t('budget.sum'), compact(shares[part])]],
      }),
    ),
  );
  return h(
    'div',
    { class: 'budget' },
    h(
      'div',
      { class: 'head' },
      h('h2', { class: 'h2', text: t('budget.title') }),
      h('span', { class: 'note quiet-note', text: t(total > 0 ? budgetNote(state.record) : 'budget.none') }),
    ),
    h(
      'div',
      {
        class: 'budget-bar',
        role: 'img',
        'aria-label': names.map((p) => `${t(`budget.${p}`)} ${share(of(p))}`).join(', '),
      },
      ...bars,
    ),
    h('div', { class: 'budget-items' }, ...items),
  );
}

function failure() {
  const { error } = state;
  return h(
    'div',
    { class: 'failure', role: 'alert' },
    h(
      'div',
      { class: 'head' },
      h('h2', { class: 'h2', text: t('failed.title', { n: state.phase?.step ?? countSteps() + 1 }) }),
    ),
    message(translated(error?.message) ?? t('failed.unknown')),
    error?.detail && !error.is_setting
      ? tip(h('pre', { class: 'trace', tabindex: 0, text: lastLines(error.detail, 4) }), () => ({
          title: translated(error.message),
          text: error.detail.slice(-900),
        }))
      : null,
  );
}

// A long message scrolls, and is whole in the hover.
function message(text) {
  const node = h('p', { class: 'para strong', tabindex: 0, text });
  return tip(node, () => node.scrollHeight > node.clientHeight && { text });
}

// The cause is at the end of a traceback, and of several at the end of the first; all of it is one hover away.
const lastLines = (text, n) =>
  text
    .split('\n\nThe above exception was')[0]
    .trim()
    .split('\n')
    .map((part) => part.trim())
    .filter((part) => !/^[~^]+$/.test(part))
    .slice(-n)
    .join('\n');

function whatNow() {
  const detail = state.error?.detail;
  const copy =
    detail &&
    h('button', {
      class: 'quiet bordered',
      type: 'button',
      text: t('failed.copy'),
      on: { click: () => navigator.clipboard?.writeText(detail) },
    });
  return h(
    'div',
    { class: 'why' },
    h('div', { class: 'head' }, h('h2', { class: 'h2', text: t('failed.next') })),
    h('p', {
      class: 'para',
      text: countSteps() ? t('failed.kept', { n: countSteps() }) : t('failed.setup'),
    }),
    h('div', { class: 'buttons' }, copy),
  );
}
