// One row of small multiples under the curves: what else to watch, each with its number at the viewed step.
import { h, line, s, setAttr, setText } from '../dom.js';
import { compact, fixed, known, percent, share } from '../format.js';
import { t } from '../i18n.js';
import { extreme, firstStep, lastStep, marks, metric, rowAt, series, viewedRow, viewedStep } from '../select.js';
import { linear, path, pieces } from '../scale.js';
import { watch } from '../store.js';
import { metricTip } from '../tips.js';
import { stepHover } from './curves.js';

const PAD = 2;

// Two clip fractions share a panel: the low side takes from pushing down, the high side from pushing up.
const SPARKS = [
  { key: 'dead', names: ['frac_reward_zero_std'], tones: ['var(--ink2)'], text: ([v]) => share(v), top: 1 },
  {
    key: 'clip',
    names: ['clip_ratio/low_mean', 'clip_ratio/high_mean'],
    tones: ['var(--dn)', 'var(--up)'],
    text: ([a, b]) => `${known(a) ? fixed(100 * a, 1) : '–'} / ${percent(b)}`,
  },
  { key: 'entropy', names: ['entropy'], tones: ['var(--entropy)'], text: ([v]) => fixed(v, 3) },
  { key: 'length', names: ['completions/mean_length'], tones: ['var(--ink2)'], text: ([v]) => fixed(v, 1) },
  { key: 'norm', names: ['grad_norm'], tones: ['var(--ink2)'], text: ([v]) => compact(v) },
];

/** @param {HTMLElement} root */
export function mountSparks(root) {
  const cells = SPARKS.map(() => {
    const svg = s('svg', { 'aria-hidden': 'true' });
    const hair = h('i', { class: 'hair' });
    hair.hidden = true;
    const plot = h('div', { class: 'spark-plot' }, svg, hair);
    return { svg, plot, hair, name: h('span', { class: 'spark-name' }), value: h('b', {}), axes: null };
  });
  root.append(
    ...cells.map((c) => h('div', { class: 'spark' }, h('div', { class: 'spark-head' }, c.name, c.value), c.plot)),
  );
  cells.forEach((cell, i) =>
    stepHover(
      cell.plot,
      cell.hair,
      () => cell.axes,
      (step) => hoverTip(SPARKS[i], step),
    ),
  );
  const draw = () => cells.forEach((cell, i) => drawSpark(cell, SPARKS[i]));
  watch(['rows', 'step', 'events', 'numSteps', 'lang', 'theme', 'view'], draw);
  new ResizeObserver(draw).observe(root);
}

const values = (spark, row) => spark.names.map((name) => metric(row, name));

function hoverTip(spark, step) {
  const row = rowAt(step);
  const about = metricTip(spark.names[0], t(`spark.${spark.key}.long`), spark.text(values(spark, row)));
  return { ...about, text: about.text || t(`spark.${spark.key}.help`), rows: [[t('run.where'), String(step)]] };
}

function drawSpark(cell, spark) {
  setText(cell.name, t(`spark.${spark.key}`));
  const row = viewedRow();
  setText(cell.value, row ? spark.text(values(spark, row)) : '–');
  const [width, height] = [cell.plot.clientWidth, cell.plot.clientHeight];
  if (!width || !height) return;
  setAttr(cell.svg, 'width', width);
  setAttr(cell.svg, 'height', height);
  const x = linear(firstStep(), lastStep(), PAD, width - PAD - 2);
  cell.axes = { x, left: PAD, right: width - PAD - 2 };
  const lists = spark.names.map(series);
  const most = spark.top ?? lists.reduce((best, ys) => extreme(ys, 1, best), 0);
  const y = linear(0, most || 1, height - 3, 3);
  cell.svg.replaceChildren(...shapes({ x, y, width, height, lists, spark, row }));
}

function shapes({ x, y, width, height, lists, spark, row }) {
  const xs = series('step').map(x);
  const at = row ? x(viewedStep()) : null;
  const dots = row
    ? values(spark, row).flatMap((v, i) =>
        known(v) ? [s('circle', { cx: at, cy: y(v), r: 2.4, fill: spark.tones[i], stroke: 'var(--sheet)' })] : [],
      )
    : [];
  return [
    line(0, height - 2.5, width, height - 2.5, { stroke: 'var(--line2)' }),
    ...marks().map((m) =>
      line(x(m.step), 0, x(m.step), height - 3, { stroke: 'var(--line2)', 'stroke-dasharray': '2 2' }),
    ),
    ...lists.map((ys, i) =>
      s('path', {
        d: path(pieces(xs, ys), y),
        fill: 'none',
        stroke: spark.tones[i],
        'stroke-width': 1.3,
        'stroke-linejoin': 'round',
      }),
    ),
    ...(row ? [line(at, 0, at, height - 2, { stroke: 'var(--ink)', 'stroke-opacity': 0.5 })] : []),
    ...dots,
  ];
}
