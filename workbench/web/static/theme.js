// Colours are written once, in style.css; canvases and chips read them from there.

let palette = null;

/** Light or dark, by the class that Gradio's own switch uses. @param {string} theme */
export function applyTheme(theme) {
  document.body.classList.toggle('dark', theme === 'dark');
  palette = null;
}

const NAMES = [
  'ink',
  'ink2',
  'ink3',
  'sheet',
  'chip',
  'cell',
  'up',
  'dn',
  'kl',
  'entropy',
  'line',
  'line2',
  's1',
  's2',
  's3',
];

/** @returns {Object<string, string>} computed colours, plus `tint`, the weight of a full chip */
export function colours() {
  if (palette) return palette;
  const probe = document.querySelector('.wb') ?? document.body;
  const style = getComputedStyle(probe);
  palette = Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  palette.tint = Number(style.getPropertyValue('--tint')) || 0.6;
  return palette;
}

const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

/** Mix two hex colours. @param {string} from  @param {string} to  @param {number} weight  @returns {string} */
export function mix(from, to, weight) {
  const [a, b] = [rgb(from), rgb(to)];
  return `rgb(${a.map((v, i) => Math.round(v + (b[i] - v) * weight)).join(',')})`;
}

// A critic's value is a reward, and reward is grey; its sign is told by the bar's direction.
const HUES = { kl: 'kl', entropy: 'entropy', value: 's1' };
const SEQUENTIAL = ['kl', 'entropy'];

/** Name of the hue of a value. @param {string} measure  @param {number} value  @returns {string} */
export const hue = (measure, value) => HUES[measure] ?? (value >= 0 ? 'up' : 'dn');

/** Does this measure have a sign? @param {string} measure  @returns {boolean} */
export const diverging = (measure) => !SEQUENTIAL.includes(measure);

/**
 * Background of a chip: zero looks empty.
 * @param {string} measure
 * @param {number} value
 * @param {number} range
 * @returns {string}
 */
export function chipColour(measure, value, range) {
  const c = colours();
  if (!Number.isFinite(value) || value === 0) return 'transparent';
  return mix(c.chip, c[hue(measure, value)], Math.min(1, Math.abs(value) / range) * c.tint);
}

/**
 * Strip cells are 4 px wide and need more chroma than chips.
 * @param {string} measure
 * @param {number} value
 * @param {number} range
 * @returns {string}
 */
export function stripColour(measure, value, range) {
  const c = colours();
  if (!Number.isFinite(value)) return c.cell;
  return mix(c.cell, c[hue(measure, value)], Math.min(1, Math.abs(value) / range) ** 0.8 * 0.92);
}

/** Are large movements unwelcome? @returns {boolean} */
export const still = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;
