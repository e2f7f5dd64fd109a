// Knobs in words: symbol, value, change.
import { knobValue } from './format.js';
import { has, t } from './i18n.js';
import { state } from './store.js';

/** @param {string} name  @returns {object|undefined} the server's description */
export const knobSpec = (name) => state.spec?.knobs.find((k) => k.name === name);

/** @param {string} name  @returns {string} */
export const symbol = (name) => knobSpec(name)?.symbol ?? name;

/** A value as the page writes it; choices by their short names. @param {string} name  @param {*} value  @returns {string} */
export function knobText(name, value) {
  if (value == null) return t(has(`none.${name}`) ? `none.${name}` : 'none');
  const key = `choice.${name}.${value}`;
  return has(key) ? t(key) : knobValue(name, value);
}

/** "β 0.04 → 0.10". @param {{knob: string, old: *, new: *}} event  @returns {string} */
export const knobLine = (event) =>
  `${symbol(event.knob)} ${knobText(event.knob, event.old)} → ${knobText(event.knob, event.new)}`;
