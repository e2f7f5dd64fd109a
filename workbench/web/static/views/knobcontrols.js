// What turns a knob: segments for choices, a switch, a slider with a number, a box for "none".
import { h, setAttr, walkByArrows } from '../dom.js';
import { knobValue } from '../format.js';
import { pick, t } from '../i18n.js';
import { knobText } from '../knobwords.js';
import { fromSlider, stepSlider, toSlider } from '../scale.js';
import { fixedKnobs } from '../select.js';
import { state } from '../store.js';

const FINE = 1000;
const FEW = 3; // whole numbers that are as quick to choose as to slide
const IN_A_ROW = 4; // more choices are laid out in a grid

/**
 * @typedef {{node: HTMLElement, beside: HTMLElement|null, refresh: (value: *, again?: boolean) => void}} Control
 * `beside` stands next to the knob's name; `again` writes over what was typed.
 */

/**
 * The control of a knob.
 * @param {object} spec  @param {(value: *) => void} apply  called with what was chosen  @returns {Control}
 */
export function knobControl(spec, apply) {
  if (spec.kind === 'bool') return flip(spec, apply);
  if (spec.kind === 'choice') return choice(spec, spec.choices, apply);
  const { low, high } = spec.slider;
  if (spec.kind === 'int' && high - low < FEW)
    return choice(spec, Array.from({ length: high - low + 1 }, (_, i) => low + i), apply); // prettier-ignore
  return range(spec, apply);
}

function flip(spec, apply) {
  const node = h(
    'button',
    { type: 'button', role: 'switch', class: 'switch', disabled: fixedKnobs(), ...said(spec) },
    h('i'),
  );
  node.addEventListener('click', () => apply(node.getAttribute('aria-checked') !== 'true'));
  return { node: h('div', { class: 'flip' }, node), beside: null, refresh: (on) => setAttr(node, 'aria-checked', on) };
}

// One stop for Tab; walking past a choice must not turn the knob.
function choice(spec, values, apply) {
  const buttons = values.map((value) =>
    h('button', {
      type: 'button',
      role: 'radio',
      text: knobText(spec.name, value),
      disabled: fixedKnobs(),
      on: { click: () => apply(value) },
    }),
  );
  const node = h('div', { class: 'segments', role: 'radiogroup', ...said(spec) }, ...buttons);
  setAttr(node, 'data-grid', values.length > IN_A_ROW ? '' : null);
  walkByArrows(node);
  return {
    node,
    beside: null,
    refresh(value) {
      buttons.forEach((b, i) => {
        setAttr(b, 'aria-checked', values[i] === value);
        setAttr(b, 'tabindex', values[i] === value || (i === 0 && !values.includes(value)) ? 0 : -1);
      });
    },
  };
}

// By how many steps a key moves a slider; its own thousandths are finer than a knob's steps.
const KEYS = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };

function range(spec, apply) {
  const off = fixedKnobs();
  const slider = h('input', { type: 'range', min: 0, max: FINE, disabled: off, ...said(spec) });
  const number = h('input', { type: 'text', inputmode: 'decimal', class: 'number', disabled: off, ...said(spec) });
  const whole = (v) => (spec.kind === 'int' ? Math.round(v) : v);
  let at = null;
  const show = (value) => {
    at = value;
    slider.style.setProperty('--p', `${(slider.value / FINE) * 100}%`);
    setAttr(slider, 'aria-valuetext', knobText(spec.name, value));
  };
  const write = (value) => (number.value = value == null ? '' : plain(spec, value));
  const place = (value) => (slider.value = Math.round(toSlider(spec.slider, value) * FINE));
  slider.addEventListener('input', () => {
    show(whole(fromSlider(spec.slider, slider.value / FINE)));
    write(at);
  });
  slider.addEventListener('change', () => apply(at));
  slider.addEventListener('keydown', (e) => {
    if (!KEYS[e.key]) return;
    e.preventDefault();
    const next = stepSlider(spec.slider, at, KEYS[e.key]);
    place(next);
    show(next);
    write(next);
    apply(next);
  });
  number.addEventListener('keydown', (e) => {
    // The popover closes on Escape; no other key means anything outside a field.
    if (e.key !== 'Escape') e.stopPropagation();
    if (e.key === 'Enter') apply(typed(spec, number.value));
  });
  const empty = spec.optional ? emptyBox(spec, apply, () => at) : null;
  return {
    node: h('div', { class: 'sliderow' }, empty?.node, slider),
    beside: number,
    refresh(value, again = false) {
      const dragged = slider.matches(':active');
      if (again || (document.activeElement !== number && !dragged)) write(value);
      slider.disabled = off || (spec.optional && value == null);
      number.placeholder = knobText(spec.name, null);
      empty?.refresh(value);
      if (dragged) return;
      place(value ?? startOf(spec));
      show(value ?? startOf(spec));
    },
  };
}

// What an optional knob is set to when it is switched on: a value that changes little, or that is common.
const startOf = (spec) => (spec.name === 'epsilon_high' ? state.knobs.epsilon : (spec.start ?? spec.slider.low));

/**
 * What a typed text sets a knob to. What is no number, or one too large to be one, goes to the server as it is: it owns
 * the sentence that says what is allowed, and JSON would make null of Infinity, which turns an optional knob off.
 * @param {{optional: boolean}} spec  @param {string} text  @returns {number|string|null}
 */
export function typed(spec, text) {
  const value = Number(text.replace(/[−–]/g, '-').replace(',', '.'));
  if (text.trim() === '') return spec.optional ? null : text;
  return Number.isFinite(value) ? value : text;
}

// A knob that may be absent: ε high follows ε, δ is off.
function emptyBox(spec, apply, read) {
  const box = h('input', { type: 'checkbox', disabled: fixedKnobs() });
  box.addEventListener('change', () => apply(box.checked ? null : read()));
  return {
    node: h('label', { class: 'empty' }, box, t(`none.${spec.name}`)),
    refresh: (value) => (box.checked = value == null),
  };
}

const said = (spec) => ({ 'aria-label': pick(spec.label), 'aria-description': pick(spec.help) });
const plain = (spec, value) => (spec.slider.scale === 'log' ? String(value) : knobValue(spec.name, value));
