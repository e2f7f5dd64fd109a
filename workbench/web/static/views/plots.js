// The Curves tab: Plotly figures built by the server, drawn when the tab is first shown.
import { goToStep, showView } from '../actions.js';
import { h, setStyle, setText } from '../dom.js';
import { t } from '../i18n.js';
import { knobLine } from '../knobwords.js';
import { countSteps, emptyKey, marks } from '../select.js';
import { state, watch } from '../store.js';
import { mountTiming } from './timing.js';

const PERIOD = 1000;
const CONFIG = { displaylogo: false, responsive: true };
// Three panels side by side are too narrow for their titles and the labels at their lines' ends.
const NARROW = window.matchMedia('(max-width: 1279px)');
let library = null;

/** @param {HTMLElement} root */
export function mountPlots(root) {
  const says = h('p', { class: 'empty-says' });
  const curves = h('div', { class: 'figure' });
  const memory = h('div', { class: 'memory' });
  const timing = h('div');
  root.append(h('div', { class: 'plots' }, says, curves, timing, memory));
  mountTiming(timing);
  const view = { says, curves, memory, drawn: '', held: '', busy: false, timer: 0, next: 0 };
  watch(['view', 'rows', 'run', 'lang', 'theme', 'events', 'status'], () => refresh(view));
  NARROW.addEventListener('change', () => refresh(view));
  for (const plot of [curves, memory])
    new ResizeObserver(() => plot.data && window.Plotly?.Plots.resize(plot)).observe(plot);
}

const columns = () => (NARROW.matches ? 2 : 3);
const wanted = () => [state.run, countSteps(), state.events.length, state.theme, state.lang, columns()].join('/');

function refresh(view) {
  if (state.view !== 'curves' || view.busy || view.drawn === wanted()) return;
  if (!state.rows.length) return clear(view);
  clearTimeout(view.timer);
  const wait = view.next - Date.now();
  if (wait > 0) view.timer = setTimeout(() => refresh(view), wait);
  else draw(view);
}

// The figures of the run before say nothing of one without a step.
function clear(view) {
  for (const plot of [view.curves, view.memory]) if (plot.data) window.Plotly.purge(plot);
  Object.assign(view, { drawn: '', held: '', bound: false });
  view.memory.hidden = true;
  setText(view.says, t(emptyKey('plots.none')));
}

async function draw(view) {
  view.busy = true;
  view.next = Date.now() + PERIOD;
  const key = wanted();
  try {
    if (!library) setText(view.says, t('plots.loading'));
    const [Plotly, curves, memory] = await Promise.all([loadPlotly(), figure('curves'), figure('memory')]);
    await drawMemory(Plotly, view, memory);
    await drawCurves(Plotly, view, JSON.parse(curves));
    setText(view.says, '');
    view.drawn = key;
  } catch (error) {
    setText(view.says, t('plots.failed', { error: error.message }));
  }
  view.busy = false;
  if (view.drawn !== key) view.timer = setTimeout(() => refresh(view), 5 * PERIOD);
  else refresh(view);
}

async function figure(name) {
  const query = new URLSearchParams({ run: state.run, theme: state.theme, lang: state.lang, columns: columns() });
  const reply = await fetch(`/wb/figure/${name}?${query}`);
  if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
  return reply.text();
}

/**
 * The newest knob changes as the chips write them, as many as fit one line.
 * @param {number} [most]  letters  @returns {string} Plotly's markup
 */
export function changesIn(most = 170) {
  const texts = [];
  let letters = 0;
  for (const { number, step, events } of marks().reverse()) {
    const text = `${events.map(knobLine).join(', ')} @ ${step}`;
    letters += text.length;
    if (texts.length && letters > most) return ['…', ...texts].join('&nbsp;&nbsp;&nbsp; ');
    texts.unshift(`<b>${number}</b>&nbsp; ${text}`);
  }
  return texts.join('&nbsp;&nbsp;&nbsp; ');
}

// The page gives the curves what height there is, and more where there are many.
async function drawCurves(Plotly, view, { data, layout }) {
  setStyle(view.curves, '--rows', layout.meta.rows);
  delete layout.height;
  if (layout.title?.text) layout.title.text = changesIn();
  await Plotly.react(view.curves, data, layout, CONFIG);
  if (!view.bound) bindClicks(view);
}

// The memory hardly ever changes; a figure that is drawn again forgets what is hovered over.
async function drawMemory(Plotly, view, text) {
  if (view.held === text) return;
  view.held = text;
  const { data, layout } = JSON.parse(text);
  view.memory.hidden = !data.length;
  setStyle(view.memory, 'height', `${layout.height}px`);
  if (data.length) await Plotly.react(view.memory, data, layout, { ...CONFIG, displayModeBar: false });
}

// Plotly is 1.5 MB: it is fetched once, when somebody looks at this tab.
function loadPlotly() {
  library ??= new Promise((resolve, reject) => {
    const script = h('script', {
      src: '/wb/plotly.js',
      on: { load: () => resolve(window.Plotly), error: fail },
    });
    function fail() {
      library = null; // the next try asks again
      reject(new Error('plotly.js'));
    }
    document.head.append(script);
  });
  return library;
}

function bindClicks(view) {
  view.bound = true;
  view.curves.on('plotly_click', ({ points }) => {
    const step = Number(points[0]?.x);
    if (!Number.isFinite(step)) return;
    goToStep(step);
    showView('live');
  });
}
