// Where things are in the clip plot: two panels over a shared log-ratio axis, and a mark for every token.
import { objective } from './math.js';

const WIDEST = Math.log(3);

/** @typedef {{sign: number, left: number, x: (log: number) => number, y: (value: number) => number, low: number, high: number, flat: [number, number][]}} Panel */
/** @typedef {{width: number, height: number, font: number, top: number, plot: number, histTop: number, hist: number, panelWidth: number, reach: number, big: boolean, band: import('./math.js').Bounds, panels: Panel[]}} Geometry */
/** @typedef {{row: number, token: number, sign: number, log: number, kind: 'live'|'dead'|'out', off: number, x: number, y: number}} Mark */

/**
 * @param {number} width  @param {number} height  @param {import('./math.js').Derived} derived
 * @returns {Geometry}
 */
export function clipGeometry(width, height, derived) {
  const big = width > 580;
  const [left, gap, top, axis, space] = [big ? 44 : 34, big ? 52 : 42, 20, big ? 36 : 32, 12];
  const hist = Math.round(height * 0.19);
  const panelWidth = (width - left - gap - 2) / 2;
  const plot = height - top - hist - space - axis;
  const { band } = derived;
  const reach = logReach(derived);
  // Room above the curve for the words; a little below it.
  const bare = Math.exp(reach) - band.low + 0.03;
  const headroom = Math.max(0.14, (bare * 27) / Math.max(30, plot - 27));
  const span = bare + headroom;
  const panels = [1, -1].map((sign, i) => {
    const x0 = left + i * (panelWidth + gap);
    const high = (sign > 0 ? band.high : -band.low) + headroom;
    const x = (log) => x0 + ((Math.min(reach, Math.max(-reach, log)) + reach) / (2 * reach)) * panelWidth;
    const y = (value) => top + ((high - Math.min(high, Math.max(high - span, value))) / span) * plot;
    return { sign, left: x0, x, y, low: high - span, high, flat: flatParts(sign, band, x, reach) };
  });
  return {
    width,
    height,
    font: big ? 12.5 : 11,
    top,
    plot,
    histTop: top + plot + space,
    hist,
    panelWidth,
    reach,
    big,
    band,
    panels,
  };
}

// Wide enough for nearly every token and for the band; what lies beyond is drawn at the edge as off the scale.
function logReach({ tokens, band }) {
  let widest = 0;
  for (const t of tokens) for (const v of t.log) if (Math.abs(v) > widest) widest = Math.abs(v);
  const needed = Math.max(
    Math.log(1.41),
    2 * Math.log(band.high),
    Math.log(band.high * 1.08),
    -Math.log(Math.max(band.low, 0.05)) * 1.25,
  );
  return Math.max(needed, Math.min(widest + 0.058, WIDEST));
}

// Where the objective is flat, in pixels. The two-sided cap adds a part on the right of A < 0.
function flatParts(sign, band, x, reach) {
  const log = (r) => Math.log(Math.max(r, 1e-6));
  if (sign > 0) return [[x(log(Math.min(band.high, band.delta))), x(reach)]];
  const parts = [[x(-reach), x(log(band.low))]];
  if (Number.isFinite(band.delta) && log(band.delta) < reach) parts.push([x(log(band.delta)), x(reach)]);
  return parts;
}

/** Points of the objective, kinks included. @param {Geometry} geometry  @param {Panel} panel  @returns {string} */
export function curvePoints({ reach, band }, panel) {
  const logs = Array.from({ length: 81 }, (_, i) => -reach + (2 * reach * i) / 80);
  const kinks = [band.low, band.high, band.delta]
    .filter((r) => Number.isFinite(r) && r > 0)
    .map(Math.log)
    .filter((l) => Math.abs(l) < reach);
  return [...logs, ...kinks]
    .sort((a, b) => a - b)
    .map((l) => `${panel.x(l).toFixed(1)},${panel.y(objective(Math.exp(l), panel.sign, band)).toFixed(1)}`)
    .join(' ');
}

/**
 * One mark for every token with an advantage. Marks that are few and dead or outside are stacked, so that each can be counted.
 * @param {Geometry} geometry  @param {object} record  @param {import('./math.js').Derived} derived
 * @returns {Mark[]}
 */
export function clipMarks(geometry, record, derived) {
  const marks = [];
  record.completions.forEach((completion, row) => {
    const sign = Math.sign(completion.advantage ?? 0);
    if (!sign) return;
    const panel = geometry.panels[sign > 0 ? 0 : 1];
    const { log, dead, out } = derived.tokens[row];
    for (let token = 0; token < log.length; token += 1) {
      if (!Number.isFinite(log[token])) continue;
      const kind = dead[token] ? 'dead' : out[token] ? 'out' : 'live';
      const off = log[token] > geometry.reach ? 1 : log[token] < -geometry.reach ? -1 : 0;
      marks.push({
        row,
        token,
        sign,
        log: log[token],
        kind,
        off,
        x: panel.x(log[token]),
        y: panel.y(objective(Math.exp(log[token]), sign, geometry.band)),
      });
    }
  });
  for (const sign of [1, -1])
    for (const kind of ['dead', 'out'])
      stack(
        marks.filter((m) => m.sign === sign && m.kind === kind),
        geometry,
      );
  return marks;
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
 * Counts of tokens in bins of ln r. @param {Mark[]} marks  @param {number} width  bin width in ln r
 * @returns {Map<number, {n: number, dead: number}>}
 */
export function histogram(marks, width) {
  const bins = new Map();
  for (const mark of marks) {
    const bin = Math.round(mark.log / width);
    const count = bins.get(bin) ?? { n: 0, dead: 0 };
    count.n += 1;
    if (mark.kind === 'dead') count.dead += 1;
    bins.set(bin, count);
  }
  return bins;
}
