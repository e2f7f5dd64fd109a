// One knob in a popover: its name, its control, and a line for what is pending, refused or without effect.
import { ask } from '../actions.js';
import { h, setAttr, setText } from '../dom.js';
import { pick, t, translated } from '../i18n.js';
import { knobSpec, knobText, unusedWhy } from '../knobwords.js';
import { fixedKnobs, proposed } from '../select.js';
import { state } from '../store.js';
import { tip } from '../tooltip.js';
import { knobControl } from './knobcontrols.js';

const LATE = 1000; // milliseconds in which a poll that was asked before may still say what was true before

/**
 * @typedef {{name: string, node: HTMLElement, refresh: () => void, settle: () => void}} Field
 * `settle` forgets what was chosen or refused: something has changed since.
 */

/**
 * A knob's field. A brief one is a line whose help is a hover; a full one says its help.
 * @param {string} name  @param {boolean} brief  @returns {Field}
 */
export function knobField(name, brief) {
  const spec = knobSpec(name);
  const says = h('p', { class: 'says', role: 'status' });
  let refusal = null;
  let chosen = null; // what was sent, until the server has said what became of it
  let asking = 0;
  let answered = 0;
  let sent = Promise.resolve();
  const send = async (value) => {
    refusal = await ask('knobs', { [name]: value });
    asking -= 1;
    answered = Date.now();
    if (refusal != null || state.connection === 'lost') chosen = null;
    field.refresh(refusal != null);
  };
  // One after the other: of two requests at once the first may arrive last.
  const apply = (value) => {
    chosen = { value };
    asking += 1;
    sent = sent.then(() => send(value));
  };
  const control = knobControl(spec, apply);
  const title = h('b', {}, h('span', { class: 'symbol', text: spec.symbol }), ` ${pick(spec.label)}`);
  const head = h('div', { class: 'field-head' }, title, control.beside);
  const help = brief ? null : h('p', { class: 'help', text: pick(spec.help) });
  const node = h('div', { class: `field${brief ? ' brief' : ''}`, 'data-field': name }, head, control.node, help, says);
  if (brief)
    tip(title, () => ({
      title: pick(spec.label),
      text: pick(spec.help),
      rows: [['', t(`knob.effect.${spec.takes_effect}`)]],
    }));
  const field = {
    name,
    node,
    refresh(again = false) {
      control.refresh(chosen ? chosen.value : proposed()[name], again);
      const unused = unusedWhy(name, proposed());
      setText(says, translated(refusal) ?? unused ?? status(spec, brief));
      says.classList.toggle('error', refusal != null);
      setAttr(node, 'data-unused', unused ? '' : null);
    },
    settle() {
      refusal = null;
      const isSeen = proposed()[name] === chosen?.value || Date.now() > answered + LATE;
      if (isSeen && !asking) chosen = null;
    },
  };
  return field;
}

function status({ name, takes_effect: effect }, brief) {
  const waiting = state.pending[name];
  if (waiting)
    return t('knob.waiting', { old: knobText(name, waiting.old), new: knobText(name, waiting.new), n: waiting.step });
  const last = state.events.findLast((e) => e.knob === name);
  const when = brief || fixedKnobs() ? '' : t(`knob.effect.${effect}`);
  return last
    ? `${t('knob.since', { old: knobText(name, last.old), new: knobText(name, last.new), n: last.step })} ${when}`
    : when;
}
