// The knob chips: applied, pending, just applied. A chip opens the popover that turns it.
import { h, setAttr } from '../dom.js';
import { pick, t } from '../i18n.js';
import { icon } from '../icons.js';
import { knobSpec, knobText, symbol } from '../knobwords.js';
import { marks, recorded, viewedStep } from '../select.js';
import { state, watch } from '../store.js';
import { tip } from '../tooltip.js';
import { openKnobs } from './popover.js';

// One chip may hold several knobs; the last chip holds what is turned rarely.
const CHIPS = [
  ['beta'],
  ['epsilon', 'epsilon_high'],
  ['num_generations'],
  ['num_iterations'],
  ['learning_rate'],
  ['temperature'],
  ['loss_type', 'scale_rewards', 'importance_sampling_level', 'kl_estimator', 'delta', 'max_completion_length'],
];
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
      'data-knob': names[0],
      on: { click: () => openKnobs(chip, present(names)) },
    });
    tip(chip, () => chipTip(present(names)));
    return chip;
  });
  root.append(...chips);
  const draw = () => {
    // Several pending changes leave no room for when: the hover and the popover say it.
    setAttr(root, 'data-tight', Object.keys(state.pending).length > 1 && window.innerWidth < 1500 ? '' : null);
    chips.forEach((chip, i) => drawChip(chip, CHIPS[i]));
  };
  watch(['knobs', 'pending', 'spec', 'lang', 'source', 'applied', 'record', 'step'], draw);
  watch(['events', 'run'], () => {
    noteApplied(draw);
    draw();
  });
}

const present = (names) => names.filter((name) => name in state.knobs && knobSpec(name));

// A live run's chips are its controls and show what it uses now; a recording's show what the step on the screen used.
const shownKnobs = () => (recorded() && state.record?.knobs) || state.knobs;

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

function chipTip(names) {
  if (names.length > 2)
    return { title: t('knob.more'), rows: names.map((n) => [pick(knobSpec(n).label), knobText(n, shownKnobs()[n])]) };
  const spec = knobSpec(names[0]);
  const waiting = names
    .filter((n) => n in state.pending)
    .map((n) => [
      t('knob.at_step', { n: state.pending[n].step }),
      `${knobText(n, state.pending[n].old)} → ${knobText(n, state.pending[n].new)}`,
    ]);
  return spec ? { title: `${spec.symbol} ${pick(spec.label)}`, text: pick(spec.help), rows: waiting } : null;
}

function drawChip(chip, all) {
  const names = present(all);
  chip.hidden = !names.length;
  if (!names.length) return;
  const pending = names.filter((name) => name in state.pending);
  chip.replaceChildren(...(pending.length ? pendingParts(names, pending) : appliedParts(names)));
  setAttr(chip, 'data-state', pending.length ? 'pending' : names.some((n) => fresh.has(n)) ? 'applied' : null);
  setAttr(chip, 'aria-label', `${names.map((n) => pick(knobSpec(n).label)).join(', ')}: ${chip.textContent}`);
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

function appliedParts(names) {
  const last = marks().findLast((mark) => !recorded() || mark.step <= viewedStep());
  const mark = last?.events.some((e) => names.includes(e.knob)) ? h('i', { class: 'marked', text: last.number }) : null;
  return [...chipValue(names), mark].filter(Boolean);
}

function chipValue(names) {
  const knobs = shownKnobs();
  const of = (name) => knobText(name, knobs[name]);
  if (names[0] === 'epsilon') {
    const high = knobs.epsilon_high;
    const both = high != null && high !== knobs.epsilon;
    return [sym('ε'), value(both ? `${of('epsilon')} / ${of('epsilon_high')}` : of('epsilon'))];
  }
  if (names.length === 1) return [sym(symbol(names[0])), value(of(names[0]))];
  return [
    ['A', 'scale_rewards'],
    ['Σ', 'loss_type'],
  ]
    .filter(([, n]) => names.includes(n))
    .flatMap(([s, n]) => [sym(s), value(of(n))])
    .concat(h('span', { class: 'dots', text: '⋯' }));
}
