// The lower panel over the steps: the KL to the reference.
import { label, line, s } from '../dom.js';
import { known, telling, tick } from '../format.js';
import { t } from '../i18n.js';
import { klForm } from '../meaning.js';
import { curve, extreme, metric, viewedRow } from '../select.js';
import { linear, niceStep, path, pieces, tickDigits } from '../scale.js';
import { state } from '../store.js';
import { HALO, labelX, tickLabel } from './rewardpanel.js';

/** @param {object} a  the axes of the plot  @returns {SVGElement[]} */
export function klPanel(a) {
  const { steps, values } = curve('kl');
  const [most, least] = [extreme(values, 1, 0), extreme(values, -1, 0)]; // k1 has either sign
  const step = niceStep((Math.max(most, -least) || 0.1) / 1.2) * (-least > most ? -1 : 1);
  const y = linear(Math.min(least * 1.06, step, 0), Math.max(most * 1.06, step, 0), a.bottom, a.klTop);
  a.klY = y;
  const shown = [0, step];
  const digits = tickDigits(shown);
  const grid = shown.map((v) => line(a.left, y(v), a.right, y(v), { stroke: v ? 'var(--line)' : 'var(--line2)' }));
  a.front.push(...shown.map((v) => tickLabel(a, y(v) + 4, v ? tick(v, digits) : '0')));
  const title = label(0, a.klTop - 9, t('curves.kl_title', { form: t(`kl.${klForm(state.record ?? state)}`) }), {
    ...HALO,
    'font-size': a.font + 1,
    'font-weight': 650,
    fill: 'var(--ink)',
  });
  a.front.push(title);
  const lines = pieces(steps.map(a.x), values);
  const now = metric(viewedRow(), 'kl');
  if (!lines.length)
    return [
      ...grid,
      ...(state.rows.length
        ? [label(a.left + 8, a.bottom - 10, t('curves.no_kl'), { 'font-size': a.font, fill: 'var(--ink2)' })]
        : []),
    ];
  const area = lines.map((p) => [[p[0][0], 0], ...p, [p.at(-1)[0], 0]]);
  const end = values.findLast(known);
  return [
    ...grid,
    s('path', { d: path(area, y), fill: 'var(--kl)', 'fill-opacity': 0.13 }),
    s('path', {
      d: path(lines, y),
      fill: 'none',
      stroke: 'var(--kl)',
      'stroke-width': 1.6,
      'stroke-linejoin': 'round',
    }),
    valueLabel(a, y(end), now, digits),
  ];
}

// The number at the end of the line has the digits of its axis, that the two agree.
function valueLabel(a, y, now, digits) {
  const text = telling(now, now ? Math.max(3, Math.min(4, digits)) : 3);
  const style = { ...HALO, 'font-size': a.font + 0.5, 'font-weight': 600, fill: 'var(--kl)' };
  return label(labelX(a), Math.min(a.bottom - 1, y + 4), text, style);
}
