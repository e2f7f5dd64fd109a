// The popover that turns knobs: one or two with their help, or many in groups, and what the server said.
import { h } from '../dom.js';
import { t } from '../i18n.js';
import { fixedKnobs, recorded } from '../select.js';
import { watch } from '../store.js';
import { hideTip, overlay } from '../tooltip.js';
import { knobField } from './knobfield.js';
import { knobGroups } from './knobgroups.js';

let open = null;

/**
 * Close whatever popover is open; focus goes back to its chip.
 * @param {boolean} [refocus]
 * @returns {boolean} was one open?
 */
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
  const many = names.length > 2;
  const box = h('div', {
    class: `popover${many ? ' many' : ''}`,
    role: 'dialog',
    'aria-label': many ? t('knob.more') : anchor.getAttribute('aria-label'),
  });
  const parts = many ? knobGroups(names) : names.map((name) => knobField(name, false));
  box.append(...parts.map((part) => part.node));
  const fixed = fixedKnobs();
  if (fixed) box.append(h('p', { class: 'note', text: t(recorded() ? 'knob.recorded' : 'knob.ended') }));
  overlay().append(box);
  open = { box, anchor, parts, fixed };
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
  watch(['knobs', 'pending'], () => open?.parts.forEach((part) => part.settle()));
  watch(['knobs', 'pending', 'rows'], refresh);
  watch(['source', 'run', 'lang'], () => closePopover());
  watch(['status'], () => open && open.fixed !== fixedKnobs() && closePopover());
}

const refresh = () => open?.parts.forEach((part) => part.refresh());

function place() {
  const { box, anchor } = open;
  const r = anchor.getBoundingClientRect();
  const left = Math.max(8, Math.min(window.innerWidth - box.offsetWidth - 16, r.right - box.offsetWidth));
  box.style.transform = `translate(${Math.round(left)}px, ${Math.round(r.bottom + 6)}px)`;
}
