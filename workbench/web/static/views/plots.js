// The Curves tab: Plotly figures built by the server, drawn when the tab is first shown.
import { goToStep, showView } from '../actions.js';
import { h, setText } from '../dom.js';
import { t } from '../i18n.js';
import { state, watch } from '../store.js';

const PERIOD = 1000;
let library = null;

/** @param {HTMLElement} root */
export function mountPlots(root) {
  const says = h('p', { class: 'empty-says' });
  const plot = h('div', { class: 'figure' });
  root.append(h('div', { class: 'plots' }, says, plot));
  const view = { says, plot, drawn: '', busy: false, timer: 0, next: 0 };
  watch(['view', 'rows', 'run', 'lang', 'theme', 'events'], () => refresh(view));
  new ResizeObserver(() => plot.data && window.Plotly?.Plots.resize(plot)).observe(plot);
}

const wanted = () => [state.run, state.rows.length, state.events.length, state.theme, state.lang].join('/');

function refresh(view) {
  if (state.view !== 'curves' || view.busy || view.drawn === wanted()) return;
  if (!state.rows.length) {
    setText(view.says, t('plots.none'));
    return;
  }
  clearTimeout(view.timer);
  const wait = view.next - Date.now();
  if (wait > 0) view.timer = setTimeout(() => refresh(view), wait);
  else draw(view);
}

async function draw(view) {
  view.busy = true;
  view.next = Date.now() + PERIOD;
  const key = wanted();
  try {
    if (!library) setText(view.says, t('plots.loading'));
    const Plotly = await loadPlotly();
    const query = new URLSearchParams({ run: state.run, theme: state.theme, lang: state.lang });
    const reply = await fetch(`/wb/figure/curves?${query}`);
    if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
    const { data, layout, config } = await reply.json();
    await Plotly.react(view.plot, data, layout, { displaylogo: false, responsive: true, ...config });
    if (!view.bound) bindClicks(view);
    setText(view.says, '');
    view.drawn = key;
  } catch (error) {
    setText(view.says, t('plots.failed', { error: error.message }));
  }
  view.busy = false;
  if (view.drawn !== key) view.timer = setTimeout(() => refresh(view), 5 * PERIOD);
  else refresh(view);
}

// Plotly is 1.5 MB: it is fetched once, when somebody looks at this tab.
function loadPlotly() {
  library ??= new Promise((resolve, reject) => {
    const script = h('script', {
      src: '/wb/plotly.js',
      on: { load: () => resolve(window.Plotly), error: () => reject(new Error('plotly.js')) },
    });
    document.head.append(script);
  });
  return library;
}

function bindClicks(view) {
  view.bound = true;
  view.plot.on('plotly_click', ({ points }) => {
    const step = Number(points[0]?.x);
    if (!Number.isFinite(step)) return;
    goToStep(step);
    showView('live');
  });
}
