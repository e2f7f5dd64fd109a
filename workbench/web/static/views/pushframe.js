// The frame of the gradient coefficients of a method without a ratio, as SVG: probability along, push up and down.
import { label, line, redraw, setAttr } from '../dom.js';
import { small } from '../format.js';
import { t } from '../i18n.js';

const PROBABILITIES = [1, 0.5, 0.2, 0.1, 0.01, 0.001, 0.0001];

/** @param {SVGElement} svg  @param {ReturnType<typeof import('../pushgeometry.js').pushGeometry>} g */
export function drawPushFrame(svg, g) {
  setAttr(svg, 'width', g.width);
  setAttr(svg, 'height', g.height);
  const [panel] = g.panels;
  const [right, base] = [panel.left + g.panelWidth, g.top + g.plot];
  const parts = g.yTicks.flatMap((v) => [
    line(panel.left, panel.y(v), right, panel.y(v), v === 0 ? { stroke: 'var(--ink3)' } : {}),
    label(panel.left - 6, panel.y(v) + 4, v === 0 ? '0' : small(v), { 'text-anchor': 'end', 'font-size': g.font }),
  ]);
  parts.push(line(panel.left, base, right, base, { stroke: 'var(--ink3)' }));
  for (const p of PROBABILITIES.filter((p) => Math.log(p) >= g.from)) {
    const x = panel.x(Math.log(p));
    parts.push(line(x, base, x, base + 4, { stroke: 'var(--ink3)' }));
    parts.push(label(x, base + g.font + 4, String(p), { 'text-anchor': 'middle', 'font-size': g.font }));
  }
  const side = { 'font-size': g.font + 0.5, 'font-weight': 600 };
  if (panel.high > 0) parts.push(label(panel.left, 11, t('push.up'), { ...side, fill: 'var(--upT)' }));
  if (g.yTicks.some((v) => v < 0))
    parts.push(label(panel.left + 4, base - 6, t('push.down'), { ...side, fill: 'var(--dnT)' }));
  const middle = { 'text-anchor': 'middle', 'font-size': g.font };
  parts.push(label(panel.left + g.panelWidth / 2, g.height - 3, t('push.axis'), middle));
  redraw(svg, parts);
}
