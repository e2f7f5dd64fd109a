// Where things are in the picture of the loss: two panels over a shared log-ratio axis, and a mark for every token, or
// for every completion where it has one ratio.
import { sequenceLogRatio } from './derived.js';
import { exponent, fixed } from './format.js';
import { tickDigits, ticks } from './scale.js';

const WIDEST = Math.log(3);
const WIDEST_OF_SEQUENCES = Math.log(20);
const USUAL = Math.log(1.41);
const NARROW = 0.05; // a band within this of 1 is looked at through a lens
const BIN = 0.02; // of a log-ratio

/**
 * @typedef {{sign: number, left: number, x: (log: number) => number, y: (value: number) => number, low: number,
 *   high: number, ticks: [number, string][], flat: [number, number][]}} Panel
 */
/**
 * @typedef {{width: number, height: number, font: number, top: number, plot: number, histTop: number, hist: number,
 *   panelWidth: number, form: string, symbol: string, from: number, to: number, bin: number, big: boolean,
 *   band: import('./math.js').Bounds, picture: import('./objectives.js').Picture, panels: Panel[]}} Geometry
 */
/**
 * @typedef {{row: number, token: number, sign: number, log: number, kind: 'live'|'dead'|'out'|'masked', off: number,
 *   x: number, y: number}} Mark
 */

/**
 * @param {number} width  @param {number} height  @param {object|null} record  @param {number} k
 * @param {import('./derived.js').Derived} derived
 * @returns {Geometry}
 */
export function clipGeometry(width, height, record, k, derived) {
  const big = width > 580;
  const wide = isNarrow(derived) ? 12 : 0; // numbers close to 1 need more digits
  const [top, axis, space, font] = [20, big ? 36 : 32, 12, big ? 12.5 : 11];
  const hist = Math.round(height * 0.19);
  const plot = height - top - hist - space - axis;
  const { band, picture } = derived;
  const [from, to] = logLimits(widestLog(record, k, derived), band, picture);
  const bin = picture.form === 'clip' ? Math.min(BIN, (to - from) / 36) : (to - from) / 36;
  const ranges = [1, -1].map((sign) => valueRange(picture, sign, from, to));
  // Both panels have one scale, with room above the curve for the words and a little below it.
  const bare = Math.max(...ranges.map(([low, high]) => high - low)) * 1.03 + 1e-9;
  const headroom = Math.max(bare * 0.15, (bare * 27) / Math.max(30, plot - 27));
  const heights = ranges.map(([, most]) => [most - bare, most + headroom]);
  const scales = heights.map(([low, high]) => valueTicks(low, high, plot));
  const usual = (big ? 44 : 34) + wide;
  const left = Math.max(usual, ...scales.flat().map(([, text]) => Math.ceil(textWidth(text, font)) + BEFORE_TICK));
  const gap = left + 8;
  const panelWidth = (width - left - gap - 2) / 2;
  const panels = [1, -1].map((sign, i) => {
    const x0 = left + i * (panelWidth + gap);
    const [low, high] = heights[i];
    const x = (log) => x0 + ((Math.min(to, Math.max(from, log)) - from) / (to - from)) * panelWidth;
    const y = (value) => top + ((high - Math.min(high, Math.max(low, value))) / (high - low)) * plot;
    return { sign, left: x0, x, y, low, high, ticks: scales[i], flat: flatParts(picture.flat(sign), x, from, to) };
  });
  const histTop = top + plot + space;
  const symbol = picture.byCompletion ? 's' : 'r';
  const frame = { width, height, font, top, plot, histTop, hist, panelWidth, big };
  return { ...frame, form: picture.form, symbol, from, to, bin, band, picture, panels };
}

const INWARDS = 7; // what lies beyond the axis is drawn whole at its edge
const BEFORE_TICK = 6; // between the number of a tick and its line

/**
 * About how wide a number or the name of a limit is, a little more rather than less.
 * @param {string} text  @param {number} font  @returns {number}
 */
export const textWidth = (text, font) => [...text].reduce((sum, c) => sum + (c === '.' ? 0.3 : 0.64), 0) * font;

// Round values up the axis, with as many digits as there is room for.
function valueTicks(low, high, plot) {
  const span = high - low;
  const values = ticks(low + span * 0.02, high - span * 0.13, Math.max(2, plot / 36));
  const most = Math.max(...values.map(Math.abs));
  const digits = Math.max(most >= 10 ? 0 : 1, tickDigits(values));
  return values.map((v) => [v, most >= 1000 && v !== 0 ? exponent(v) : fixed(v, digits)]);
}

/**
 * Where the names of ratios are written under the axis. Limits that are close lean outwards, and "1", which is between
 * them, is left out where it would lie under one: its tick says it.
 * @param {[number, string][]} named  [x, text]: "1", then the limits  @param {number} font
 * @returns {{x: number, text: string, anchor: 'start'|'middle'|'end'}[]}
 */
export function placeLimits([one, ...limits], font) {
  const [low, high] = limits.map(([x]) => x);
  const narrow = high != null && high - low < font * 4;
  const inwards = Math.min(6, (high - low) / 2 - 3);
  const placed = limits.map(([x, text], i) => {
    if (!narrow) return { x, text, anchor: 'middle' };
    return i ? { x: x - inwards, text, anchor: 'start' } : { x: x + inwards, text, anchor: 'end' };
  });
  const covers = ([x, text]) => Math.abs(x - one[0]) < (textWidth(text, font) + textWidth(one[1], font)) / 2 + 2;
  if (narrow || limits.some(covers)) return placed;
  return [{ x: one[0], text: one[1], anchor: 'middle' }, ...placed];
}

const halfOf = (band) => Math.max(Math.log(band.high), -Math.log(Math.max(band.low, 0.05)));
const isNarrow = ({ band, picture }) => picture.form === 'clip' && halfOf(band) < NARROW;

function widestLog(record, k, { tokens, picture }) {
  if (picture.form === 'phi')
    return Math.max(0, ...(record?.completions ?? []).map((c) => Math.abs(sequenceLogRatio(c, k))).filter(isFinite));
  let widest = 0;
  for (const t of tokens) for (const v of t.log) if (Math.abs(v) > widest) widest = Math.abs(v);
  return widest;
}

/**
 * The ends of the log-ratio axis: nearly every token is on it, and what the loss does to the ratio; what lies beyond
 * is drawn at the edge as off the scale.
 * @param {number} widest  @param {import('./math.js').Bounds} band  @param {import('./objectives.js').Picture} picture
 * @returns {[number, number]}
 */
export function logLimits(widest, band, { form, cap }) {
  if (form === 'phi') {
    const reach = Math.max(WIDEST, Math.min(widest + 0.15, WIDEST_OF_SEQUENCES));
    return [-reach, reach];
  }
  if (form === 'clip') {
    const inner = halfOf(band);
    const shown = Math.max(2 * Math.log(band.high), Math.log(band.high * 1.08), inner * 1.25);
    const reach =
      inner < NARROW
        ? Math.min(Math.max(inner * 2.2, widest * 1.15, 1e-4), WIDEST)
        : Math.max(USUAL, shown, Math.min(widest + 0.058, WIDEST));
    return [-reach, reach];
  }
  const reach = Math.max(form === 'gate' ? Math.log(2) : USUAL, Math.min(widest + 0.058, WIDEST));
  // The cap is the point of the picture, so it is on it, unless it is very far.
  const far = cap == null ? reach : Math.max(reach, Math.min(Math.log(Math.max(cap, 1e-3)) + 0.25, Math.log(20)));
  const near = cap == null ? reach : Math.max(reach, Math.min(0.25 - Math.log(Math.max(cap, 1e-3)), Math.log(20)));
  return [-near, far];
}

const samples = (from, to) => Array.from({ length: 81 }, (_, i) => from + ((to - from) * i) / 80);

function valueRange(picture, sign, from, to) {
  const values = samples(from, to).map((l) => picture.value(Math.exp(l), sign));
  // A gradient weight is read against zero; an objective's height means nothing.
  const zero = ['cap', 'phi', 'plain'].includes(picture.form) ? [0] : [];
  return [Math.min(...values, ...zero), Math.max(...values, ...zero)];
}

// Ranges of the ratio in pixels, those on the axis only.
function flatParts(flat, x, from, to) {
  const log = (r) => Math.log(Math.max(r, 1e-6));
  return flat.filter(([a, b]) => log(a) < to && log(b) > from).map(([a, b]) => [x(log(a)), x(Math.min(to, log(b)))]);
}

/** Points of the curve, kinks included. @param {Geometry} geometry  @param {Panel} panel  @returns {string} */
export function curvePoints({ from, to, picture }, panel) {
  const kinks = picture.kinks
    .filter((r) => Number.isFinite(r) && r > 0)
    .map(Math.log)
    .filter((l) => l > from && l < to);
  return [...samples(from, to), ...kinks]
    .sort((a, b) => a - b)
    .map((l) => `${panel.x(l).toFixed(1)},${panel.y(picture.value(Math.exp(l), panel.sign)).toFixed(1)}`)
    .join(' ');
}

/**
 * One mark for every token with an advantage, or one for a completion with a single ratio. Marks that are few and dead
 * or outside are stacked, so that each can be counted.
 * @param {Geometry} geometry
 * @param {object} record
 * @param {number} k
 * @param {import('./derived.js').Derived} derived
 * @returns {Mark[]}
 */
export function clipMarks(geometry, record, k, derived) {
  const marks = [];
  const { picture } = geometry;
  record.completions.forEach((completion, row) => {
    const arrays = derived.tokens[row];
    const length = picture.byCompletion ? Math.min(1, arrays.log.length) : arrays.log.length;
    for (let token = 0; token < length; token += 1) {
      const log = picture.form === 'phi' ? sequenceLogRatio(completion, k) : arrays.log[token];
      const sign = Math.sign(arrays.advantage[token]);
      if (sign && Number.isFinite(log))
        marks.push(markOf(geometry, { row, token, sign, log, kind: kindOf(arrays, token) }));
    }
  });
  for (const sign of [1, -1])
    for (const kind of picture.byCompletion ? ['live', 'dead', 'out'] : ['dead', 'out'])
      stack(
        marks.filter((m) => m.sign === sign && m.kind === kind),
        geometry,
      );
  return marks;
}

const kindOf = ({ masked, dead, out }, token) =>
  masked[token] ? 'masked' : dead[token] ? 'dead' : out[token] ? 'out' : 'live';

function markOf({ panels, picture, from, to }, mark) {
  const panel = panels[mark.sign > 0 ? 0 : 1];
  const off = mark.log > to ? 1 : mark.log < from ? -1 : 0;
  const shown = Math.min(to, Math.max(from, mark.log));
  return { ...mark, off, x: panel.x(shown) - off * INWARDS, y: panel.y(picture.value(Math.exp(shown), mark.sign)) };
}

function stack(marks, geometry) {
  const [close, pitch] = geometry.big ? [9, 11] : [7.5, 9];
  let [at, level] = [-Infinity, 0];
  for (const mark of marks.sort((a, b) => a.log - b.log)) {
    if (mark.x - at < close) level += 1;
    else [at, level] = [mark.x, 0];
    const room = Math.max(1, Math.floor((geometry.top + geometry.plot - 6 - mark.y) / pitch));
    mark.y += (level % room) * pitch;
  }
}

/**
 * Counts of marks in bins of ln r. @param {Mark[]} marks  @param {number} width  bin width in ln r
 * @returns {Map<number, {n: number, dead: number}>}
 */
export function histogram(marks, width) {
  const bins = new Map();
  for (const mark of marks) {
    if (mark.kind === 'masked') continue;
    const bin = Math.round(mark.log / width);
    const count = bins.get(bin) ?? { n: 0, dead: 0 };
    count.n += 1;
    if (mark.kind === 'dead') count.dead += 1;
    bins.set(bin, count);
  }
  return bins;
}
