// The upper panel over the steps: reward with its parts, or the learned reward beside the true one.
import { label, line, s } from '../dom.js';
import { amount, known, tick } from '../format.js';
import { t } from '../i18n.js';
import { ema } from '../math.js';
import { isLearned, rewardLines } from '../rewards.js';
import { countSteps, curve, emptyKey, extreme, viewedRow, viewedStep } from '../select.js';
import { linear, path, pieces, tickDigits, ticks } from '../scale.js';
import { state } from '../store.js';

const COMPONENTS = 5; // reward functions with a line: of more, those that are largest at the end
// Labels may lie on grid lines and knob marks.
export const HALO = { 'paint-order': 'stroke', stroke: 'var(--sheet)', 'stroke-width': 4 };
const TONES = ['var(--s2)', 'var(--s2)', 'var(--s3)', 'var(--s3)', 'var(--s3)'];

/** @param {object} a  the axes of the plot  @returns {SVGElement[]} */
export function rewardPanel(a) {
  const { lines: all, own } = rewardLines();
  const lines = largest(all);
  const { y, grid } = scale(a, lines, own);
  if (!state.rows.length) return [...grid, emptyNote(a)];
  const dense = countSteps() > (a.right - a.left) / 4;
  const alpha = 2 / (Math.max(4, countSteps() / 25) + 1);
  const smooth = ({ curve: { means }, height }) => ({
    xs: means.steps.map(a.x),
    ys: ema(means.values, alpha, means.widths).map((v) => (v == null ? null : height(v))),
  });
  const exact = ({ curve: { steps }, heights }) => ({ xs: steps.map(a.x), ys: heights });
  const thick = lines.filter(isThick);
  const thin = lines.filter((each) => !isThick(each));
  // The cursor's dot lies on the thick line.
  a.rewardAt = (row) => (known(thick[0].of(row)) ? y(thick[0].height(thick[0].of(row))) : null);
  return [
    ...grid,
    ...(own ? [] : [band(a, y)]),
    ...(dense ? thick.map((each) => trace(exact(each), y, 'var(--line2)', 1)) : []),
    ...thin.map((each, i) =>
      trace(dense ? smooth(each) : exact(each), y, TONES[i], 1.3, each.is === 'part' ? 'none' : '4 3'),
    ),
    ...(dense ? [] : thick.flatMap((each) => dots(exact(each), y, toneOf(each)))),
    ...thick.map((each) => trace(smooth(each), y, toneOf(each), 2, each.is === 'learned' ? '6 4' : 'none')).reverse(),
    ...endLabels(
      a,
      lines.map((each) => ({ ...each, end: y((isThick(each) ? smooth(each).ys : each.heights).findLast(known) ?? 0) })),
    ),
  ];
}

function largest([main, ...parts]) {
  const end = ({ values }) => Math.abs(values.findLast(known) ?? 0);
  const most = [...parts].sort((p, q) => end(q) - end(p)).slice(0, COMPONENTS);
  return [main, ...parts.filter((part) => most.includes(part))];
}

const isThick = ({ is }) => is === 'main' || is === 'learned';
const toneOf = ({ is }) => (is === 'learned' ? 'var(--s1)' : 'var(--ink)');

function scale(a, lines, own) {
  const band = own ? [] : [curve('reward_low').means.values, curve('reward_high').means.values];
  const all = [...lines.map((each) => each.heights), ...band];
  const best = own || isLearned() ? 0 : (state.record?.reward_max ?? 0);
  const top = all.reduce((most, values) => extreme(values, 1, most), best) || 1;
  const low = all.reduce((least, values) => extreme(values, -1, least), 0);
  const y = linear(low, top * 1.06, a.rewardBottom, a.top);
  const values = ticks(low, top, Math.max(2, (a.rewardBottom - a.top) / 28));
  const number = (v) => tickLabel(a, y(v) + 4, tick(v, tickDigits(values)));
  if (!own) a.front.push(...values.map(number));
  const grid = values.map((v) =>
    line(a.left, y(v), a.right, y(v), { stroke: v === 0 ? 'var(--line2)' : 'var(--line)' }),
  );
  return { y, grid };
}

const trace = ({ xs, ys }, y, stroke, width, dash = 'none') =>
  s('path', {
    d: path(pieces(xs, ys), y),
    fill: 'none',
    stroke,
    'stroke-width': width,
    'stroke-dasharray': dash,
    'stroke-linejoin': 'round',
  });

const dots = ({ xs, ys }, y, fill) =>
  ys.flatMap((v, i) => (known(v) ? [s('circle', { cx: xs[i], cy: y(v), r: 1.9, fill, 'fill-opacity': 0.42 })] : []));

function band(a, y) {
  const [upper, lower] = ['reward_high', 'reward_low'].map((name) => {
    const { steps, values } = curve(name).means;
    return pieces(steps.map(a.x), values);
  });
  const at = ([x, v]) => `${x.toFixed(1)} ${y(v).toFixed(1)}`;
  const d = upper
    .map((p, i) => (lower[i] ? `M${p.map(at).join('L')}L${[...lower[i]].reverse().map(at).join('L')}Z` : ''))
    .join('');
  return s('path', { d, fill: 'var(--s1)', 'fill-opacity': 0.1 });
}

// Names stand at the ends of their lines; their numbers are those of the viewed step.
function endLabels(a, lines) {
  const row = viewedRow();
  const x = labelX(a);
  const items = lines.map((each) => ({
    text: fitted(each.label, ` ${amount(each.of(row))}`, a.width - x, a.font),
    at: each.end,
    main: each.is === 'main',
  }));
  spread(items, a.font + 2, a.top + 4, a.rewardBottom - 2);
  return items.map((it) =>
    label(x, it.at + 4, it.text, {
      ...HALO,
      'font-size': a.font + (it.main ? 0.5 : 0),
      'font-weight': it.main ? 600 : 400,
      fill: it.main ? 'var(--ink)' : 'var(--ink2)',
    }),
  );
}

const ruler = document.createElement('canvas').getContext('2d');

// A name gives way to its number.
function fitted(name, number, room, font) {
  ruler.font = `600 ${font}px Inter, sans-serif`;
  const fits = (text) => ruler.measureText(text).width <= room;
  if (fits(name + number)) return name + number;
  let short = name;
  while (short.length > 1 && !fits(`${short}…${number}`)) short = short.slice(0, -1).trimEnd();
  return `${short}…${number}`;
}

/**
 * A number at the left of an axis. A long one begins at the edge, or its first digits would be cut off.
 * @param {object} a  @param {number} y  @param {string} text  @returns {SVGElement}
 */
export const tickLabel = (a, y, text) =>
  text.length > 4
    ? label(0, y, text, { ...HALO, 'font-size': a.font })
    : label(a.left - 5, y, text, { 'text-anchor': 'end', 'font-size': a.font });

/** Where labels stand: right of the newest step and of the cursor. @param {object} a  @returns {number} */
export const labelX = (a) => Math.min(a.right + 10, Math.max(a.x(state.rows.at(-1).step), a.x(viewedStep())) + 10);

// Push labels apart, downwards first, then back up from the floor.
function spread(items, pitch, top, bottom) {
  items.sort((p, q) => p.at - q.at);
  items.forEach((it, i) => (it.at = Math.max(it.at, i ? items[i - 1].at + pitch : top)));
  for (let i = items.length - 1, floor = bottom; i >= 0; i -= 1, floor = items[i + 1].at - pitch)
    items[i].at = Math.min(items[i].at, floor);
}

function emptyNote(a) {
  return label(a.left + 8, a.top + 20, t(emptyKey('curves.empty')), { 'font-size': a.font + 1, fill: 'var(--ink2)' });
}
