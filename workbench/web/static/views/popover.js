// The popover that turns a knob: slider, number, what it does, when it takes effect, and what the server said.
import { ask } from '../actions.js';
import { h, setText } from '../dom.js';
import { knobValue } from '../format.js';
import { has, pick, t } from '../i18n.js';
import { knobSpec, knobText } from '../knobwords.js';
import { fromSlider, toSlider } from '../scale.js';
import { recorded } from '../select.js';
import { state, watch } from '../store.js';
import { hideTip, overlay, tip } from '../tooltip.js';

const FINE = 1000;
let open = null;

/** Close whatever popover is open; focus goes back to its chip. @param {boolean} [refocus]  @returns {boolean} was one open? */
export function closePopover(refocus = false) {
  if (!open) return false;
  const { box, anchor } = open;
  open = null;
  box.remove();
  anchor.setAttribute('aria-expanded', 'false');
  if (refocus) anchor.focus();
  return true;
}

/**
 * Open the popover of some knobs under their chip, or close it.
 * @param {HTMLElement} anchor  @param {string[]} names
 */
export function openKnobs(anchor, names) {
  const again = open?.anchor === anchor;
  closePopover();
  if (again) return;
  hideTip();
  const wide = names.length > 2;
  const box = h('div', {
    class: `popover${wide ? ' many' : ''}`,
    role: 'dialog',
    'aria-label': anchor.getAttribute('aria-label'),
  });
  const fields = names.map((name) => field(name, wide));
  box.append(...fields.map((f) => f.node));
  if (recorded()) box.append(h('p', { class: 'note', text: t('knob.recorded') }));
  else if (wide) box.append(h('p', { class: 'note', text: t('knob.effect.update') }));
  overlay().append(box);
  open = { box, anchor, fields };
  anchor.setAttribute('aria-expanded', 'true');
  refresh();
  place();
  (box.querySelector('input:not([disabled]), button:not([disabled])') ?? box).focus?.({ preventScroll: true });
}

/** Listen once: a click elsewhere closes, news refreshes. */
export function startPopovers() {
  document.addEventListener(
    'pointerdown',
    (e) => open && !open.box.contains(e.target) && !open.anchor.contains(e.target) && closePopover(),
  );
  window.addEventListener('resize', () => closePopover());
  watch(['knobs', 'pending', 'lang', 'rows'], refresh);
  watch(['source', 'run'], () => closePopover());
}

const refresh = () => open?.fields.forEach((f) => f.refresh());

function place() {
  const { box, anchor } = open;
  const r = anchor.getBoundingClientRect();
  const left = Math.max(8, Math.min(window.innerWidth - box.offsetWidth - 16, r.right - box.offsetWidth));
  box.style.transform = `translate(${Math.round(left)}px, ${Math.round(r.bottom + 6)}px)`;
}

// One knob: a heading with its value, a control, help, and a line for pending, effect or error.
function field(name, brief) {
  const spec = knobSpec(name);
  const says = h('p', { class: 'says', role: 'status' });
  const error = { text: null };
  const apply = async (value) => {
    error.text = await ask('knobs', { [name]: value });
    refresh();
  };
  const control = (spec.kind === 'choice' ? choice : range)(spec, apply);
  const node = h(
    'div',
    { class: 'field' },
    h(
      'div',
      { class: 'field-head' },
      h('b', {}, h('span', { class: 'symbol', text: spec.symbol }), ` ${pick(spec.label)}`),
      control.beside,
    ),
    control.node,
    brief ? null : h('p', { class: 'help', text: pick(spec.help) }),
    says,
  );
  if (brief)
    tip(node.querySelector('b'), () => ({
      title: pick(spec.label),
      text: pick(spec.help),
      rows: [['', t(`knob.effect.${spec.takes_effect}`)]],
    }));
  return {
    node,
    refresh() {
      control.refresh(name in state.pending ? state.pending[name].new : state.knobs[name]);
      setText(says, error.text ?? status(name, spec, brief));
      says.classList.toggle('error', error.text != null);
    },
  };
}

function status(name, spec, brief) {
  const waiting = state.pending[name];
  if (waiting)
    return t('knob.waiting', { old: knobText(name, waiting.old), new: knobText(name, waiting.new), n: waiting.step });
  const last = state.events.findLast((e) => e.knob === name);
  const when = brief && spec.takes_effect === 'update' ? '' : t(`knob.effect.${spec.takes_effect}`);
  return last
    ? `${t('knob.since', { old: knobText(name, last.old), new: knobText(name, last.new), n: last.step })} ${when}`
    : when;
}

function choice(spec, apply) {
  const buttons = spec.choices.map((value) =>
    h('button', {
      type: 'button',
      role: 'radio',
      text: has(`name.${spec.name}.${value}`) ? t(`name.${spec.name}.${value}`) : knobText(spec.name, value),
      disabled: recorded(),
      on: { click: () => apply(value) },
    }),
  );
  return {
    node: h('div', { class: 'segments', role: 'radiogroup' }, ...buttons),
    beside: null,
    refresh: (value) => buttons.forEach((b, i) => b.setAttribute('aria-checked', spec.choices[i] === value)),
  };
}

function range(spec, apply) {
  const off = recorded();
  const slider = h('input', { type: 'range', min: 0, max: FINE, disabled: off, 'aria-label': pick(spec.label) });
  const number = h('input', {
    type: 'text',
    inputmode: 'decimal',
    class: 'number',
    disabled: off,
    'aria-label': pick(spec.label),
  });
  const whole = (v) => (spec.kind === 'int' ? Math.round(v) : v);
  const read = () => whole(fromSlider(spec.slider, slider.value / FINE));
  const fill = () => slider.style.setProperty('--p', `${(slider.value / FINE) * 100}%`);
  slider.addEventListener('input', () => {
    number.value = plain(spec.name, read());
    fill();
  });
  slider.addEventListener('change', () => apply(read()));
  number.addEventListener('keydown', (e) => {
    if (e.key === 'Enter') applyTyped();
    e.stopPropagation();
    if (e.key === 'Escape') closePopover(true);
  });
  const applyTyped = () => {
    const value = Number(number.value.replace(/[−–]/g, '-').replace(',', '.'));
    // What is not a number goes to the server too: it owns the sentence that says what is allowed.
    apply(number.value.trim() === '' && spec.optional ? null : Number.isNaN(value) ? number.value : value);
  };
  const empty = spec.optional ? emptyBox(spec, apply, read) : null;
  return {
    node: h('div', { class: 'sliderow' }, slider, empty?.node),
    beside: number,
    refresh(value) {
      if (document.activeElement !== number) number.value = value == null ? '' : plain(spec.name, value);
      const shown = value ?? (spec.name === 'epsilon_high' ? state.knobs.epsilon : spec.slider.low);
      if (!slider.matches(':active')) slider.value = Math.round(toSlider(spec.slider, shown) * FINE);
      slider.disabled = off || (spec.optional && value == null);
      number.placeholder = knobText(spec.name, null);
      fill();
      empty?.refresh(value);
    },
  };
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

const plain = (name, value) => (name === 'learning_rate' ? String(value) : knobValue(name, value));
