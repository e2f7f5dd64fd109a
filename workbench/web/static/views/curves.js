// Reward and KL over the steps of the run, with a numbered mark where a knob changed.
import { goToStep } from '../actions.js';
import { h, label, line, s, setAttr } from '../dom.js';
import { compact, fixed, known } from '../format.js';
import { rewardName, t } from '../i18n.js';
import { knobLine } from '../knobwords.js';
import { ema } from '../math.js';
import { extreme, firstStep, lastStep, marks, metric, rowAt, series, viewedRow, viewedStep } from '../select.js';
import { linear, niceStep, path, pieces, stepTicks, tickDigits, ticks } from '../scale.js';
import { state, watch } from '../store.js';
import { tip } from '../tooltip.js';

const COMPONENTS = 4;
// Labels may lie on grid lines and knob marks.
const HALO = { 'paint-order': 'stroke', stroke: 'var(--sheet)', 'stroke-width': 4 };
const TONES = ['var(--s2)', 'var(--s2)', 'var(--s3)', 'var(--s3)'];

/** @param {HTMLElement} box */
export function mountCurves(box) {
  const svg = s('svg', { role: 'img' });
  const hair = h('i', { class: 'hair' });
  box.append(svg, hair);
  hair.hidden = true;
  let axes = null;
  const draw = () => {
    if (!box.clientWidth || !box.clientHeight) return;
    axes = layout(box.clientWidth, box.clientHeight);
    setAttr(svg, 'width', box.clientWidth);
    setAttr(svg, 'height', box.clientHeight);
    svg.replaceChildren(
      ...regimes(axes),
      ...rewardPanel(axes),
      ...klPanel(axes),
      ...knobMarks(axes),
      ...cursor(axes),
      ...stepAxis(axes),
    );
    setAttr(svg, 'aria-label', t('curves.label', { n: state.rows.length }));
  };
  stepHover(box, hair, () => axes, hoverTip);
  watch(['rows', 'step', 'events', 'numSteps', 'lang', 'theme', 'view', 'record'], draw);
  new ResizeObserver(draw).observe(box);
}

/**
 * A hair line, a tip and a click on any plot over steps.
 * @param {HTMLElement} box  @param {HTMLElement} hair  @param {() => {x: Function, left: number, right: number, top?: number, bottom?: number}|null} axes
 * @param {(step: number) => import('../tooltip.js').Tip|null} describe
 */
export function stepHover(box, hair, axes, describe) {
  const stepOf = (event) => {
    const a = axes();
    if (!a || event.clientX == null || !state.rows.length) return null;
    const x = event.clientX - box.getBoundingClientRect().left;
    if (x < a.left - 6 || x > a.right + 6) return null;
    const step = Math.round(linear(a.left, a.right, firstStep(), lastStep())(x));
    return rowAt(step) ? step : null;
  };
  tip(box, (event) => {
    const step = stepOf(event);
    hair.hidden = step == null;
    if (step == null) return null;
    const a = axes();
    hair.style.transform = `translateX(${a.x(step)}px)`;
    hair.style.top = `${a.top ?? 0}px`;
    hair.style.height = `${(a.bottom ?? box.clientHeight) - (a.top ?? 0)}px`;
    return describe(step);
  });
  box.addEventListener('pointerleave', () => (hair.hidden = true));
  box.addEventListener('click', (event) => {
    const step = stepOf(event);
    if (step != null) goToStep(step);
  });
}

function layout(width, height) {
  const big = width > 580;
  const font = big ? 12.5 : 11;
  const [left, margin, top, axis, gap] = [big ? 38 : 34, big ? 112 : 96, 24, 20, big ? 34 : 30];
  const room = height - top - axis - gap;
  const klHeight = Math.round(room * 0.27);
  const rewardBottom = height - axis - gap - klHeight;
  // Labels stand right of the newest step. Near the end of a run the axis gives way to them, a little a step.
  const done = ((state.rows.at(-1)?.step ?? firstStep()) - firstStep()) / (lastStep() - firstStep());
  const right = Math.min(width - 4, left + (width - margin - left) / Math.max(done, 0.1));
  return {
    width,
    height,
    font,
    big,
    left,
    right,
    top,
    rewardBottom,
    klTop: height - axis - klHeight,
    bottom: height - axis,
    x: linear(firstStep(), lastStep(), left, right),
  };
}

// What each reward function adds to the mean: weighted, so that the parts sum up to it. One that weighs nothing is shown as
// it is, with a dashed line: it is there to be watched.
function rewardNames() {
  const row = state.rows.at(-1);
  const all = Object.keys(row?.metrics ?? {}).map((key) => /^rewards\/(.+)\/mean$/.exec(key)?.[1]);
  return all
    .filter(Boolean)
    .map((name) => ({ name, counts: name in (row.reward_parts ?? {}), key: `rewards/${name}/mean` }));
}

const part = (row, { name, counts, key }) => (counts ? (row?.reward_parts?.[name] ?? null) : metric(row, key));
const partName = ({ name, counts }) => (counts ? rewardName(name) : t('curves.uncounted', { name: rewardName(name) }));

function hoverTip(step) {
  const row = rowAt(step);
  const near = marks().find((m) => m.step === step);
  const names = rewardNames();
  return {
    title: t('run.step_n', { n: step }),
    rows: [
      [t('curves.mean'), fixed(metric(row, 'reward'))],
      ...names.map((n) => [partName(n), fixed(part(row, n))]),
      [t('curves.band'), `${fixed(row.reward_low)}–${fixed(row.reward_high)}`],
      [t('curves.kl'), fixed(metric(row, 'kl'), 3)],
      ...(near ? near.events.map((e) => [t('curves.knob', { n: near.number }), knobLine(e)]) : []),
    ],
  };
}

// ---- panels

function rewardPanel(a) {
  const names = rewardNames().slice(0, COMPONENTS);
  const rewards = series('reward');
  const xs = series('step').map(a.x);
  const parts = names.length > 1 ? names.map((n) => series(n.counts ? n.name : n.key)) : [];
  const all = [rewards, series('reward_low'), series('reward_high'), ...parts];
  const top = all.reduce((best, values) => extreme(values, 1, best), state.record?.reward_max ?? 0) || 1;
  const low = all.reduce((best, values) => extreme(values, -1, best), 0);
  const y = linear(low, top * 1.06, a.rewardBottom, a.top);
  a.rewardY = y;
  const values = ticks(low, top, Math.max(2, (a.rewardBottom - a.top) / 28));
  const grid = values.flatMap((v) => [
    line(a.left, y(v), a.right, y(v), { stroke: v === 0 ? 'var(--line2)' : 'var(--line)' }),
    label(a.left - 6, y(v) + 4, fixed(v, tickDigits(values)), { 'text-anchor': 'end', 'font-size': a.font }),
  ]);
  if (!state.rows.length) return [...grid, emptyNote(a)];
  const smooth = (ys) => ema(ys, 2 / (Math.max(4, ys.length / 25) + 1));
  const average = smooth(rewards);
  const curve = (ys, stroke, width, dash = 'none') =>
    s('path', {
      d: path(pieces(xs, ys), y),
      fill: 'none',
      stroke,
      'stroke-width': width,
      'stroke-dasharray': dash,
      'stroke-linejoin': 'round',
    });
  const dense = state.rows.length > (a.right - a.left) / 4;
  const dots = dense
    ? [curve(rewards, 'var(--line2)', 1)]
    : rewards.flatMap((v, i) =>
        known(v) ? [s('circle', { cx: xs[i], cy: y(v), r: 1.9, fill: 'var(--ink)', 'fill-opacity': 0.42 })] : [],
      );
  return [
    ...grid,
    band(xs, y),
    ...(dense ? dots : []),
    ...parts.map((p, i) => curve(dense ? smooth(p) : p, TONES[i], 1.3, names[i].counts ? 'none' : '4 3')),
    ...(dense ? [] : dots),
    curve(average, 'var(--ink)', 2),
    ...endLabels(a, names, parts, average, y),
  ];
}

function band(xs, y) {
  const upper = pieces(xs, series('reward_high'));
  const lower = pieces(xs, series('reward_low'));
  const at = ([x, v]) => `${x.toFixed(1)} ${y(v).toFixed(1)}`;
  const d = upper
    .map((p, i) => (lower[i] ? `M${p.map(at).join('L')}L${[...lower[i]].reverse().map(at).join('L')}Z` : ''))
    .join('');
  return s('path', { d, fill: 'var(--s1)', 'fill-opacity': 0.1 });
}

// Names stand at the ends of their lines; their numbers are those of the viewed step.
function endLabels(a, names, parts, average, y) {
  const row = viewedRow();
  const last = (ys) => ys.findLast(known);
  const items = [
    { text: `${t('curves.mean')} ${fixed(metric(row, 'reward'))}`, at: y(last(average) ?? 0), main: true },
  ];
  parts.forEach((p, i) =>
    items.push({ text: `${partName(names[i])} ${fixed(part(row, names[i]))}`, at: y(last(p) ?? 0) }),
  );
  spread(items, a.font + 2, a.top + 4, a.rewardBottom - 2);
  const x = labelX(a);
  return items.map((it) =>
    label(x, it.at + 4, it.text, {
      ...HALO,
      'font-size': a.font + (it.main ? 0.5 : 0),
      'font-weight': it.main ? 600 : 400,
      fill: it.main ? 'var(--ink)' : 'var(--ink2)',
    }),
  );
}

const labelX = (a) => Math.min(a.right + 10, Math.max(a.x(state.rows.at(-1).step), a.x(viewedStep())) + 10);

// Push labels apart, downwards first, then back up from the floor.
function spread(items, pitch, top, bottom) {
  items.sort((p, q) => p.at - q.at);
  items.forEach((it, i) => (it.at = Math.max(it.at, i ? items[i - 1].at + pitch : top)));
  for (let i = items.length - 1, floor = bottom; i >= 0; i -= 1, floor = items[i + 1].at - pitch)
    items[i].at = Math.min(items[i].at, floor);
}

function emptyNote(a) {
  return label(a.left + 8, a.top + 20, t('curves.empty'), { 'font-size': a.font + 1, fill: 'var(--ink2)' });
}

function klPanel(a) {
  const values = series('kl');
  const most = extreme(values, 1, 0);
  const step = niceStep((most || 0.1) / 1.2);
  const top = Math.max(most * 1.06, step);
  const y = linear(0, top, a.bottom, a.klTop);
  a.klY = y;
  const shown = [0, step];
  const grid = shown.flatMap((v) => [
    line(a.left, y(v), a.right, y(v), { stroke: v ? 'var(--line)' : 'var(--line2)' }),
    label(a.left - 4, y(v) + 4, v ? fixed(v, tickDigits([0, step])) : '0', {
      'text-anchor': 'end',
      'font-size': a.font,
    }),
  ]);
  const title = label(0, a.klTop - 9, t('curves.kl_title', { form: state.knobs.kl_estimator ?? 'k3' }), {
    'font-size': a.font + 1,
    'font-weight': 650,
    fill: 'var(--ink)',
  });
  const lines = pieces(series('step').map(a.x), values);
  const now = metric(viewedRow(), 'kl');
  if (!lines.length)
    return [
      ...grid,
      title,
      ...(state.rows.length
        ? [label(a.left + 8, a.bottom - 10, t('curves.no_kl'), { 'font-size': a.font, fill: 'var(--ink2)' })]
        : []),
    ];
  const area = lines
    .map(
      (p) =>
        `M${p[0][0].toFixed(1)} ${y(0)}L${p.map(([x, v]) => `${x.toFixed(1)} ${y(v).toFixed(1)}`).join('L')}L${p.at(-1)[0].toFixed(1)} ${y(0)}Z`,
    )
    .join('');
  const end = values.findLast(known);
  return [
    ...grid,
    title,
    s('path', { d: area, fill: 'var(--kl)', 'fill-opacity': 0.13 }),
    s('path', {
      d: path(lines, y),
      fill: 'none',
      stroke: 'var(--kl)',
      'stroke-width': 1.6,
      'stroke-linejoin': 'round',
    }),
    label(labelX(a), Math.min(a.bottom - 1, y(end) + 4), fixed(now, 3), {
      ...HALO,
      'font-size': a.font + 0.5,
      'font-weight': 600,
      fill: 'var(--kl)',
    }),
  ];
}

// ---- marks and cursor

// Every second regime between knob changes is tinted, as far as the run has come.
function regimes(a) {
  const list = marks();
  const end = state.rows.at(-1)?.step ?? 1;
  return list.flatMap((mark, i) => {
    if (i % 2) return [];
    const [from, to] = [a.x(mark.step), a.x(list[i + 1]?.step ?? end)];
    if (to <= from) return [];
    const rect = (y, height) => s('rect', { x: from, y, width: to - from, height, fill: 'var(--sunk)', opacity: 0.75 });
    return [rect(a.top, a.rewardBottom - a.top), rect(a.klTop, a.bottom - a.klTop)];
  });
}

function knobMarks(a) {
  const list = marks();
  const dash = { stroke: 'var(--ink2)', 'stroke-dasharray': '3 3' };
  let free = -Infinity;
  return list.flatMap((mark, i) => {
    const x = a.x(mark.step);
    const parts = [line(x, a.top - 4, x, a.rewardBottom, dash), line(x, a.klTop, x, a.bottom, dash)];
    if (x - free < 4) return parts;
    const r = a.big ? 8 : 7;
    parts.push(
      s('circle', { cx: x, cy: a.top - 12, r, fill: 'var(--ink)' }),
      label(x, a.top - 8.4, mark.number, {
        'text-anchor': 'middle',
        'font-size': mark.number > 9 ? a.font - 2 : a.font - 1,
        'font-weight': 650,
        fill: 'var(--sheet)',
      }),
    );
    free = x + 2 * r;
    const text = mark.events.map(knobLine).join(', ');
    const width = text.length * a.font * 0.56;
    const next = list[i + 1] ? a.x(list[i + 1].step) - r - 4 : a.width;
    if (x + 12 + width < next) {
      parts.push(label(x + 12, a.top - 8, text, { 'font-size': a.font, fill: 'var(--ink)' }));
      free = x + 12 + width;
    }
    return parts;
  });
}

function cursor(a) {
  const row = viewedRow();
  if (!row) return [];
  const x = a.x(row.step);
  const dot = (y, r, fill) => s('circle', { cx: x, cy: y, r, fill, stroke: 'var(--sheet)', 'stroke-width': 1.5 });
  const [reward, kl] = [metric(row, 'reward'), metric(row, 'kl')];
  return [
    line(x, a.top, x, a.bottom, { stroke: 'var(--ink)' }),
    known(reward) && dot(a.rewardY(reward), 3.5, 'var(--ink)'),
    known(kl) && dot(a.klY(kl), 3, 'var(--kl)'),
  ].filter(Boolean);
}

function stepAxis(a) {
  const now = state.rows.length ? viewedStep() : null;
  const shown = stepTicks(firstStep(), lastStep(), 4).filter(
    (v) => now == null || v === now || Math.abs(a.x(v) - a.x(now)) > 34,
  );
  const kept = [];
  for (const v of shown) if (!kept.length || a.x(v) - a.x(kept.at(-1)) > 26) kept.push(v);
  const anchor = (v) => (v === firstStep() ? 'start' : v === lastStep() ? 'end' : 'middle');
  const plain = kept
    .filter((v) => v !== now)
    .map((v) => label(a.x(v), a.bottom + 15, compactStep(v), { 'text-anchor': anchor(v), 'font-size': a.font }));
  return now == null
    ? plain
    : [
        ...plain,
        label(a.x(now), a.bottom + 15, t('run.step_n', { n: now }), {
          'text-anchor': 'middle',
          'font-size': a.font,
          fill: 'var(--ink)',
          'font-weight': 600,
        }),
      ];
}

const compactStep = (v) => (v >= 10000 ? `${compact(v / 1000)}k` : String(v));
