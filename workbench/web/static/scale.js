// Axes: positions, round ticks, and the min/max downsampling that lets a curve hold 10,000 steps.

/**
 * Linear map from [from0, from1] to [to0, to1]; a degenerate domain maps to the middle.
 * @param {number} from0  @param {number} from1  @param {number} to0  @param {number} to1
 * @returns {(x: number) => number}
 */
export function linear(from0, from1, to0, to1) {
  const span = from1 - from0;
  return span === 0 ? () => (to0 + to1) / 2 : (x) => to0 + ((x - from0) / span) * (to1 - to0);
}

/** 1, 2 or 5 times a power of ten, at least `rough`. @param {number} rough  @returns {number} */
export function niceStep(rough) {
  if (!(rough > 0) || !Number.isFinite(rough)) return 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const lead = rough / power;
  return power * (lead <= 1 + 1e-9 ? 1 : lead <= 2 + 1e-9 ? 2 : lead <= 5 + 1e-9 ? 5 : 10);
}

/**
 * Round ticks inside [low, high], about `count` of them.
 * @param {number} low  @param {number} high  @param {number} count  @returns {number[]}
 */
export function ticks(low, high, count) {
  if (!(high > low)) return [low];
  const step = niceStep((high - low) / Math.max(1, count));
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Decimals that tell ticks apart. @param {number[]} values  @returns {number} */
export function tickDigits(values) {
  const step = values.length > 1 ? Math.abs(values[1] - values[0]) : Math.abs(values[0]) || 1;
  return Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));
}

/**
 * Whole steps to label on a step axis: the two ends and round numbers between them.
 * @param {number} first  @param {number} last  @param {number} count  @returns {number[]}
 */
export function stepTicks(first, last, count) {
  const inner = ticks(first, last, count).filter((v) => Number.isInteger(v));
  return [...new Set([first, ...inner, last])].sort((a, b) => a - b);
}

/**
 * Reduce a series to at most two points a pixel column: its lowest and highest, in order of appearance.
 * A null starts a new piece, so that a gap stays a gap.
 * @param {number[]} xs  pixel positions, ascending
 * @param {(number|null|undefined)[]} ys
 * @returns {[number, number][][]} pieces of [x, y]
 */
export function pieces(xs, ys) {
  const result = [];
  let piece = null;
  // The column being filled: indices of its lowest and highest point.
  let [pixel, low, high] = [NaN, -1, -1];
  const flush = () => {
    if (low < 0) return;
    const [a, b] = low <= high ? [low, high] : [high, low];
    piece.push([xs[a], ys[a]]);
    if (b !== a) piece.push([xs[b], ys[b]]);
    low = -1;
  };
  for (let i = 0; i < ys.length; i += 1) {
    const y = ys[i];
    if (y == null || !Number.isFinite(y)) {
      flush();
      piece = null;
      continue;
    }
    if (!piece) result.push((piece = []));
    const column = Math.floor(xs[i]);
    if (low < 0 || column !== pixel) {
      flush();
      [pixel, low, high] = [column, i, i];
    } else {
      if (y < ys[low]) low = i;
      if (y > ys[high]) high = i;
    }
  }
  flush();
  return result;
}

/**
 * SVG path through pieces. @param {[number, number][][]} parts  @param {(y: number) => number} toY  @returns {string}
 */
export function path(parts, toY) {
  const at = ([x, y]) => `${x.toFixed(1)} ${toY(y).toFixed(1)}`;
  // A piece of one point is drawn as a dot-sized dash, or it would vanish.
  return parts.map((p) => (p.length === 1 ? `M${at(p[0])}h.1` : `M${p.map(at).join('L')}`)).join('');
}

/**
 * Slider position (0…1) of a value on a linear, log or sqrt scale.
 * @param {{low: number, high: number, scale: string}} slider  @param {number} value  @returns {number}
 */
export function toSlider(slider, value) {
  const f = bend(slider.scale).to;
  const p = (f(value) - f(slider.low)) / (f(slider.high) - f(slider.low));
  return Math.min(1, Math.max(0, p));
}

/**
 * Value at a slider position, rounded to the slider's step (log: two significant digits).
 * @param {{low: number, high: number, step: number, scale: string}} slider  @param {number} p  @returns {number}
 */
export function fromSlider(slider, p) {
  const { to, from } = bend(slider.scale);
  const value = from(to(slider.low) + p * (to(slider.high) - to(slider.low)));
  if (slider.scale === 'log') return Number(value.toPrecision(2));
  const stepped = Math.round((value - slider.low) / slider.step) * slider.step + slider.low;
  return Number(Math.min(slider.high, stepped).toPrecision(10));
}

/**
 * Where a key on the slider leads: so many of its steps further (log: of the second significant digit).
 * @param {{low: number, high: number, step: number, scale: string}} slider  @param {number} value
 * @param {number} by  @returns {number}
 */
export function stepSlider(slider, value, by) {
  const { low, high, scale } = slider;
  const step = scale === 'log' ? 10 ** (Math.floor(Math.log10(Math.max(value, low)) + 1e-9) - 1) : slider.step;
  const origin = scale === 'log' ? 0 : low;
  const next = origin + Math.round((value - origin) / step + by) * step;
  // A typed value may lie beyond the slider's ends.
  return Number(Math.min(Math.max(high, value), Math.max(Math.min(low, value), next)).toPrecision(10));
}

function bend(scale) {
  // A log slider that starts at 0 starts at a very small value instead.
  if (scale === 'log') return { to: (v) => Math.log(Math.max(v, 1e-9)), from: Math.exp };
  if (scale === 'sqrt') return { to: Math.sqrt, from: (v) => v * v };
  return { to: (v) => v, from: (v) => v };
}
