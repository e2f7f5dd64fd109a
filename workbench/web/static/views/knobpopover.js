// The popover that turns knobs: one or two with their help, or many in groups, and what the server said.
import { h } from '../dom.js';
import { t } from '../i18n.js';
import { fixedKnobs, recorded } from '../select.js';
import { state, watch } from '../store.js';
import { knobField } from './knobfield.js';
import { knobGroups } from './knobgroups.js';
import { closeAt, openPopover, placePopover } from './popover.js';

let parts = [];

/**
 * Open the popover of some knobs under their chip, or close it.
 * @param {HTMLElement} anchor  @param {string[]} names
 */
export function openKnobs(anchor, names) {
  if (closeAt(anchor)) return;
  const many = names.length > 2;
  const box = h('div', {
    class: `popover${many ? ' many' : ''}`,
    role: 'dialog',
    'aria-label': many ? t('knob.more') : anchor.getAttribute('aria-label'),
  });
  const fixed = fixedKnobs();
  parts = many ? knobGroups(names) : names.map((name) => knobField(name, false));
  box.append(...parts.map((part) => part.node));
  if (fixed) box.append(h('p', { class: 'note', text: t(whyFixed()) }));
  openPopover(anchor, box, () => fixed !== fixedKnobs());
  refresh();
  placePopover();
  (box.querySelector('input:not([disabled]), button:not([disabled])') ?? box).focus?.({ preventScroll: true });
}

function whyFixed() {
  if (state.source === 'replay') return 'knob.earlier';
  return recorded() ? 'knob.recorded' : 'knob.ended';
}

/** Listen once: news refreshes what is open. */
export function startKnobPopovers() {
  watch(['knobs', 'pending'], () => shown().forEach((part) => part.settle()));
  watch(['knobs', 'pending', 'rows'], refresh);
}

const refresh = () => shown().forEach((part) => part.refresh());
const shown = () => parts.filter((part) => part.node.isConnected);
