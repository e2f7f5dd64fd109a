// What turns a knob: segments for choices, a switch, a slider with a number, a box for "none".
import { h, setAttr } from '../dom.js';
import { knobValue } from '../format.js';
import { pick, t } from '../i18n.js';
import { knobText } from '../knobwords.js';
import { fromSlider, toSlider } from '../scale.js';
import { recorded } from '../select.js';
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
    { type: 'button', role: 'switch', class: 'switch', disabled: recorded(), ...said(spec) },
    h('i'),
  );
  node.addEventListener('click', () => apply(node.getAttribute('aria-checked') !== 'true'));
  return { node: h('div', { class: 'flip' }, node), beside: null, refresh: (on) => setAttr(node, 'aria-checked', on) };
}

// One stop for Tab; the arrows walk, Enter or Space chooses: walking past a choice must not turn the knob.
function choice(spec, values, apply) {
  const buttons = values.map((value) =>
    h('button', {
      type: 'button',
      role: 'radio',
      text: knobText(spec.name, value),
      disabled: recorded(),
      on: { click: () => apply(value) },
    }),
  );
  const node = h('div', { class: 'segments', role: 'radiogroup', ...said(spec) }, ...buttons);
  setAttr(node, 'data-grid', values.length > IN_A_ROW ? '' : null);
  node.addEventListener('keydown', (e) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[e.key];
    if (!by) return;
    e.preventDefault();
    buttons[(buttons.indexOf(e.target) + by + buttons.length) % buttons.length].focus();
  });
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

function range(spec, apply) {
  const off = recorded();
  const slider = h('input', { type: 'range', min: 0, max: FINE, disabled: off, ...said(spec) });
  const number = h('input', { type: 'text', inputmode: 'decimal', class: 'number', disabled: off, ...said(spec) });
  const whole = (v) => (spec.kind === 'int' ? Math.round(v) : v);
  const read = () => whole(fromSlider(spec.slider, slider.value / FINE));
  const fill = () => slider.style.setProperty('--p', `${(slider.value / FINE) * 100}%`);
  slider.addEventListener('input', () => {
    number.value = plain(spec, read());
    fill();
  });
  slider.addEventListener('change', () => apply(read()));
  number.addEventListener('keydown', (e) => {
    // The popover closes on Escape; no other key means anything outside a field.
    if (e.key !== 'Escape') e.stopPropagation();
    if (e.key === 'Enter') apply(typed(spec, number.value));
  });
  const empty = spec.optional ? emptyBox(spec, apply, read) : null;
  return {
    node: h('div', { class: 'sliderow' }, empty?.node, slider),
    beside: number,
    refresh(value, again = false) {
      if (again || document.activeElement !== number) number.value = value == null ? '' : plain(spec, value);
      const shown = value ?? (spec.name === 'epsilon_high' ? state.knobs.epsilon : spec.slider.low);
      if (!slider.matches(':active')) slider.value = Math.round(toSlider(spec.slider, shown) * FINE);
      slider.disabled = off || (spec.optional && value == null);
      number.placeholder = knobText(spec.name, null);
      fill();
      empty?.refresh(value);
    },
  };
}

// What is not a number goes to the server too: it owns the sentence that says what is allowed.
function typed(spec, text) {
  const value = Number(text.replace(/[−–]/g, '-').replace(',', '.'));
  if (text.trim() === '') return spec.optional ? null : text;
  return Number.isNaN(value) ? text : value;
}

// A knob that may be absent: ε high follows ε, δ is off.
function emptyBox(spec, apply, read) {
  const box = h('input', { type: 'checkbox', disabled: recorded() });
  box.addEventListener('change', () => apply(box.checked ? null : read()));
  return {
    node: h('label', { class: 'empty' }, box, t(`none.${spec.name}`)),
    refresh: (value) => (box.checked = value == null),
  };
}

const said = (spec) => ({ 'aria-label': pick(spec.label), 'aria-description': pick(spec.help) });
const plain = (spec, value) => (spec.slider.scale === 'log' ? String(value) : knobValue(spec.name, value));
