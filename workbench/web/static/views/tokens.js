// The tokens of the selected completion as chips, with its steps, the ratio and the KL of each under it.
import { chooseMeasure, movePin, pinToken } from '../actions.js';
import { derive, hasSteps, measuresOf, measureValue, pushOf, stepAt } from '../derived.js';
import { h, pixelsOf, resize, setAttr, setStyle, setText, sizeOf, walkByArrows } from '../dom.js';
import { fixed, known, signedAmount, signedSmall } from '../format.js';
import { t } from '../i18n.js';
import { icon } from '../icons.js';
import { clamp } from '../math.js';
import { measureHelp } from '../meaning.js';
import { breakLines } from '../plan.js';
import {
  emptyKey,
  pinnedToken,
  selectedCompletion,
  selectedRow,
  shownMeasure,
  updateIndex,
  updatesOf,
} from '../select.js';
import { set, state } from '../store.js';
import { chipColour, hue } from '../theme.js';
import { tokenTip, visible } from '../tips.js';
import { tip } from '../tooltip.js';
import { drawLegend } from './legend.js';
import { drawStep, makeStep } from './steptrack.js';

const BANDS = 2.4; // a micro-bar reaches this many clip bands to each side

/**
 * Sizes of a line of chips; larger on large screens, with a track for the steps where there are any.
 * @returns {{chip: number, step: number, bar: number, lane: number, gap: number, height: number, font: number,
 *   min: number}}
 */
export function lineMetrics() {
  const big = window.innerWidth >= 1500;
  const tall = big && window.innerHeight > 960;
  const [chip, bar, lane, gap] = tall ? [34, 44, 10, 10] : big ? [32, 30, 7, 7] : [27, 22, 6, 3];
  // The steps take some of the room of the bars, so that as many lines fit.
  const step = hasSteps(state.record) ? (big ? 19 : 17) : 0;
  const low = step ? bar - 8 : bar;
  const height = chip + step + 2 + low + lane + gap;
  return { chip, step, bar: low, lane, gap, height, font: big ? 18 : 15, min: big ? 28 : 23 };
}

/** @param {HTMLElement} column */
export function mountTokens(column) {
  const title = h('h2', { class: 'h2' });
  const advantage = h('span', { class: 'note' });
  const pager = h('span', { class: 'pager' });
  const segments = h('div', { class: 'segments', role: 'radiogroup' });
  walkByArrows(segments);
  const head = h('div', { class: 'head rule' }, title, advantage, pager, h('span', { class: 'spring' }), segments);
  const lines = h('div', { class: 'lines', role: 'group' });
  const legend = h('div', { class: 'legend' });
  column.append(h('section', { class: 'tokens' }, head, lines, legend));
  const outer = (node) => sizeOf(node).outer + pixelsOf(node, 'marginTop');
  return {
    title,
    advantage,
    pager,
    segments,
    lines,
    legend,
    fixedHeight: () => outer(head) + outer(legend) + pixelsOf(lines, 'marginTop'),
  };
}

// ---- which chips, and how wide

let measurer = null;
let fontsLoaded = 0;
const widths = new Map();

// Widths measured before the fonts came are those of a substitute.
document.fonts.addEventListener?.('loadingdone', () => {
  fontsLoaded += 1;
  widths.clear();
});

function textWidth(text, font) {
  const key = `${font}|${text}`;
  if (!widths.has(key)) {
    measurer ??= document.createElement('canvas').getContext('2d');
    measurer.font = `500 ${font}px "JetBrains Mono", ui-monospace, Menlo, Consolas, "Noto Sans CJK SC", monospace`;
    if (widths.size > 5000) widths.clear();
    widths.set(key, measurer.measureText(text).width);
  }
  return widths.get(key);
}

const isTag = (text) => text.length > 2 && text.startsWith('<') && text.endsWith('>');

// A chip is a token, or a span of tokens that make one visible character.
function chipsOf(completion) {
  const { font, min } = lineMetrics();
  const spans = completion.spans ?? completion.tokens.map((_, i) => [i, i + 1]);
  const letters = spans.every(([a]) => completion.tokens[a].length <= 1 || isTag(completion.tokens[a]));
  const size = letters ? font : font - 2;
  return spans.map(([first, end]) => {
    const text = completion.tokens[first];
    const tag = isTag(text);
    const drawn = visible(text);
    const used = tag ? font * 0.767 : size;
    const width = Math.ceil(textWidth(drawn, used) + (tag ? 14 : letters ? 8 : 6));
    return { first, end, text, drawn, tag, font: used, width: Math.max(letters ? min : 14, width) + 2 };
  });
}

const layouts = new WeakMap();

function layout(completion, width) {
  const key = `${width}/${lineMetrics().font}/${fontsLoaded}`;
  const kept = layouts.get(completion);
  if (kept?.key === key) return kept;
  const chips = chipsOf(completion);
  const made = { key, chips, lines: breakLines(chips, width) };
  layouts.set(completion, made);
  return made;
}

/** Lines the selected completion takes. @param {number} width  @returns {number} */
export const linesNeeded = (width) => layout(selectedCompletion(), width).lines.length;

// ---- drawing

/** @param {ReturnType<typeof mountTokens>} view  @param {{lines: number, fit: number}} plan  @param {number} width */
export function drawTokens(view, { lines: shown, fit }, width) {
  const { record } = state;
  const measure = shownMeasure();
  const completion = selectedCompletion();
  drawMeasures(view.segments, record, measure);
  setText(view.title, t('tokens.title', { i: selectedRow() + 1 }));
  setStyle(view.lines, 'min-height', `${lineMetrics().height * Math.max(1, Math.min(2, fit))}px`);
  for (const name of ['chip', 'step', 'bar', 'lane', 'gap'])
    setStyle(view.lines, `--${name}-size`, `${lineMetrics()[name]}px`);
  view.lines.toggleAttribute('data-steps', hasSteps(record));
  if (!completion?.length) return drawNothing(view, completion);
  const derived = derive(record, updateIndex(updatesOf(record)));
  drawAdvantage(view.advantage, completion, derived);
  const { chips, lines } = layout(completion, width);
  const first = firstLine(lines, chips, shown);
  drawPager(view.pager, first, shown, lines.length);
  const look = {
    completion,
    derived,
    arrays: derived.tokens[selectedRow()],
    steps: hasSteps(record),
    pin: pinnedToken(),
    scale: barScale(derived),
    measure,
  };
  resize(view.lines, Math.min(shown, lines.length), () => h('div', { class: 'line' })).forEach((node, i) => {
    const [from, end] = lines[first + i];
    resize(node, end - from, makeChip).forEach((chip, j) => {
      drawChip(chip, chips[from + j], look);
      if (look.steps)
        drawStep(chip.children[1], completion, chips[from + j], roomOfStep(completion, chips, from, from + j));
    });
  });
  setAttr(
    view.lines,
    'aria-label',
    t('tokens.label', { i: selectedRow() + 1, n: completion.length, measure: t(`measure.${measure}`) }),
  );
  drawLegend(view.legend, record, derived);
}

function drawMeasures(node, record, measure) {
  const measures = measuresOf(record);
  setAttr(node, 'aria-label', t('tokens.measures'));
  const make = (i) =>
    tip(h('button', { type: 'button', role: 'radio' }), () => ({
      title: t(`measure.${measures[i]}`),
      text: t(measureHelp(state.record ?? state, measures[i])),
    }));
  resize(node, measures.length, make).forEach((b, i) => {
    b.onclick = () => chooseMeasure(measures[i]);
    setText(b, t(`measure.${measures[i]}`));
    setAttr(b, 'aria-checked', measures[i] === measure);
  });
}

// How wide the step of a chip is on its line, from the line's start or its own to the end of the chip.
function roomOfStep(completion, chips, lineStart, index) {
  const start = stepAt(completion, chips[index].first)?.first ?? Infinity;
  let room = 0;
  for (let i = index; i >= lineStart && chips[i].first >= start; i -= 1) room += chips[i].width;
  return room;
}

function drawNothing(view, completion) {
  view.advantage.replaceChildren();
  view.pager.replaceChildren();
  const key = completion ? 'tokens.empty' : emptyKey('tokens.none');
  view.lines.replaceChildren(h('p', { class: 'empty-says', text: t(key) }));
  view.legend.replaceChildren();
  view.legend.removeAttribute('data-key');
}

function drawAdvantage(node, completion, derived) {
  const push = pushOf(derived, completion, selectedRow());
  const isNone = derived.picture.form === 'none';
  const name = isNone ? t('tokens.push') : completion.advantages ? t('tokens.mean_advantage') : 'A';
  const way = push > 0 ? 'up' : push < 0 ? 'down' : '';
  node.replaceChildren(`${name} = `, h('b', { class: way, text: isNone ? signedSmall(push) : signedAmount(push) }));
}

// The page of lines that was chosen, or the one that holds the pinned token.
function firstLine(lines, chips, shown) {
  const most = Math.max(0, lines.length - shown);
  const at = clamp(state.tokenLine, 0, most);
  const pin = pinnedToken();
  if (pin == null) return at;
  const line = lines.findIndex(([, end]) => chips[end - 1].end > pin);
  return line >= at && line < at + shown ? at : clamp(line, 0, most);
}

function drawPager(node, first, shown, total) {
  if (total <= shown) return node.replaceChildren();
  const button = (name, by, off) =>
    h(
      'button',
      {
        type: 'button',
        disabled: off,
        'aria-label': t(`pager.${name}`),
        on: { click: () => set({ tokenLine: clamp(first + by * shown, 0, total - shown), pin: null }) },
      },
      icon(name),
    );
  node.replaceChildren(
    button('left', -1, first === 0),
    t('tokens.lines', { from: first + 1, to: first + shown, n: total }),
    button('right', 1, first + shown >= total),
  );
}

// Pixels a nat: the unit is the clip band, so that "outside" is seen before it is read; without a band, the range.
function barScale({ band, range, picture }) {
  const { bar, lane } = lineMetrics();
  if (picture.form !== 'clip') return { bar, lane, nat: bar / 2 / range.ratio, range };
  const widest = Math.max(Math.log(band.high), -Math.log(Math.max(band.low, 1e-3)), 1e-3);
  const nat = bar / 2 / (BANDS * Math.min(widest, Math.log(3)));
  return { bar, lane, nat, above: Math.log(band.high) * nat, below: -Math.log(Math.max(band.low, 1e-3)) * nat, range };
}

function makeChip() {
  const node = h(
    'div',
    { class: 'chip', role: 'button', tabindex: -1 },
    h('span', { class: 'face' }),
    makeStep(),
    h('span', { class: 'bars' }, h('i', { class: 'band' }), h('i', { class: 'zero' }), h('i', { class: 'bar' })),
    h('span', { class: 'lane' }, h('i')),
  );
  node.addEventListener('click', () => pinToken(selectedRow(), node.token));
  node.addEventListener('keydown', (e) => onChipKey(node, e));
  return tip(node, () => chipTip(node));
}

// With a chip in focus the arrows walk along the tokens instead of the steps.
function onChipKey(node, event) {
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!by && event.key !== 'Enter' && event.key !== ' ') return;
  event.preventDefault();
  event.stopPropagation();
  if (by) movePin(by);
  else pinToken(selectedRow(), node.token);
}

function chipTip(node) {
  const { chip } = node;
  const k = updateIndex(updatesOf(state.record));
  const about = tokenTip(state.record, selectedRow(), chip.first, k);
  if (chip.end - chip.first > 1) about.rows.push([t('token.parts'), `${chip.first + 1}–${chip.end}`]);
  return about;
}

function drawChip(node, chip, look) {
  Object.assign(node, { token: chip.first, chip, look });
  const { arrays, completion, measure } = look;
  const [face, , bars, lane] = node.children;
  const any = (list) => list.subarray(chip.first, chip.end).some(Boolean);
  const strongest = strongestValue(chip, look);
  const pinned = look.pin != null && look.pin >= chip.first && look.pin < chip.end;
  setStyle(node, 'width', `${chip.width}px`);
  drawFace(face, chip);
  setStyle(face, 'background-color', chipColour(measure, strongest, look.derived.range[measure]));
  setAttr(node, 'data-state', stateOf(arrays, chip.first, any));
  setAttr(node, 'aria-pressed', pinned);
  setAttr(node, 'tabindex', pinned || (look.pin == null && chip.first === 0) ? 0 : -1);
  setAttr(
    node,
    'aria-label',
    t('tokens.chip', {
      i: chip.first + 1,
      text: visible(completion.tokens[chip.first]),
      r: fixed(Math.exp(arrays.log[chip.first])),
    }),
  );
  drawBar(bars, strongest, look);
  const kl = arrays.kl ? clamp(arrays.kl[chip.first] / look.derived.range.kl, 0, 1) * (look.scale.lane - 1) : 0;
  setStyle(lane.firstChild, 'height', `${kl >= 0.4 ? Math.max(1, kl).toFixed(1) : 0}px`);
}

function stateOf(arrays, first, any) {
  if (!known(arrays.log[first])) return 'missing';
  if (any(arrays.masked)) return 'masked';
  return any(arrays.dead) ? 'dead' : any(arrays.out) ? 'out' : null;
}

function strongestValue(chip, { arrays, measure }) {
  let best = NaN;
  for (let i = chip.first; i < chip.end; i += 1) {
    const v = measureValue(measure, arrays, i);
    if (!(Math.abs(v) <= Math.abs(best))) best = v;
  }
  return best;
}

function drawFace(face, chip) {
  if (face.textContent !== chip.drawn) {
    // The space before a word is there, but it is not what is read.
    const lead = chip.drawn.startsWith('·') && chip.drawn.length > 1 ? 1 : 0;
    face.replaceChildren(...(lead ? [h('i', { class: 'faint', text: '·' }), chip.drawn.slice(1)] : [chip.drawn]));
  }
  face.classList.toggle('faint', chip.text.trim() === '');
  setStyle(face, 'font-size', `${chip.font}px`);
}

// Under every chip: the measure as a bar; for the ratio, against the clip band.
function drawBar(bars, value, { scale, measure }) {
  const [band, zero, bar] = bars.children;
  const half = scale.bar / 2;
  const sequential = measure === 'kl' || measure === 'entropy';
  const reach = sequential ? scale.bar : half;
  const raw = measure === 'ratio' ? Math.abs(value) * scale.nat : (Math.abs(value) / scale.range[measure]) * reach;
  const size = Math.min(reach, raw);
  band.hidden = measure !== 'ratio' || scale.above == null;
  if (!band.hidden) {
    setStyle(band, 'top', `${Math.max(0, half - scale.above)}px`);
    setStyle(band, 'height', `${Math.min(half, scale.above) + Math.min(half, scale.below)}px`);
  }
  setStyle(zero, 'top', sequential ? `${scale.bar - 1}px` : `${half}px`);
  setStyle(bar, 'height', `${size > 0.9 ? size.toFixed(1) : 0}px`);
  setStyle(bar, 'top', `${(sequential ? scale.bar - size : value >= 0 ? half - size : half).toFixed(1)}px`);
  setAttr(bar, 'data-hue', hue(measure, value));
  setAttr(bar, 'data-over', raw > reach + 0.5 ? (value >= 0 || sequential ? 'up' : 'down') : null);
}
