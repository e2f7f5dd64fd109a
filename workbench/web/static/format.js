// Numbers to text. True minus, thin thousands, no more digits than the view can show.

const MINUS = '−';
const NONE = '–';

/** @param {number|null|undefined} x  @returns {boolean} */
export const known = (x) => x != null && Number.isFinite(x);

/** Fixed decimals; "–" for a value that was not measured. A rounded zero has no sign.
 * @param {number|null|undefined} x  @param {number} [digits]  @returns {string} */
export function fixed(x, digits = 2) {
  if (x == null) return NONE;
  if (Number.isNaN(x)) return 'NaN';
  if (!Number.isFinite(x)) return x > 0 ? '∞' : `${MINUS}∞`;
  const text = Math.abs(x).toFixed(digits);
  return (x < 0 && Number(text) !== 0 ? MINUS : '') + text;
}

/** Like fixed, with a plus sign on positive values.
 * @param {number|null|undefined} x  @param {number} [digits]  @returns {string} */
export function signed(x, digits = 2) {
  const text = fixed(x, digits);
  return known(x) && x > 0 && Number(text) !== 0 ? `+${text}` : text;
}

/** A share in [0, 1] as an integer percentage; "<1%" instead of 0.3%.
 * @param {number|null|undefined} x  @returns {string} */
export function share(x) {
  if (!known(x)) return NONE;
  if (x > 0 && x < 0.01) return '<1%';
  return x < 1 && x > 0.99 ? '>99%' : `${Math.round(100 * x)}%`;
}

/** A share with one decimal, for small fractions that are watched closely.
 * @param {number|null|undefined} x  @returns {string} */
export function percent(x) {
  return known(x) ? `${fixed(100 * x, 1)}%` : NONE;
}

/** Integer with thin spaces between thousands. @param {number|null|undefined} n  @returns {string} */
export function count(n) {
  return known(n) ? String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, '\u2009') : NONE;
}

/** Three significant digits, for values of unknown size. @param {number|null|undefined} x  @returns {string} */
export function compact(x) {
  if (!known(x)) return x == null ? NONE : fixed(x);
  const size = Math.abs(x);
  if (size !== 0 && (size >= 1e5 || size < 5e-4)) return exponent(x);
  return fixed(x, size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}

/**
 * Three significant digits of what is usually small, like a gradient coefficient.
 * @param {number|null|undefined} x
 * @returns {string}
 */
export const small = (x) => (known(x) && x !== 0 && Math.abs(x) < 0.01 ? exponent(x) : compact(x));

/** Like small, with a plus sign on positive values; a plain 0. @param {number|null|undefined} x  @returns {string} */
export const signedSmall = (x) => (x === 0 ? '0' : `${known(x) && x > 0 ? '+' : ''}${small(x)}`);

/**
 * What has a size of its own, like a reward: two decimals, or its exponent where they would say nothing of it.
 * @param {number|null|undefined} x
 * @returns {string}
 */
export const amount = (x) => (isOrdinary(x) ? fixed(x) : exponent(x, 1));

/** Like amount, with a plus sign on positive values. @param {number|null|undefined} x  @returns {string} */
export const signedAmount = (x) => (isOrdinary(x) ? signed(x) : `${x > 0 ? '+' : ''}${exponent(x, 1)}`);

const isOrdinary = (x) => !known(x) || x === 0 || (Math.abs(x) >= 0.005 && Math.abs(x) < 1e4);

/**
 * Fixed decimals, but a large value in few characters: whole from 100, an exponent from 10,000. A run that diverges
 * must not push its neighbours out.
 * @param {number|null|undefined} x  @param {number} [digits]  @returns {string}
 */
export function short(x, digits = 2) {
  if (!known(x) || Math.abs(x) < 100) return fixed(x, digits);
  return Math.abs(x) < 1e4 ? fixed(x, 0) : exponent(x, 1);
}

const ROUNDING = 1e-8; // what float32 leaves of a difference that is 0

/**
 * Like short, and what the decimals would call 0, though it is not, as an exponent.
 * @param {number|null|undefined} x  @param {number} [digits]  @returns {string}
 */
export function telling(x, digits = 2) {
  const lost = known(x) && Math.abs(x) >= ROUNDING && Number(Math.abs(x).toFixed(digits)) === 0;
  return lost ? exponent(x, 1) : short(x, digits);
}

/** A tick of an axis. @param {number} x  @param {number} digits  @returns {string} */
export function tick(x, digits) {
  if (digits > 4 || Math.abs(x) >= 1e4) return x === 0 ? '0' : exponent(x, 1);
  return fixed(x, digits);
}

/** 0.0025 → 2.5e−3. @param {number} x  @param {number} [digits]  @returns {string} */
export function exponent(x, digits = 2) {
  const [mantissa, power] = x.toExponential(digits).split('e');
  const short = mantissa.replace(/\.?0+$/, '').replace('-', MINUS);
  return `${short}e${power.startsWith('-') ? MINUS : ''}${power.slice(1)}`;
}

/** Seconds as 0.71 s, 12 s, 3 min 05 s, 2 h 10 min. @param {number|null|undefined} s  @returns {string} */
export function duration(s) {
  if (!known(s)) return NONE;
  if (s < 10) return `${fixed(s, s < 1 ? 2 : 1)} s`;
  if (s < 60) return `${Math.round(s)} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.floor(s % 60)).padStart(2, '0')} s`;
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`;
}

const two = (n) => String(n).padStart(2, '0');

/**
 * A moment of the past in this machine's time, in few characters: 14:05 today, 11-22 14:05, 2025-11-22.
 * @param {number} seconds  since 1970  @param {Date} [now]  @returns {string}
 */
export function moment(seconds, now = new Date()) {
  const at = new Date(1000 * seconds);
  const day = `${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (at.getFullYear() !== now.getFullYear()) return `${at.getFullYear()}-${day}`;
  return at.toDateString() === now.toDateString() ? time : `${day} ${time}`;
}

const DECIMALS = { temperature: 1, beta: 2, epsilon: 2, epsilon_high: 2, delta: 1 };

/**
 * Value of a knob as its chip shows it: 0.10, 8, 2.5e−3. Choices are named by the caller.
 * @param {string} name  @param {number|string|null} value  @returns {string}
 */
export function knobValue(name, value) {
  if (value == null) return NONE;
  if (typeof value !== 'number') return String(value);
  if (name === 'learning_rate' || (value !== 0 && Math.abs(value) < 1e-3)) return value === 0 ? '0' : exponent(value);
  if (Number.isInteger(value) && !(name in DECIMALS)) return count(value);
  const digits = DECIMALS[name] ?? 2;
  const short = fixed(value, digits);
  return Number(short.replace(MINUS, '-')) === value ? short : String(Number(value.toPrecision(3))).replace('-', MINUS);
}
