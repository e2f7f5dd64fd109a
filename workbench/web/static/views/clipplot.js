// What the loss makes of a token, for A > 0 and A < 0: curve, regions, histogram. The marks are on a canvas above it.
// A method without a ratio has its gradient coefficients drawn instead.
import { pinToken } from '../actions.js';
import { clipGeometry, clipMarks } from '../clipgeometry.js';
import { derive, isDead } from '../derived.js';
import { h, s, setAttr, sizeOf } from '../dom.js';
import { t } from '../i18n.js';
import { moversOf } from '../meaning.js';
import { pictureOf } from '../objectives.js';
import { pushGeometry, pushMarks } from '../pushgeometry.js';
import { emptyKey, pinnedToken, selectedRow, updateIndex, updatesOf } from '../select.js';
import { state, watch } from '../store.js';
import { tokenTip } from '../tips.js';
import { tip } from '../tooltip.js';
import { binTip, drawFrame, regionTip } from './clipframe.js';
import { mountMarks } from './clipmarks.js';
import { drawPushFrame } from './pushframe.js';

/** @param {HTMLElement} box */
export function mountClipPlot(box) {
  const frame = s('svg', { role: 'img' });
  const canvas = h('canvas', { 'aria-hidden': 'true' });
  const says = h('p', { class: 'empty-says' });
  box.append(frame, canvas, says);
  const marks = mountMarks(canvas);
  let drawn = {};
  const draw = () => {
    const { width, height } = sizeOf(box);
    if (!width || !height) return;
    const { record } = state;
    drawn = scene(record, width, height);
    says.hidden = !drawn.says;
    says.textContent = drawn.says ?? '';
    if (drawn.geometry.form === 'none') drawPushFrame(frame, drawn.geometry);
    else drawFrame(frame, drawn.geometry, drawn.list, drawn.derived, !!record && !isDead(record));
    marks.draw({ geometry: drawn.geometry, list: drawn.list, record, selected: selectedRow(), pin: pinnedToken() });
    const { dead, out } = drawn.derived;
    setAttr(frame, 'aria-label', t('clip.label', { n: drawn.list.length, dead, out }));
  };
  tip(box, (e) => hover(box, drawn, e));
  box.addEventListener('click', (e) => {
    const mark = nearest(box, drawn, e);
    if (mark) pinToken(mark.row, mark.token);
  });
  watch(['record', 'k', 'row', 'pin', 'lang', 'theme', 'view', 'status'], draw);
  new ResizeObserver(draw).observe(box);
}

function scene(record, width, height) {
  const k = record ? updateIndex(updatesOf(record)) : 0;
  const derived = record ? derive(record, k) : placeholder();
  if (derived.picture.form === 'none') {
    const geometry = pushGeometry(width, height, record, k, derived);
    const list = pushMarks(geometry, record, k, derived);
    return { geometry, list, derived, says: list.length ? null : t('push.none') };
  }
  const geometry = clipGeometry(width, height, record, k, derived);
  const dead = record && isDead(record) && t(`clip.dead.${moversOf(record, true)}`);
  const says = record ? dead || null : state.rows.length ? null : t(emptyKey('clip.none'));
  return { geometry, list: record ? clipMarks(geometry, record, k, derived) : [], derived, says };
}

// The axes of an empty view are those of the default band.
const placeholder = () => ({
  tokens: [],
  picture: pictureOf({}),
  band: { low: 0.8, high: 1.2, delta: Infinity },
  dead: 0,
  out: 0,
  flat: false,
  total: 0,
});

function nearest(box, { list }, event) {
  if (!list?.length || event.clientX == null) return null;
  const r = box.getBoundingClientRect();
  const [x, y] = [event.clientX - r.left, event.clientY - r.top];
  let [best, score] = [null, 144];
  for (const mark of list) {
    const d = (mark.x - x) ** 2 + (mark.y - y) ** 2 - (mark.row === selectedRow() ? 1 : 0);
    if (d < score) [best, score] = [mark, d];
  }
  box.style.cursor = best ? 'pointer' : '';
  return best;
}

function hover(box, drawn, event) {
  const mark = nearest(box, drawn, event);
  const { record } = state;
  if (!mark || !record) return areaTip(box, drawn, event);
  const about = tokenTip(record, mark.row, mark.token, updateIndex(updatesOf(record)));
  const title = drawn.geometry.picture?.byCompletion
    ? `${t('clip.completion', { i: mark.row + 1 })}, ${about.title}`
    : `${about.title}, ${t('clip.of', { i: mark.row + 1 })}`;
  return { ...about, title };
}

function areaTip(box, { geometry, list }, event) {
  if (!list?.length || geometry.form === 'none' || event.clientX == null) return null;
  const r = box.getBoundingClientRect();
  const [x, y] = [event.clientX - r.left, event.clientY - r.top];
  const panel = geometry.panels.find((p) => x >= p.left && x <= p.left + geometry.panelWidth);
  if (!panel) return null;
  const inHistogram = y > geometry.histTop && y < geometry.histTop + geometry.hist;
  return inHistogram ? binTip(geometry, panel, list, x) : regionTip(geometry, panel, x, y);
}
