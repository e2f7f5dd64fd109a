// The clipped objective for A > 0 and A < 0: curve, dead regions, histogram. The marks are on a canvas above it.
import { pinToken } from '../actions.js';
import { clipGeometry, clipMarks, curvePoints, histogram } from '../clipgeometry.js';
import { h, label, line, s, setAttr } from '../dom.js';
import { fixed } from '../format.js';
import { t } from '../i18n.js';
import { derive } from '../math.js';
import { pinnedToken, selectedRow, updateIndex, updatesOf } from '../select.js';
import { ticks } from '../scale.js';
import { state, watch } from '../store.js';
import { tokenTip } from '../tips.js';
import { tip } from '../tooltip.js';
import { mountMarks } from './clipmarks.js';

const BIN = 0.02;
let hatchId = 0;

/** @param {HTMLElement} box */
export function mountClipPlot(box) {
  const frame = s('svg', { role: 'img' });
  const canvas = h('canvas', { 'aria-hidden': 'true' });
  const says = h('p', { class: 'empty-says' });
  box.append(frame, canvas, says);
  const marks = mountMarks(canvas);
  let drawn = {};
  const draw = () => {
    const [width, height] = [box.clientWidth, box.clientHeight];
    if (!width || !height) return;
    const { record } = state;
    says.hidden = !!record && !record.dead;
    says.textContent = record?.dead ? t('clip.dead') : t('clip.none');
    const derived = record ? derive(record, updateIndex(updatesOf(record))) : placeholder();
    const geometry = clipGeometry(width, height, derived);
    const list = record ? clipMarks(geometry, record, derived) : [];
    drawFrame(frame, geometry, list, derived, !!record && !record.dead);
    drawn = { geometry, list, derived };
    marks.draw({ geometry, list, record, selected: selectedRow(), pin: pinnedToken() });
    setAttr(frame, 'aria-label', t('clip.label', { n: list.length, dead: derived.dead, out: derived.out }));
  };
  tip(box, (e) => hover(box, drawn, e));
  box.addEventListener('click', (e) => {
    const mark = nearest(box, drawn, e);
    if (mark) pinToken(mark.row, mark.token);
  });
  watch(['record', 'k', 'row', 'pin', 'lang', 'theme', 'view'], draw);
  new ResizeObserver(draw).observe(box);
}

// The axes of an empty view are those of the default band.
const placeholder = () => ({
  tokens: [],
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
  if (!mark || !state.record) return regionTip(box, drawn, event);
  const completion = state.record.completions[mark.row];
  const about = tokenTip(completion, drawn.derived.tokens[mark.row], mark.token, updateIndex(updatesOf(state.record)));
  return { ...about, title: `${about.title}, ${t('clip.of', { i: mark.row + 1 })}` };
}

function regionTip(box, { geometry, list }, event) {
  if (!geometry || !list?.length || event.clientX == null) return null;
  const r = box.getBoundingClientRect();
  const [x, y] = [event.clientX - r.left, event.clientY - r.top];
  const panel = geometry.panels.find((p) => x >= p.left && x <= p.left + geometry.panelWidth);
  if (!panel) return null;
  if (y > geometry.histTop && y < geometry.histTop + geometry.hist) return binTip(geometry, panel, list, x);
  const flat = panel.flat.some(([a, b]) => x >= a && x <= b);
  return flat && y > geometry.top && y < geometry.top + geometry.plot
    ? { title: t('clip.flat'), text: t(panel.sign > 0 ? 'clip.flat.up' : 'clip.flat.down') }
    : null;
}

function binTip(geometry, panel, list, x) {
  const log = ((x - panel.left) / geometry.panelWidth) * 2 * geometry.reach - geometry.reach;
  const bin = Math.round(log / BIN);
  const found = histogram(
    list.filter((m) => m.sign === panel.sign),
    BIN,
  ).get(bin);
  const range = `r ${fixed(Math.exp((bin - 0.5) * BIN))}–${fixed(Math.exp((bin + 0.5) * BIN))}`;
  return found
    ? {
        title: range,
        rows: [
          [t('clip.count'), String(found.n)],
          [t('clip.zero'), String(found.dead)],
        ],
      }
    : null;
}

function drawFrame(svg, g, marks, derived, full) {
  setAttr(svg, 'width', g.width);
  setAttr(svg, 'height', g.height);
  hatchId += 1;
  const parts = [hatch(`wb-hatch-${hatchId}`)];
  for (const panel of g.panels) {
    parts.push(...regions(g, panel, full), ...axes(g, panel), ...(full ? [curve(g, panel)] : []));
    parts.push(
      ...bars(
        g,
        panel,
        marks.filter((m) => m.sign === panel.sign),
        `url(#wb-hatch-${hatchId})`,
      ),
      ...bottom(g, panel),
    );
  }
  if (full && derived.flat) parts.push(...g.panels.flatMap((p) => allOne(g, p)));
  parts.push(...offScale(g, marks), ...names(g));
  svg.replaceChildren(...parts);
}

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

function regions(g, panel, full) {
  const rect = (a, b, y, height, fill = 'var(--dead)') =>
    s('rect', { x: a, y, width: Math.max(0, b - a), height, fill });
  const inside = [panel.x(Math.log(Math.max(g.band.low, 1e-6))), panel.x(Math.log(g.band.high))];
  const parts = [rect(...inside, g.histTop, g.hist, 'var(--band)')];
  parts.push(...panel.flat.flatMap(([a, b]) => [rect(a, b, g.top, g.plot), rect(a, b, g.histTop, g.hist)]));
  if (!full) return parts;
  const [a, b] = panel.flat[0];
  const text = { 'text-anchor': 'middle', 'font-size': g.font };
  if (b - a > 66)
    parts.push(
      label((a + b) / 2, g.top + 15, t('clip.gradient0'), { ...text, fill: 'var(--ink2)', 'font-weight': 550 }),
    );
  const [from, to] =
    panel.sign > 0
      ? [panel.left, panel.x(Math.log(Math.max(g.band.low, 1e-6)))]
      : [panel.x(Math.log(g.band.high)), panel.flat[1]?.[0] ?? panel.left + g.panelWidth];
  // A label whose region is too narrow for it is left out, never squeezed.
  if (to - from > 76)
    ['clip.outside1', 'clip.outside2'].forEach((key, i) =>
      parts.push(label((from + to) / 2, g.top + 15 + i * (g.font + 3), t(key), text)),
    );
  return parts;
}

function axes(g, panel) {
  const right = panel.left + g.panelWidth;
  const base = g.histTop + g.hist;
  const colour = panel.sign > 0 ? 'var(--upT)' : 'var(--dnT)';
  const values = ticks(panel.low + 0.02, panel.high - (panel.high - panel.low) * 0.13, Math.max(2, g.plot / 44));
  const grid = values.flatMap((v) => [
    line(panel.left, panel.y(v), right, panel.y(v)),
    label(panel.left - 6, panel.y(v) + 4, fixed(v, 1), { 'text-anchor': 'end', 'font-size': g.font }),
  ]);
  const at = (r, props) => line(panel.x(Math.log(r)), g.top, panel.x(Math.log(r)), base, props);
  const limits = [g.band.low, g.band.high]
    .filter((r) => r > 0)
    .map((r) => at(r, { stroke: 'var(--ink3)', 'stroke-dasharray': '2 3' }));
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

const curve = (g, panel) =>
  s('polyline', {
    points: curvePoints(g, panel),
    fill: 'none',
    stroke: panel.sign > 0 ? 'var(--up)' : 'var(--dn)',
    'stroke-opacity': 0.38,
    'stroke-width': 2.5,
    'stroke-linejoin': 'round',
  });

function bars(g, panel, marks, pattern) {
  const bins = histogram(marks, BIN);
  const most = Math.max(1, ...[...bins.values()].map((b) => b.n));
  const base = g.histTop + g.hist;
  const size = (n) => (Math.log(1 + n) / Math.log(1 + most)) * (g.hist - 3);
  const width = Math.max(1, (BIN / (2 * g.reach)) * g.panelWidth - 1);
  const colour = panel.sign > 0 ? 'var(--up)' : 'var(--dn)';
  const parts = [];
  let peak = null;
  for (const [bin, { n, dead }] of bins) {
    if (Math.abs(bin * BIN) > g.reach) continue;
    const x = panel.x(bin * BIN) - width / 2;
    const [all, lost] = [size(n), (size(n) * dead) / n];
    if (dead < n)
      parts.push(s('rect', { x, y: base - all, width, height: all - lost, fill: colour, 'fill-opacity': 0.72 }));
    if (dead)
      parts.push(
        s('rect', {
          x,
          y: base - lost,
          width,
          height: lost,
          fill: pattern,
          stroke: 'var(--ink2)',
          'stroke-width': 0.8,
        }),
      );
    if (!peak || n > peak.n) peak = { n, x: x + width };
  }
  if (peak) parts.push(label(peak.x + 2, g.histTop + 10, peak.n, { 'font-size': g.font }));
  return parts;
}

function bottom(g, panel) {
  const base = g.histTop + g.hist;
  const fixedTicks = [
    [1, '1'],
    [g.band.low, '1−ε'],
    [g.band.high, '1+ε'],
  ].filter(([r]) => r > 0);
  const apart = (r) => fixedTicks.every(([q]) => Math.abs(Math.log(r / q)) > (g.reach * 2 * 34) / g.panelWidth);
  const extra = [0.35, 0.5, 0.75, 1.33, 2, 3]
    .filter((r) => Math.abs(Math.log(r)) < g.reach * 0.95 && apart(r))
    .map((r) => [r, fixed(r, 2)]);
  const parts = [line(panel.left, base, panel.left + g.panelWidth, base, { stroke: 'var(--ink3)' })];
  // A narrow band: its limits lean outwards, and "1" keeps only its tick.
  const narrow = panel.x(Math.log(g.band.high)) - panel.x(Math.log(Math.max(g.band.low, 1e-6))) < g.font * 4;
  for (const [r, text] of [...fixedTicks, ...extra]) {
    const x = panel.x(Math.log(r));
    parts.push(line(x, base, x, base + 4, { stroke: 'var(--ink3)' }));
    if (narrow && text === '1') continue;
    const lean = narrow && text.includes('ε') ? (r < 1 ? ['end', 6] : ['start', -6]) : ['middle', 0];
    parts.push(
      label(x + lean[1], base + g.font + 4, text, {
        'text-anchor': lean[0],
        'font-size': g.font,
        fill: text.includes('ε') ? 'var(--ink)' : 'var(--ink2)',
      }),
    );
  }
  return parts;
}

function allOne(g, panel) {
  const x = panel.left + g.panelWidth / 2;
  const y = g.top + g.plot * 0.78;
  const halo = { 'text-anchor': 'middle', 'paint-order': 'stroke', stroke: 'var(--sheet)', 'stroke-width': 5 };
  const why = state.record.knobs.num_iterations === 1 ? 'clip.one_why_mu' : 'clip.one_why';
  return [
    label(x, y, t('clip.one'), { ...halo, 'font-size': g.font + 1, fill: 'var(--ink)', 'font-weight': 600 }),
    label(x, y + g.font + 6, t(why), { ...halo, 'font-size': g.font + 0.5, fill: 'var(--ink2)' }),
  ];
}

function offScale(g, marks) {
  return g.panels.flatMap((panel) =>
    [1, -1].flatMap((side) => {
      const n = marks.filter((m) => m.sign === panel.sign && m.off === side).length;
      if (!n) return [];
      const [x, anchor] = side > 0 ? [panel.left + g.panelWidth - 3, 'end'] : [panel.left + 3, 'start'];
      return [
        label(x, g.top + g.plot - 6, t('clip.off', { n }), {
          'text-anchor': anchor,
          'font-size': g.font,
          fill: 'var(--ink)',
          'font-weight': 550,
        }),
      ];
    }),
  );
}

function names(g) {
  const [first, second] = g.panels;
  const small = { 'text-anchor': 'end', 'font-size': g.font - 0.5 };
  const middle = (first.left + g.panelWidth + second.left) / 2;
  const axis = label(middle, g.height - 3, `${t('clip.axis')} r = π / π`, {
    'text-anchor': 'middle',
    'font-size': g.font,
  });
  axis.append(s('tspan', { dy: 3, 'font-size': g.font - 2, text: 'old' }));
  return [
    axis,
    label(first.left - 6, g.histTop + 10, t('clip.count'), small),
    label(first.left - 6, g.top + 9, 'L/|A|', small),
  ];
}
