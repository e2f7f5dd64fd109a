// What crosses the panels over the steps: knob changes, rounds of a learned reward, the viewed step, the axis.
import { label, line, s } from '../dom.js';
import { compact, known } from '../format.js';
import { t } from '../i18n.js';
import { knobLine } from '../knobwords.js';
import { firstStep, lastStep, marks, metric, roundStarts, viewedRow, viewedStep } from '../select.js';
import { stepTicks } from '../scale.js';
import { state } from '../store.js';
import { HALO } from './rewardpanel.js';

// Every second regime between knob changes is tinted, as far as the run has come.
/** @param {object} a  @returns {SVGElement[]} */
export function regimes(a) {
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

/** @param {object} a  @returns {SVGElement[]} */
export function knobMarks(a) {
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

/**
 * Thin lines where a learned reward was trained anew, numbered at the foot.
 * @param {object} a
 * @returns {SVGElement[]}
 */
export function rounds(a) {
  let free = -Infinity;
  return roundStarts().flatMap(({ number, step }) => {
    const x = a.x(step);
    const parts = [a.top, a.klTop].map((top, i) =>
      line(x, top, x, i ? a.bottom : a.rewardBottom, { stroke: 'var(--line2)' }),
    );
    const text = free < 0 ? t('curves.round', { n: number }) : String(number);
    if (x < free) return parts;
    free = x + text.length * a.font * 0.6 + 10;
    return [...parts, label(x + 4, a.rewardBottom - 4, text, { ...HALO, 'font-size': a.font - 1 })];
  });
}

/** @param {object} a  @returns {SVGElement[]} */
export function cursor(a) {
  const row = viewedRow();
  if (!row) return [];
  const x = a.x(row.step);
  const dot = (y, r, fill) => s('circle', { cx: x, cy: y, r, fill, stroke: 'var(--sheet)', 'stroke-width': 1.5 });
  const [reward, kl] = [a.rewardAt(row), metric(row, 'kl')];
  return [
    line(x, a.top, x, a.bottom, { stroke: 'var(--ink)' }),
    known(reward) && dot(reward, 3.5, 'var(--ink)'),
    known(kl) && dot(a.klY(kl), 3, 'var(--kl)'),
  ].filter(Boolean);
}

/** @param {object} a  @returns {SVGElement[]} */
export function stepAxis(a) {
  const now = state.rows.length ? viewedStep() : null;
  const anchor = (v) => (v === firstStep() ? 'start' : v === lastStep() ? 'end' : 'middle');
  const wide = (text) => [...text].reduce((sum, c) => sum + a.font * (c > '⺀' ? 1 : 0.6), 0);
  const reach = (v) => wide(compactStep(v)) / (anchor(v) === 'middle' ? 2 : 1);
  const apart = (v) => Math.max(34, reach(v) + wide(t('run.step_n', { n: now })) / 2 + 4);
  const shown = stepTicks(firstStep(), lastStep(), 4).filter(
    (v) => now == null || v === now || Math.abs(a.x(v) - a.x(now)) > apart(v),
  );
  const kept = [];
  for (const v of shown) if (!kept.length || a.x(v) - a.x(kept.at(-1)) > 26) kept.push(v);
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
