// The frame of the picture of the loss: regions, axes, curve, histogram and words, as SVG.
import { curvePoints, histogram, placeLimits, textWidth } from '../clipgeometry.js';
import { label, line, redraw, s, setAttr } from '../dom.js';
import { fixed } from '../format.js';
import { t } from '../i18n.js';
import { tickDigits, ticks } from '../scale.js';
import { updateIndex, updatesOf } from '../select.js';
import { state } from '../store.js';

const HATCH = 'wb-hatch';

/**
 * @param {SVGElement} svg
 * @param {import('../clipgeometry.js').Geometry} g
 * @param {import('../clipgeometry.js').Mark[]} marks
 * @param {import('../derived.js').Derived} derived  @param {boolean} full  is there something to draw on the axes?
 */
export function drawFrame(svg, g, marks, derived, full) {
  setAttr(svg, 'width', g.width);
  setAttr(svg, 'height', g.height);
  // What hardly ever changes comes first, so that it can stay.
  const parts = [hatch(HATCH), ...names(g)];
  for (const panel of g.panels) {
    parts.push(...regions(g, panel, full), ...axes(g, panel), ...bottom(g, panel));
    if (full) parts.push(curve(g, panel));
  }
  if (full && derived.flat) parts.push(...g.panels.flatMap((p) => allOne(g, p)));
  for (const panel of g.panels) {
    const own = marks.filter((m) => m.sign === panel.sign);
    parts.push(...bars(g, panel, own, `url(#${HATCH})`));
  }
  parts.push(...offScale(g, marks));
  redraw(svg, parts);
}

/**
 * What a region of the plot means.
 * @param {import('../clipgeometry.js').Geometry} g
 * @param {import('../clipgeometry.js').Panel} panel
 * @param {number} x
 * @param {number} y
 */
export function regionTip(g, panel, x, y) {
  const flat = panel.flat.some(([a, b]) => x >= a && x <= b);
  if (!flat || y <= g.top || y >= g.top + g.plot) return null;
  return { title: t('clip.flat'), text: t(panel.sign > 0 ? 'clip.flat.up' : 'clip.flat.down') };
}

/**
 * What a bar of the histogram counts.
 * @param {import('../clipgeometry.js').Geometry} g
 * @param {import('../clipgeometry.js').Panel} panel
 * @param {import('../clipgeometry.js').Mark[]} list
 * @param {number} x
 */
export function binTip(g, panel, list, x) {
  const log = ((x - panel.left) / g.panelWidth) * (g.to - g.from) + g.from;
  const bin = Math.round(log / g.bin);
  const own = list.filter((m) => m.sign === panel.sign);
  const found = histogram(own, g.bin).get(bin);
  if (!found) return null;
  const digits = g.bin < 0.01 ? 5 : 2;
  const [low, high] = [bin - 0.5, bin + 0.5].map((at) => fixed(Math.exp(at * g.bin), digits));
  return {
    title: `${symbolOf(g)} ${low}–${high}`,
    rows: [
      [t('clip.count'), String(found.n)],
      ...(g.picture.form === 'clip' ? [[t('clip.zero'), String(found.dead)]] : []),
    ],
  };
}

const symbolOf = (g) => g.symbol;

const hatch = (id) =>
  s(
    'defs',
    {},
    s(
      'pattern',
      { id, width: 4, height: 4, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
      s('rect', { width: 4, height: 4, fill: 'var(--sheet)' }),
      s('line', { x1: 0, x2: 0, y1: 0, y2: 4, stroke: 'var(--ink2)', 'stroke-width': 1.4 }),
    ),
  );

// ---- regions, and what happens in them

const log = (r) => Math.log(Math.max(r, 1e-6));

function regions(g, panel, full) {
  const rect = (a, b, y, height, fill = 'var(--dead)') =>
    s('rect', { x: a, y, width: Math.max(0, b - a), height, fill });
  const inside = [panel.x(log(g.band.low)), panel.x(log(g.band.high))];
  const parts = g.picture.form === 'clip' ? [rect(...inside, g.histTop, g.hist, 'var(--band)')] : [];
  parts.push(...panel.flat.flatMap(([a, b]) => [rect(a, b, g.top, g.plot), rect(a, b, g.histTop, g.hist)]));
  return full ? [...parts, ...notes(g, panel).flatMap((note) => noteParts(g, note))] : parts;
}

// Words over a part of the panel: [from, to, lines, is it the flat part?].
function notes(g, panel) {
  const [left, right] = [panel.left, panel.left + g.panelWidth];
  const at = (r) => panel.x(log(r));
  switch (g.picture.form) {
    case 'clip': {
      const flat = panel.flat.map(([a, b]) => [a, b, [t('clip.gradient0')], true]);
      const rest = panel.sign > 0 ? [left, at(g.band.low)] : [at(g.band.high), panel.flat[1]?.[0] ?? right];
      return [...flat, [...rest, [t('clip.outside1'), t('clip.outside2')], false]];
    }
    case 'cap':
      return [[at(1), at(g.picture.cap), [t('clip.capped1'), t('clip.capped2')], false]];
    case 'plain':
      return [[left, right, [t('clip.plain')], false]];
    case 'gate':
      return [[...emptier(g, panel), [t('clip.gate1'), t('clip.gate2')], false]];
    default:
      return [[...emptier(g, panel), [t('clip.phi1'), t('clip.phi2')], false]];
  }
}

// The end of the panel whose curve leaves more room under the title.
function emptier(g, panel) {
  const height = (log) => g.picture.value(Math.exp(log), panel.sign);
  const width = g.panelWidth * 0.4;
  const [low, high] = [panel.left, panel.left + g.panelWidth];
  return height(g.from * 0.7) < height(g.to * 0.7) ? [low, low + width] : [high - width, high];
}

// A label whose region is too narrow for it is left out, never squeezed.
function noteParts(g, [from, to, lines, flat]) {
  if (to - from < (flat ? 66 : 76)) return [];
  const style = flat ? { fill: 'var(--ink2)', 'font-weight': 550 } : {};
  return lines.map((text, i) =>
    label((from + to) / 2, g.top + 15 + i * (g.font + 3), text, {
      'text-anchor': 'middle',
      'font-size': g.font,
      ...style,
    }),
  );
}

// ---- axes and curve

function axes(g, panel) {
  const right = panel.left + g.panelWidth;
  const base = g.histTop + g.hist;
  const colour = panel.sign > 0 ? 'var(--upT)' : 'var(--dnT)';
  const grid = panel.ticks.flatMap(([v, text]) => [
    line(panel.left, panel.y(v), right, panel.y(v), v === 0 ? { stroke: 'var(--line2)' } : {}),
    label(panel.left - 6, panel.y(v) + 4, text, { 'text-anchor': 'end', 'font-size': g.font }),
  ]);
  const at = (r, props) => line(panel.x(Math.log(r)), g.top, panel.x(Math.log(r)), base, props);
  const limits = limitsOf(g).map(([r]) => at(r, { stroke: 'var(--ink3)', 'stroke-dasharray': '2 3' }));
  return [
    label(panel.left, 11, t(panel.sign > 0 ? 'clip.positive' : 'clip.negative'), {
      'font-size': g.font + 0.5,
      'font-weight': 600,
      fill: colour,
    }),
    ...grid,
    ...limits,
    at(1, { stroke: 'var(--line2)' }),
  ];
}

// The ratios on the axis that the loss itself names.
function limitsOf({ picture, band, from, to }) {
  const isOwn = Math.abs(band.high + band.low - 2) > 1e-9; // ε high is not ε
  const cap = picture.cap == null ? [] : [[picture.cap, fixed(picture.cap)]];
  const edges = [
    [band.low, '1−ε'],
    [band.high, isOwn ? '1+ε high' : '1+ε'],
  ];
  const isOn = ([r]) => r > 0 && Math.log(r) >= from && Math.log(r) <= to;
  return (picture.form === 'clip' ? edges : cap).filter(isOn);
}

const curve = (g, panel) =>
  s('polyline', {
    points: curvePoints(g, panel),
    fill: 'none',
    stroke: panel.sign > 0 ? 'var(--up)' : 'var(--dn)',
    'stroke-opacity': 0.38,
    'stroke-width': 2.5,
    'stroke-linejoin': 'round',
  });

// ---- histogram

function bars(g, panel, marks, pattern) {
  const bins = histogram(marks, g.bin);
  const most = Math.max(1, ...[...bins.values()].map((b) => b.n));
  const base = g.histTop + g.hist;
  const size = (n) => (Math.log(1 + n) / Math.log(1 + most)) * (g.hist - 3);
  const width = Math.max(1, (g.bin / (g.to - g.from)) * g.panelWidth - 1);
  const fill = panel.sign > 0 ? 'var(--up)' : 'var(--dn)';
  const parts = [];
  let peak = null;
  for (const [bin, { n, dead }] of bins) {
    if (bin * g.bin > g.to || bin * g.bin < g.from) continue;
    const x = panel.x(bin * g.bin) - width / 2;
    const [all, lost] = [size(n), (size(n) * dead) / n];
    const live = { x, y: base - all, width, height: all - lost, fill, 'fill-opacity': 0.72 };
    const cut = { x, y: base - lost, width, height: lost, fill: pattern, stroke: 'var(--ink2)', 'stroke-width': 0.8 };
    if (dead < n) parts.push(s('rect', live));
    if (dead) parts.push(s('rect', cut));
    if (!peak || n > peak.n) peak = { n, x: x + width };
  }
  if (peak) parts.push(label(peak.x + 2, g.histTop + 10, peak.n, { 'font-size': g.font }));
  return parts;
}

function bottom(g, panel) {
  const base = g.histTop + g.hist;
  const named = [[1, '1'], ...limitsOf(g)];
  const round = roundRatios(g, panel, named);
  const at = ([r, text]) => [panel.x(Math.log(r)), text];
  const parts = [line(panel.left, base, panel.left + g.panelWidth, base, { stroke: 'var(--ink3)' })];
  for (const [x] of [...named, ...round].map(at)) parts.push(line(x, base, x, base + 4, { stroke: 'var(--ink3)' }));
  const middle = ([x, text]) => ({ x, text, anchor: 'middle' });
  for (const { x, text, anchor } of [...placeLimits(named.map(at), g.font), ...round.map(at).map(middle)]) {
    const fill = text.includes('ε') ? 'var(--ink)' : 'var(--ink2)';
    parts.push(label(x, base + g.font + 4, text, { 'text-anchor': anchor, 'font-size': g.font, fill }));
  }
  return parts;
}

// Round ratios between those that have a name, where there is room.
function roundRatios(g, panel, named) {
  const pixels = (r, q) => (Math.abs(Math.log(r / q)) * g.panelWidth) / (g.to - g.from);
  const half = (text) => Math.max(14, textWidth(text, g.font) / 2);
  const room = (r, [q, text]) => pixels(r, q) > half('0.00') + half(text) + 8;
  const usual = [0.5, 2, 0.35, 0.75, 1.33, 3, 5, 10, 0.1, 0.2];
  const fine = ticks(Math.exp(g.from), Math.exp(g.to), 4);
  const isFine = g.to - g.from < 0.3;
  const kept = [];
  for (const r of isFine ? fine : usual) {
    const x = panel.x(Math.log(r));
    const inside = x > panel.left + 12 && x < panel.left + g.panelWidth - 13;
    if (inside && [...named, ...kept].every((other) => room(r, other)))
      kept.push([r, isFine ? fixed(r, tickDigits(fine)) : fixed(r, 2)]);
  }
  return kept;
}

// ---- words

/**
 * Why no ratio has left 1.
 * @param {number} mu  @param {number} [k]  index of the inner update that is looked at  @returns {string} locale key
 */
export const whyAllOne = (mu, k = updateIndex(mu)) =>
  mu === 1 ? 'clip.one_why_mu' : k === 0 ? 'clip.one_why' : 'clip.one_why_still';

function allOne(g, panel) {
  const x = panel.left + g.panelWidth / 2;
  const y = g.top + g.plot * 0.78;
  const halo = { 'text-anchor': 'middle', 'paint-order': 'stroke', stroke: 'var(--sheet)', 'stroke-width': 5 };
  return [
    label(x, y, t('clip.one'), { ...halo, 'font-size': g.font + 1, fill: 'var(--ink)', 'font-weight': 600 }),
    label(x, y + g.font + 6, t(whyAllOne(updatesOf(state.record))), {
      ...halo,
      'font-size': g.font + 0.5,
      fill: 'var(--ink2)',
    }),
  ];
}

function offScale(g, marks) {
  return g.panels.flatMap((panel) =>
    [1, -1].flatMap((side) => {
      const n = marks.filter((m) => m.sign === panel.sign && m.off === side).length;
      if (!n) return [];
      const [x, anchor] = side > 0 ? [panel.left + g.panelWidth - 3, 'end'] : [panel.left + 3, 'start'];
      const style = { 'text-anchor': anchor, 'font-size': g.font, fill: 'var(--ink)', 'font-weight': 550 };
      return [label(x, g.top + g.plot - 6, t('clip.off', { n }), style)];
    }),
  );
}

function names(g) {
  const [first, second] = g.panels;
  const small = { 'text-anchor': 'end', 'font-size': g.font - 0.5 };
  const middle = (first.left + g.panelWidth + second.left) / 2;
  const centred = { 'text-anchor': 'middle', 'font-size': g.font };
  const axis = label(middle, g.height - 3, `${t(axisKey(g.picture))} ${symbolOf(g)} = `, centred);
  axis.append(...ratioParts(g));
  const isWeight = ['cap', 'phi', 'plain'].includes(g.picture.form);
  return [
    axis,
    label(first.left - 6, g.histTop + 10, t('clip.count'), small),
    label(first.left - 6, g.top + 9, isWeight ? (g.picture.form === 'phi' ? 'φ' : 'g') : 'L/|A|', small),
  ];
}

const axisKey = ({ form, byCompletion }) =>
  form === 'phi' ? 'clip.axis_whole' : byCompletion ? 'clip.axis_sequence' : 'clip.axis';

function ratioParts(g) {
  if (g.form !== 'phi' && g.picture.byCompletion) return ['exp(mean ln r)'];
  const old = s('tspan', { dy: 3, 'font-size': g.font - 2, text: 'old' });
  return [g.form === 'phi' ? 'Π π / π' : 'π / π', old];
}
