// Entry: the page's head calls open; Gradio calls mount once for every island.
import { ask, goToStep, showView } from './actions.js';
import { h } from './dom.js';
import { wantGroup } from './groups.js';
import { loadLocales, matchLanguage, setLanguage } from './i18n.js';
import { drawIslands, placeIsland } from './islands.js';
import { startKeyboard } from './keyboard.js';
import { readAddress, viewIn, writeAddress } from './opening.js';
import { startPolling } from './poll.js';
import { newestStep, viewedStep } from './select.js';
import { flush, set, state, touch, watch } from './store.js';
import { applyTheme } from './theme.js';
import { startTooltips } from './tooltip.js';
import { mountBar } from './views/bar.js';
import { startKnobPopovers } from './views/knobpopover.js';
import { mountLeft } from './views/left.js';
import { mountPlots } from './views/plots.js';
import { startPopovers } from './views/popover.js';
import { mountRibbon } from './views/ribbon.js';
import { mountRight } from './views/right.js';
import { mountRunRow } from './views/runrow.js';

const PLAYBACK = 500;
const ISLANDS = {
  top(root) {
    mountBar(root);
    mountRunRow(root);
    mountRibbon(root);
  },
  left: mountLeft,
  right: mountRight,
  curves: mountPlots,
};
let started = null;

/** Start what the islands share, once. The page's head does, long before Gradio has built the islands. */
export function open() {
  started ??= start();
  return started;
}

/**
 * Put an island into the place that Gradio has made for it.
 * @param {'top'|'left'|'right'|'curves'} name  @param {HTMLElement} element
 * @returns {Promise<void>}
 */
export async function mount(name, element) {
  await open();
  placeIsland(name, element);
}

async function start() {
  document.body.classList.add('wb-page');
  keepOurStyleLast();
  openPreferences();
  watch(['rows', 'step', 'group', 'run'], wantGroup);
  // What is shown is asked for first; the words and letters to show it with come meanwhile.
  loadSpec();
  startPolling();
  await Promise.all([ensureStyle().then(loadFonts), loadLocales()]);
  startTooltips();
  startPopovers();
  startKnobPopovers();
  startKeyboard();
  watch(['lang', 'theme', 'view'], applyPage);
  watch(['lang', 'theme', 'measure', 'step', 'group', 'row', 'k', 'pin', 'run'], keepAddress);
  watch(['view'], keepTab);
  addEventListener('popstate', () => showView(viewIn(location.search)));
  // The set-up form says when it has started a run: detail.view is where to go.
  document.addEventListener('wb:show', (event) => showView(event.detail.view));
  applyPage();
  // Gradio sets theme and language of its own choice when it starts.
  new MutationObserver(() => applyTheme(state.theme)).observe(document.body, { attributeFilter: ['class'] });
  new MutationObserver(nameLanguage).observe(document.documentElement, { attributeFilter: ['lang'] });
  drawIslands(ISLANDS);
  touch('lang');
  touch('rows');
  touch('record');
  flush();
  playback();
  // Glyphs arrive after the first drawing: widths and canvases follow.
  document.fonts.ready.then(() => touch('lang'));
}

// ---- language, theme, tab

const remembered = (key) => {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
};

function openPreferences() {
  const query = new URLSearchParams(location.search);
  const dark = window.matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  const theme = query.get('theme') ?? query.get('__theme') ?? remembered('wb.theme') ?? dark;
  const lang = query.get('lang') ?? remembered('wb.lang') ?? navigator.language;
  set({ theme: theme === 'dark' ? 'dark' : 'light', lang: matchLanguage(lang) });
  readAddress(location.search);
}

// The server sends Gradio's head after ours, into the body. There its style sheets would come after ours, and overrule.
function keepOurStyleLast() {
  const move = () => {
    for (const sheet of document.body.querySelectorAll(':scope > style, :scope > link[rel="stylesheet"]')) {
      if (!sheet.matches('[href*="/wb/static/"]')) document.head.append(sheet);
    }
  };
  const observer = new MutationObserver(move);
  observer.observe(document.body, { childList: true });
  addEventListener('load', () => observer.disconnect(), { once: true });
  move();
}

// The server puts the style sheet into the page; a bare page gets it here.
function ensureStyle() {
  if (document.querySelector('link[href*="/wb/static/style.css"]')) return Promise.resolve();
  return new Promise((resolve) => {
    document.head.append(
      h('link', {
        rel: 'stylesheet',
        href: new URL('./style.css', import.meta.url).href,
        on: { load: resolve, error: resolve },
      }),
    );
  });
}

// Chips are measured before they are laid out: the fonts should be there, but are not worth a long wait.
function loadFonts() {
  const wanted = ['400 13px Inter', '500 15px "JetBrains Mono"'].map((font) => document.fonts.load(font));
  return Promise.race([Promise.allSettled(wanted), new Promise((resolve) => setTimeout(resolve, 1500))]);
}

function nameLanguage() {
  const tag = state.lang === 'zh' ? 'zh-CN' : 'en';
  if (document.documentElement.lang !== tag) document.documentElement.lang = tag;
}

let shownView = null;

function applyPage() {
  setLanguage(state.lang);
  applyTheme(state.theme);
  nameLanguage();
  try {
    localStorage.setItem('wb.lang', state.lang);
    localStorage.setItem('wb.theme', state.theme);
  } catch {
    // Private windows may refuse; the page works without a memory.
  }
  if (shownView === state.view) return;
  shownView = state.view;
  document.body.dataset.view = state.view;
  document.dispatchEvent(new CustomEvent('wb:view', { detail: { view: state.view } }));
}

// ---- shared background work

let addressTimer = 0;

const address = () => location.pathname + writeAddress(location.search) + location.hash;

// Browsers limit how often the address may change; a dragged scrubber would exceed it.
function keepAddress() {
  if (!state.run) return;
  clearTimeout(addressTimer);
  addressTimer = setTimeout(() => history.replaceState(history.state, '', address()), 250);
}

// A tab is a place to come back to: what is looked at in it is not.
function keepTab() {
  if (!state.run || state.view === viewIn(location.search)) return keepAddress();
  clearTimeout(addressTimer);
  history.pushState(history.state, '', address());
}

async function loadSpec(wait = 500) {
  try {
    const reply = await fetch('/wb/spec');
    if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
    set({ spec: await reply.json() });
  } catch {
    setTimeout(() => loadSpec(Math.min(5000, wait * 2)), wait);
  }
}

function playback() {
  setInterval(() => {
    if (!state.playing || document.hidden) return;
    if (viewedStep() >= newestStep()) set({ playing: false });
    else goToStep(viewedStep() + 1);
  }, PLAYBACK);
}

/** For tests and for the set-up form: the state and the way to ask the server. */
export const workbench = { state, ask };
