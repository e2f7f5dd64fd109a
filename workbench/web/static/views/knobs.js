// The knob chips: applied, pending, just applied. A chip opens the popover that turns it.
import { h, setAttr, setChildren } from '../dom.js';
import { pick, t } from '../i18n.js';
import { icon } from '../icons.js';
import { knobSpec, knobText, symbol, unusedWhy } from '../knobwords.js';
import { following, marks, recorded, viewedStep } from '../select.js';
import { state, watch } from '../store.js';
import { tip } from '../tooltip.js';
import { openKnobs } from './knobpopover.js';

// One chip may hold two knobs; the last chip, whose knobs are not listed here, holds all the others.
const CHIPS = [
  ['beta'],
  ['epsilon', 'epsilon_high'],
  ['num_generations'],
  ['num_iterations'],
  ['learning_rate'],
  ['temperature'],
  [],
];
const OWN = new Set(CHIPS.flat());
const JUST = 1200;
let seenEvents = null;
const fresh = new Set();

/** @param {HTMLElement} root */
export function mountKnobs(root) {
  const chips = CHIPS.map((names) => {
    const chip = h('button', {
      class: 'knob',
      type: 'button',
      'aria-haspopup': 'dialog',
      'data-knob': names[0] ?? 'others',
      on: { click: () => openKnobs(chip, present(names)) },
    });
    tip(chip, () => (names.length ? chipTip(present(names)) : othersTip(present(names))));
    return chip;
  });
  root.append(...chips);
  const draw = () => {
    // Several pending changes leave no room for when: the hover and the popover say it.
    setAttr(root, 'data-tight', Object.keys(state.pending).length > 1 && window.innerWidth < 1500 ? '' : null);
    chips.forEach((chip, i) => drawChip(chip, CHIPS[i]));
  };
  watch(['knobs', 'pending', 'spec', 'lang', 'source', 'applied', 'record', 'step', 'method'], draw);
  watch(['events', 'run'], () => {
    noteApplied(draw);
    draw();
  });
}

function present(names) {
  const known = (state.spec?.knobs ?? []).map((spec) => spec.name).filter((name) => name in state.knobs);
  return known.filter((name) => (names.length ? names.includes(name) : !OWN.has(name)));
}

// Chips show what the step on the screen used: the newest, or one of before. They turn what the run uses now.
const shownKnobs = () => ((recorded() || !following()) && state.record?.knobs) || state.knobs;
const isPast = (name) => !recorded() && name in shownKnobs() && shownKnobs()[name] !== state.knobs[name];
const nowRow = (name) => [`${symbol(name)} ${t('knob.now')}`, knobText(name, state.knobs[name])];
const nowRows = (names) => names.filter(isPast).map(nowRow);

// Only a change that arrived while the page was open is "just applied".
function noteApplied(draw) {
  const known = seenEvents?.run === state.run ? seenEvents.count : null;
  seenEvents = { run: state.run, count: state.events.length };
  if (known == null) return;
  for (const event of state.events.slice(known)) {
    fresh.add(event.knob);
    setTimeout(() => fresh.delete(event.knob) && draw(), JUST);
  }
}

// Of many knobs, those that somebody has chosen.
function othersTip(names) {
  const knobs = shownKnobs();
  const chosen = names.filter((n) => knobs[n] !== knobSpec(n).default);
  return {
    title: t('knob.more'),
    text: chosen.length ? '' : t('knob.all_default'),
    rows: [...chosen.map((n) => [pick(knobSpec(n).label), knobText(n, knobs[n])]), ...nowRows(names)],
  };
}

function chipTip(names) {
  const spec = knobSpec(shownFirst(names));
  const waiting = names
    .filter((n) => n in state.pending)
    .map((n) => [
      t('knob.at_step', { n: state.pending[n].step }),
      `${knobText(n, state.pending[n].old)} → ${knobText(n, state.pending[n].new)}`,
    ]);
  const text = unusedWhy(shownFirst(names), shownKnobs()) ?? pick(spec?.help);
  return spec ? { title: `${spec.symbol} ${pick(spec.label)}`, text, rows: [...nowRows(names), ...waiting] } : null;
}

function drawChip(chip, all) {
  const names = present(all);
  chip.hidden = !names.length;
  if (!names.length) return;
  const pending = names.filter((name) => name in state.pending);
  const values = all.length ? chipValue : othersValue;
  const parts = pending.length ? pendingParts(names, pending) : appliedParts(names, values);
  setAttr(chip, 'aria-label', `${titleOf(all, names)}: ${spoken(parts, names)}`);
  setChildren(chip, parts);
  setAttr(chip, 'data-past', !pending.length && names.some(isPast) ? '' : null);
  setAttr(chip, 'data-unused', all.length && unusedWhy(shownFirst(names), shownKnobs()) ? '' : null);
  setAttr(chip, 'data-state', pending.length ? 'pending' : names.some((n) => fresh.has(n)) ? 'applied' : null);
}

const titleOf = (all, names) => (all.length ? names.map((n) => pick(knobSpec(n).label)).join(', ') : t('knob.more'));

// What the chip shows, for those who hear it: "β 0.30, change 1, now 0.10".
function spoken(parts, names) {
  const isMark = (node) => node.classList.contains('marked');
  const words = parts.filter((node) => !isMark(node) && !node.classList.contains('dots'));
  const change = parts.filter(isMark).map((node) => t('curves.knob', { n: node.textContent }));
  const now = nowRows(names).map((row) => row.join(' '));
  return [words.map((node) => node.textContent || '→').join(' '), ...change, ...now].join(', ');
}

const sym = (text) => h('span', { class: 'symbol', text });
const value = (text) => h('span', { class: 'value', text });

function pendingParts(names, pending) {
  const [name] = pending;
  const change = state.pending[name];
  const more = pending.length > 1 ? ` +${pending.length - 1}` : '';
  return [
    sym(symbol(name)),
    h('span', { class: 'old', text: knobText(name, change.old) }),
    icon('arrow'),
    value(knobText(name, change.new) + more),
    h('span', { class: 'when', text: t('knob.at_step', { n: change.step }) }),
  ];
}

function appliedParts(names, values) {
  const last = marks().findLast((mark) => following() || mark.step <= viewedStep());
  const mark = last?.events.some((e) => names.includes(e.knob)) ? h('i', { class: 'marked', text: last.number }) : null;
  return [...values(names), mark].filter(Boolean);
}

// The knob of a chip that the run uses: cispo takes ε high alone. The first of them where it uses none.
function shownFirst(names) {
  return names.find((name) => !unusedWhy(name, shownKnobs())) ?? names[0];
}

function chipValue(names) {
  const knobs = shownKnobs();
  const of = (name) => knobText(name, knobs[name]);
  if (shownFirst(names) === 'epsilon') {
    const high = knobs.epsilon_high;
    const both = high != null && high !== knobs.epsilon;
    return [sym('ε'), value(both ? `${of('epsilon')} / ${of('epsilon_high')}` : of('epsilon'))];
  }
  return [sym(symbol(shownFirst(names))), value(of(shownFirst(names)))];
}

// Of the others the chip names the two that say which algorithm this is: the advantage and the loss.
function othersValue() {
  const knobs = shownKnobs();
  const advantage =
    knobs.supervision === 'process'
      ? 'supervision'
      : knobs.advantage_estimator === 'grpo'
        ? 'scale_rewards'
        : 'advantage_estimator';
  const shown = [advantage, 'loss_type'].filter((name) => name in knobs && unusedWhy(name, knobs) == null);
  return [
    ...shown.flatMap((name) => [
      sym(symbol(name === 'loss_type' ? name : 'advantage_estimator')),
      value(knobText(name, knobs[name])),
    ]),
    h('span', { class: 'dots', text: '⋯' }),
  ];
}
