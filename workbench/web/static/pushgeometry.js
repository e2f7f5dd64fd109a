// Where things are for a method without a ratio: every token at its probability and its gradient coefficient.
import { span } from './math.js';
import { ticks } from './scale.js';

const RAREST = Math.log(1e-4);
const SMALL = Math.log(0.1);

/**
 * @param {number} width  @param {number} height  @param {object} record  @param {number} k
 * @param {import('./derived.js').Derived} derived
 */
export function pushGeometry(width, height, record, k, derived) {
  const big = width > 580;
  const [left, top, axis] = [big ? 62 : 52, 20, big ? 40 : 36];
  const panelWidth = width - left - 10;
  const plot = height - top - axis;
  const [rarest] = span(
    record.completions.map((c) => c.logps[k] ?? []),
    SMALL,
  );
  const from = Math.max(RAREST, rarest * 1.05);
  const [low, high] = pushRange(derived.tokens.map((t) => t.coefficient ?? []));
  const x = (log) => left + ((Math.min(0, Math.max(from, log)) - from) / -from) * panelWidth;
  const y = (value) => top + ((high - value) / (high - low)) * plot;
  const panel = { sign: 1, left, x, y, low, high, flat: [] };
  const frame = { width, height, font: big ? 12.5 : 11, top, plot, histTop: top + plot, hist: 0, panelWidth, big };
  return { ...frame, form: 'none', symbol: 'π', from, to: 0, panels: [panel, panel], yTicks: ticks(low, high, 4) };
}

// Zero is always on the axis, with a little air beyond the largest push.
function pushRange(lists) {
  const [low, high] = span(lists, 0, 0);
  const air = (high - low || 1) * 0.12;
  return [low - air, high + air];
}

/**
 * One mark for every token, those that nothing pushes drawn as left out.
 * @param {ReturnType<typeof pushGeometry>} geometry  @param {object} record  @param {number} k
 * @param {import('./derived.js').Derived} derived
 * @returns {import('./clipgeometry.js').Mark[]}
 */
export function pushMarks(geometry, record, k, derived) {
  const [panel] = geometry.panels;
  return record.completions.flatMap((completion, row) => {
    const { coefficient, masked } = derived.tokens[row];
    if (!coefficient) return [];
    return Array.from(coefficient.keys()).flatMap((token) => {
      const log = completion.logps[k]?.[token];
      const push = coefficient[token];
      if (!Number.isFinite(log) || !Number.isFinite(push)) return [];
      const kind = masked[token] || push === 0 ? 'masked' : 'live';
      const off = log < geometry.from ? -1 : 0;
      return [{ row, token, sign: Math.sign(push), log, kind, off, x: panel.x(log), y: panel.y(push) }];
    });
  });
}
