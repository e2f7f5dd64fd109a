// The right column: the clipped objective of this group, then the run over its steps.
import { chooseUpdate } from '../actions.js';
import { derive, isDead } from '../derived.js';
import { h, resize, setAttr, setText, walkByArrows } from '../dom.js';
import { has, rich, t } from '../i18n.js';
import { isLearned, rewardLines } from '../rewards.js';
import { newestStep, updateIndex, updatesOf, viewedStep } from '../select.js';
import { state, watch } from '../store.js';
import { tip } from '../tooltip.js';
import { mountClipPlot } from './clipplot.js';
import { mountCurves } from './curves.js';
import { mountSparks } from './sparks.js';

/** @param {HTMLElement} root */
export function mountRight(root) {
  const title = h('h2', { class: 'h2' });
  const counts = h('span', { class: 'note counts' });
  const word = h('span');
  const picks = h('span', { class: 'picks', role: 'radiogroup' });
  const inner = tip(h('span', { class: 'inner' }, word, picks), () => ({
    title: t('clip.inner'),
    text: t('clip.inner.help'),
  }));
  walkByArrows(picks);
  const plot = h('div', { class: 'plot clip' });
  const reward = h('h2', { class: 'h2' });
  const note = h('span', { class: 'note quiet-note' });
  const curves = h('div', { class: 'plot curves' });
  const sparks = h('div', { class: 'sparks' });
  root.append(
    h(
      'div',
      { class: 'column right' },
      h(
        'div',
        { class: 'head' },
        tip(title, () => pictureTip(formShown())),
        counts,
        h('span', { class: 'spring' }),
        inner,
      ),
      plot,
      h('div', { class: 'head rule' }, reward, note),
      curves,
      sparks,
    ),
  );
  mountClipPlot(plot);
  mountCurves(curves);
  mountSparks(sparks);

  watch(['record', 'k', 'lang'], () => {
    const form = formShown();
    const term = has(`picture.${form}.term`) ? t(`picture.${form}.term`) : '';
    title.replaceChildren(t(`picture.${form}`), term && h('span', { class: 'term', text: ` ${term}` }));
    setText(word, t('clip.inner'));
    setAttr(picks, 'aria-label', t('clip.inner'));
    const { record } = state;
    inner.hidden = !record;
    counts.replaceChildren();
    if (!record) return;
    const mu = updatesOf(record);
    const { dead, out } = derive(record, updateIndex(mu));
    counts.replaceChildren(...(isDead(record) ? [] : countWords(record, updateIndex(mu))));
    drawPicks(picks, mu);
    // Large counts need the room; the hover still says what the numbers choose.
    word.hidden = `${dead}${out}`.length > 4 || mu > 5;
  });
  watch(['rows', 'step', 'lang'], () => {
    setText(reward, t(isLearned() ? 'curves.reward_learned' : 'curves.reward'));
    const behind = viewedStep() !== newestStep();
    const what = rewardLines().own ? t('curves.own') : t('curves.note');
    setText(note, behind ? t('curves.note_at', { what, n: viewedStep() }) : what);
  });
}

const FORMULAS = {
  clip: 'min(r·A, clip(r, 1−ε, 1+ε)·A)',
  gate: '4/τ · σ(τ(r − 1)) · A',
  cap: 'min(r, ε_high) · A · log π',
  phi: 'φ(s) · A · log π,  φ(s) = s^k · e^(λ(1 − s))',
  plain: 'A · log π',
  none: 'c = −∂loss / ∂log π',
};

const formShown = () =>
  state.record ? derive(state.record, updateIndex(updatesOf(state.record))).picture.form : 'clip';

const pictureTip = (form) => ({
  title: t(`picture.${form}`),
  text: t(`picture.${form}.help`),
  formula: FORMULAS[form],
});

// What the clip or the cap did, or in one sentence what is drawn where there is neither.
function countWords(record, k) {
  const { dead, out, picture, tokens } = derive(record, k);
  if (picture.form === 'clip' && picture.byCompletion) {
    const cut = tokens.filter((t) => t.dead.some(Boolean)).length;
    return rich('clip.counts_rows', { dead: cut, n: tokens.length });
  }
  if (picture.form === 'clip') return rich('clip.counts', { dead, out });
  return picture.form === 'cap' ? rich('clip.counts_cap', { out }) : [t(`picture.${picture.form}.note`)];
}

// Up to eight inner updates are buttons; more of them are a select box.
function drawPicks(picks, mu) {
  const chosen = updateIndex(mu);
  const make = (i) => h('button', { type: 'button', role: 'radio', text: i + 1, on: { click: () => chooseUpdate(i) } });
  if (mu <= 8) return resize(picks, mu, make).forEach((b, i) => setAttr(b, 'aria-checked', i === chosen));
  const select = h(
    'select',
    { 'aria-label': t('clip.inner'), on: { change: (e) => chooseUpdate(Number(e.target.value)) } },
    ...Array.from({ length: mu }, (_, i) => h('option', { value: i, text: i + 1 })),
  );
  select.value = chosen;
  return picks.replaceChildren(select);
}
