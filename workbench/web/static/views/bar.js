// The top bar: tabs, what is being trained, its state, language, theme, help.
import { chooseLanguage, showView, toggleTheme } from '../actions.js';
import { h, setAttr, setText } from '../dom.js';
import { count, duration } from '../format.js';
import { t } from '../i18n.js';
import { brand, icon } from '../icons.js';
import { newestStep } from '../select.js';
import { state, watch } from '../store.js';
import { tip } from '../tooltip.js';
import { toggleHelp } from './help.js';
import { isListOpen, nameRun, runsButton } from './runsmenu.js';

const TABS = ['live', 'curves', 'setup'];

/** @param {HTMLElement} root */
export function mountBar(root) {
  const name = h('span');
  const tabs = TABS.map((view) =>
    h('button', { class: 'tab', type: 'button', role: 'tab', on: { click: () => showView(view) } }),
  );
  const subject = tip(runsButton(), () => (isListOpen() ? null : aboutRun()));
  const word = h('span');
  const badge = tip(h('span', { class: 'badge', role: 'status' }, h('i'), word), () => ({
    title: word.textContent,
    text: t(`badge.${badgeState()}.help`),
    rows: pace(),
  }));
  const languages = ['zh', 'en'].map((lang) =>
    h('button', { type: 'button', text: lang === 'zh' ? '中' : 'EN', lang, on: { click: () => chooseLanguage(lang) } }),
  );
  const theme = tip(h('button', { class: 'tool', type: 'button', on: { click: toggleTheme } }, icon('moon')), () => ({
    title: t('bar.theme'),
  }));
  const help = tip(h('button', { class: 'tool', type: 'button', on: { click: toggleHelp } }, icon('help')), () => ({
    title: t('bar.help'),
  }));
  root.append(
    h(
      'header',
      { class: 'topbar' },
      h('span', { class: 'brand' }, brand(), name),
      h('nav', { class: 'tabs', role: 'tablist' }, ...tabs),
      h('span', { class: 'spring' }),
      subject,
      badge,
      h('div', { class: 'tools' }, h('div', { class: 'languages', role: 'group' }, ...languages), theme, help),
    ),
  );

  watch(['lang', 'view', 'theme', 'status', 'source', 'connection', 'title', 'device', 'rows'], () => {
    setText(name, t('bar.brand'));
    tabs.forEach((tab, i) => {
      setText(tab, t(`tab.${TABS[i]}`));
      setAttr(tab, 'aria-selected', state.view === TABS[i]);
    });
    languages.forEach((b) => setAttr(b, 'aria-pressed', b.lang === state.lang));
    nameRun([state.title, state.device].filter(Boolean).join(', '));
    setAttr(badge, 'data-state', badgeState());
    setText(word, t(`badge.${badgeState()}`));
    setAttr(theme, 'aria-label', t('bar.theme'));
    setAttr(help, 'aria-label', t('bar.help'));
  });
}

function badgeState() {
  if (state.connection === 'lost') return 'lost';
  if (state.source !== 'live') return state.source;
  if (state.status === 'stopped' && newestStep() >= state.numSteps) return 'finished';
  return state.status;
}

function pace() {
  const rows = [
    [t('about.step_time'), state.stepTime && duration(state.stepTime)],
    [t('about.speed'), state.tokensPerSecond && count(state.tokensPerSecond)],
    [t('about.eta'), state.eta && duration(state.eta)],
  ];
  return state.source === 'live' ? rows.filter(([, v]) => v) : [];
}

function aboutRun() {
  const rows = [
    [t('about.task'), state.title],
    [t('about.model'), state.model],
    [t('about.device'), state.device],
    [t('about.seed'), state.seed],
    [t('about.folder'), state.folder],
  ];
  return { text: t('runs.hint'), rows: rows.filter(([, v]) => v != null && v !== '').map(([k, v]) => [k, String(v)]) };
}
