// The run row: what to do with the run, where in it we look, and its knobs.
import { ask, backToLive, togglePlayback } from '../actions.js';
import { h, setAttr, setText } from '../dom.js';
import { count, duration } from '../format.js';
import { pick, t, translated } from '../i18n.js';
import { icon } from '../icons.js';
import { runBug, runMethod } from '../knobwords.js';
import { allSteps, following, newestStep, viewedStep } from '../select.js';
import { state, watch } from '../store.js';
import { tip } from '../tooltip.js';
import { mountKnobs } from './knobs.js';
import { mountScrubber } from './scrubber.js';

const BUTTONS = {
  train: { icon: 'play', act: () => ask('start') },
  pause: { icon: 'pause', act: () => ask('pause') },
  resume: { icon: 'play', act: () => ask('resume') },
  again: { icon: 'restart', act: () => ask('restart') },
  step: { icon: 'step', act: () => ask('step') },
  stop: { icon: 'stop', act: () => ask('stop') },
  restart: { icon: 'restart', act: () => ask('restart'), bare: true },
  tape: { icon: 'tape', act: () => ask('tape') },
  play: { icon: 'play', act: togglePlayback },
  halt: { icon: 'pause', act: togglePlayback },
};

// The first is the filled one; there is one on a screen.
const OFFERED = {
  tape: ['train', 'play'],
  opened: ['again', 'play', 'tape'],
  replay: ['again', 'play', 'train'],
  idle: ['train', 'tape'],
  loading: ['pause', 'stop'],
  running: ['pause', 'step', 'stop', 'restart'],
  paused: ['resume', 'step', 'stop', 'restart'],
  stopped: ['again', 'tape'],
  failed: ['again', 'tape'],
};

/** The buttons that make sense now, the filled one first. @returns {string[]} */
export function offered() {
  if (state.source === 'live') return OFFERED[state.status] ?? OFFERED.idle;
  const names = OFFERED[state.opened ? 'opened' : state.source];
  return state.playing ? names.map((name) => (name === 'play' ? 'halt' : name)) : names;
}

/** Do what a button does, if it is offered. @param {string[]} names */
export function press(...names) {
  const name = names.find((n) => offered().includes(n));
  if (name) BUTTONS[name].act();
}

/** @param {HTMLElement} root */
export function mountRunRow(root) {
  const buttons = h('div', { class: 'run', role: 'group', tabindex: -1 });
  const where = tip(h('span', { class: 'where' }), () => ({ title: t('run.where'), text: t('run.where.help') }));
  const back = h('button', { class: 'quiet back', type: 'button', on: { click: backToLive } });
  const what = h('div', { class: 'what' });
  const rail = h('div', { class: 'rail' });
  const phase = h('div', { class: 'phase', role: 'status' });
  const chips = h('div', { class: 'knobs', role: 'group' });
  rail.append(phase);
  root.append(h('div', { class: 'runrow' }, buttons, h('div', { class: 'scrub' }, what, where, back, rail), chips));
  mountScrubber(rail);
  mountKnobs(chips);

  let drawn = '';
  watch(['source', 'opened', 'status', 'playing', 'lang'], () => {
    const key = `${offered()}/${state.lang}`;
    if (key === drawn) return;
    drawn = key;
    const focused = buttons.contains(document.activeElement) ? document.activeElement.dataset.do : null;
    buttons.replaceChildren(...offered().map((name, i) => runButton(name, i === 0)));
    if (focused != null) refocus(buttons, focused);
  });
  watch(['method', 'bug', 'spec', 'lang'], () => what.replaceChildren(...methodLabel(), ...bugBadge()));
  watch(['rows', 'step', 'numSteps', 'lang', 'source', 'status'], () => {
    where.replaceChildren(h('b', { text: count(viewedStep()) }), ` ${t('run.of', { n: count(allSteps()) })}`);
    setText(back, t('run.back'));
    back.hidden = state.source !== 'live' || following() || viewedStep() === newestStep();
  });
  watch(['phase', 'status', 'source', 'lang', 'view', 'eta', 'stepTime', 'connection', 'refused', 'gone'], () => {
    const text = phaseText();
    setText(phase, text);
    setAttr(phase, 'data-warn', state.refused || state.gone ? '' : null);
  });
}

const OPPOSITE = { pause: 'resume', resume: 'pause', play: 'halt', halt: 'play' };

// The key that pressed a button must not press another one the next time: what is gone leaves the focus to the group.
function refocus(buttons, name) {
  const again = [name, OPPOSITE[name]].map((wanted) => buttons.querySelector(`[data-do="${wanted}"]`));
  (again.find(Boolean) ?? buttons).focus();
}

function runButton(name, main) {
  const { icon: drawing, act, bare } = BUTTONS[name];
  const title = t(`run.${name}`);
  // The second click of a double click asks for nothing new; steps are taken one a click.
  const click = (event) => (name === 'step' || event.detail < 2) && act();
  const button = h(
    'button',
    { class: main ? 'filled' : 'quiet', type: 'button', 'data-do': name, 'aria-label': title, on: { click } },
    icon(drawing),
    bare ? null : title,
  );
  return tip(button, () => ({ title, text: t(`run.${name}.help`) }));
}

// GRPO is what the page is about: only another method is named.
function methodLabel() {
  const method = runMethod();
  if (!method || method.name === 'grpo') return [];
  const label = h('b', { class: 'method', tabindex: 0, text: pick(method.title) });
  return [
    tip(label, () => ({
      title: pick(method.title),
      text: ['source', 'reward', 'coefficient'].flatMap((part) => term(t(`method.${part}`), pick(method[part]))),
    })),
  ];
}

// A run that is broken on purpose says so for as long as it is shown.
function bugBadge() {
  if (!state.bug) return [];
  const bug = runBug();
  const title = bug ? pick(bug.title) : state.bug;
  const badge = h('span', { class: 'bug', tabindex: 0 }, h('i'), t('bug.badge', { title }));
  return [
    tip(badge, () => ({
      title: t('bug.title'),
      text: [...term(title, pick(bug?.mistake)), ...term(t('bug.symptom'), pick(bug?.symptom))],
    })),
  ];
}

const term = (name, text) => [h('b', { text: name }), `\n${text}\n`];

function phaseText() {
  if (state.connection === 'lost') return t('phase.lost');
  if (state.refused) return translated(state.refused);
  if (state.gone) return t('phase.gone', { folder: state.gone });
  if (state.source !== 'live') return '';
  if (state.status === 'failed') return t(state.view === 'live' ? 'phase.failed' : 'phase.failed.elsewhere');
  const { phase } = state;
  // What the badge says already is not said twice.
  if (state.status !== 'running' && state.status !== 'loading') return '';
  const doing = phase
    ? t(`phase.${phase.stage}`, { done: phase.done, total: phase.total })
    : t(`phase.${state.status}`);
  return state.eta == null ? doing : `${doing} · ${t('phase.left', { time: duration(state.eta) })}`;
}
