// Knobs in words: symbol, value, change, and why a knob is not looked at.
import { knobValue } from './format.js';
import { has, pick, t } from './i18n.js';
import { state } from './store.js';

/** @param {string} name  @returns {object|undefined} the server's description */
export const knobSpec = (name) => state.spec?.knobs.find((k) => k.name === name);

/** @param {string} name  @returns {string} */
export const symbol = (name) => knobSpec(name)?.symbol ?? name;

/** The server's description of what the run trains with, or of the mistake in it. @returns {object|undefined} */
export const runMethod = () => state.spec?.methods.find((m) => m.name === state.method);
export const runBug = () => state.spec?.bugs.find((b) => b.name === state.bug);

/** A value as the page writes it; choices by their names. @param {string} name  @param {*} value  @returns {string} */
export function knobText(name, value) {
  if (value == null) return t(has(`none.${name}`) ? `none.${name}` : 'none');
  if (typeof value === 'boolean') return t(value ? 'knob.on' : 'knob.off');
  const key = `name.${name}.${value}`;
  return has(key) ? t(key) : knobValue(name, value);
}

/** "β 0.04 → 0.10". @param {{knob: string, old: *, new: *}} event  @returns {string} */
export const knobLine = (event) =>
  `${symbol(event.knob)} ${knobText(event.knob, event.old)} → ${knobText(event.knob, event.new)}`;

/**
 * Is a knob looked at while the knobs have these values? Any one of its conditions is enough.
 * @param {object} spec  @param {Object<string, *>} knobs  @returns {boolean}
 */
export function isUsed(spec, knobs) {
  const holds = ([name, { values, above }]) => (values ? values.includes(knobs[name]) : knobs[name] > above);
  return !spec.used_when.length || spec.used_when.some((condition) => Object.entries(condition).every(holds));
}

/** Does the method of this run leave the knob aside, whatever its value? @param {string} name  @returns {boolean} */
export const isLeftAside = (name) => runMethod()?.unused.includes(name) ?? false;

/**
 * The sentence that says why a knob changes nothing now; null where it does.
 * @param {string} name  @param {Object<string, *>} [knobs]  @returns {string|null}
 */
export function unusedWhy(name, knobs = state.knobs) {
  const spec = knobSpec(name);
  if (isLeftAside(name)) return t('knob.unused_method', { method: pick(runMethod().title) });
  return !spec || isUsed(spec, knobs) ? null : t('knob.unused_now', { with: spec.used_when.map(words).join(t('or')) });
}

function words(condition) {
  const one = ([name, { values, above }]) =>
    values
      ? `${pick(knobSpec(name).label)} ${values.map((v) => knobText(name, v)).join(' / ')}`
      : `${symbol(name)} > ${above}`;
  return Object.entries(condition).map(one).join(t('and'));
}
