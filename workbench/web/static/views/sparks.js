// One row of small multiples under the curves: what else to watch, each with its number at the viewed step.
import { h, line, redraw, s, setAttr, setText, sizeOf } from '../dom.js';
import { compact, fixed, known, percent, share } from '../format.js';
import { t } from '../i18n.js';
import {
  curve,
  extreme,
  firstStep,
  lastStep,
  marks,
  metric,
  proposed,
  rowAt,
  viewedRow,
  viewedStep,
} from '../select.js';
import { linear, path, pieces } from '../scale.js';
import { state, watch } from '../store.js';
import { metricTip } from '../tips.js';
import { stepHover } from './stephover.js';

const PAD = 2;

const INK = ['var(--ink2)'];
const dead = { key: 'dead', names: ['frac_reward_zero_std'], tones: INK, text: ([v]) => share(v), top: 1 };
const norm = { key: 'norm', names: ['grad_norm'], tones: INK, text: ([v]) => compact(v) };
const entropy = { key: 'entropy', names: ['entropy'], tones: ['var(--entropy)'], text: ([v]) => fixed(v, 3) };
const length = { key: 'length', names: ['completions/mean_length'], tones: INK, text: ([v]) => fixed(v, 1) };
// Two clip fractions share a panel: the low side takes from pushing down, the high side from pushing up.
const clip = {
  key: 'clip',
  names: ['clip_ratio/low_mean', 'clip_ratio/high_mean'],
  sides: ['low', 'high'],
  tones: ['var(--dn)', 'var(--up)'],
  text: ([a, b]) => `${known(a) ? fixed(100 * a, 1) : '–'} / ${percent(b)}`,
};
const cap = { key: 'cap', names: ['cispo_clip_ratio'], tones: ['var(--up)'], text: ([v]) => percent(v) };
const phi = { key: 'phi', names: ['vespo/phi_seq_mean'], tones: INK, text: ([v]) => fixed(v) };
const unclipped = { key: 'unclipped', names: [], tones: [], text: () => '–' };
const critic = { key: 'critic', names: ['explained_variance'], tones: INK, text: ([v]) => fixed(v), top: 1 };
const pairs = { key: 'pairs', names: ['rewards/accuracies'], tones: INK, text: ([v]) => share(v), top: 1 };

/**
 * The five small panels of this run: what its method and its loss have in the place of dead groups and clip.
 * @returns {object[]}
 */
export function sparks() {
  const first = { ppo: critic, dpo: pairs }[state.method] ?? dead;
  const byLoss = { cispo: cap, vespo: phi, sapo: unclipped, online: unclipped }[proposed().loss_type] ?? clip;
  return [first, ['grpo', 'ppo'].includes(state.method) ? byLoss : unclipped, entropy, length, norm];
}

/** @param {HTMLElement} root */
export function mountSparks(root) {
  const cells = sparks().map(() => {
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
      (step) => hoverTip(sparks()[i], step),
    ),
  );
  const draw = () => {
    const shown = sparks();
    cells.forEach((cell, i) => drawSpark(cell, shown[i]));
  };
  watch(['rows', 'step', 'events', 'numSteps', 'lang', 'theme', 'view', 'method', 'knobs'], draw);
  new ResizeObserver(draw).observe(root);
}

const values = (spark, row) => spark.names.map((name) => metric(row, name));

function hoverTip(spark, step) {
  const at = values(spark, rowAt(step));
  const [title, where] = [t(`spark.${spark.key}.long`), t('run.step_n', { n: step })];
  if (spark.sides) return { title: `${title}, ${where}`, text: t('spark.clip.help'), rows: sideRows(spark, at) };
  const about = metricTip(spark.names[0] ?? '', title);
  return { ...about, text: about.text || t(`spark.${spark.key}.help`), rows: [[where, spark.text(at)]] };
}

const sideRows = ({ sides }, at) => sides.map((side, i) => [t(`spark.clip.${side}`), percent(at[i])]);

function drawSpark(cell, spark) {
  setText(cell.name, t(`spark.${spark.key}`));
  const row = viewedRow();
  setText(cell.value, row ? spark.text(values(spark, row)) : '–');
  const { width, height } = sizeOf(cell.plot);
  if (!width || !height) return;
  setAttr(cell.svg, 'width', width);
  setAttr(cell.svg, 'height', height);
  const x = linear(firstStep(), lastStep(), PAD, width - PAD - 2);
  cell.axes = { x, left: PAD, right: width - PAD - 2 };
  const lists = spark.names.map(curve);
  const most = spark.top ?? lists.reduce((best, { values: ys }) => extreme(ys, 1, best), 0);
  const least = lists.reduce((low, { values: ys }) => extreme(ys, -1, low), 0);
  const y = linear(least, most || (least < 0 ? 0 : 1), height - 3, 3);
  redraw(cell.svg, shapes({ x, y, width, height, lists, spark, row }));
}

function shapes({ x, y, width, height, lists, spark, row }) {
  const at = row ? x(viewedStep()) : null;
  const dots = row
    ? values(spark, row).flatMap((v, i) =>
        known(v) ? [s('circle', { cx: at, cy: y(v), r: 2.4, fill: spark.tones[i], stroke: 'var(--sheet)' })] : [],
      )
    : [];
  return [
    line(0, y(0) + 0.5, width, y(0) + 0.5, { stroke: 'var(--line2)' }),
    ...marks().map((m) =>
      line(x(m.step), 0, x(m.step), height - 3, { stroke: 'var(--line2)', 'stroke-dasharray': '2 2' }),
    ),
    ...lists.map(({ steps, values: ys }, i) =>
      s('path', {
        d: path(pieces(steps.map(x), ys), y),
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
