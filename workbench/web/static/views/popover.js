// The one popover of the page: it stands under what opened it, and closes on a click elsewhere, Escape, another run.
import { watch } from '../store.js';
import { hideTip, overlay } from '../tooltip.js';

let open = null;

/**
 * Close whatever popover is open.
 * @param {boolean} [refocus]  give the focus back to what opened it
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
 * Close the popover of this anchor, if that is the one that is open.
 * @param {HTMLElement} anchor  @param {boolean} [refocus]  @returns {boolean} was it?
 */
export const closeAt = (anchor, refocus) => open?.anchor === anchor && closePopover(refocus);

/**
 * Open a popover under an anchor, instead of the one that is open.
 * @param {HTMLElement} anchor  @param {HTMLElement} box
 * @param {() => boolean} isStale  asked when the run's state changes: does it show what is no longer so?
 */
export function openPopover(anchor, box, isStale) {
  closePopover();
  hideTip();
  overlay().append(box);
  open = { box, anchor, isStale };
  anchor.setAttribute('aria-expanded', 'true');
}

/** Put the popover, whose content is there now, under its anchor. */
export function placePopover() {
  const { box, anchor } = open;
  const r = anchor.getBoundingClientRect();
  const left = Math.max(8, Math.min(window.innerWidth - box.offsetWidth - 16, r.right - box.offsetWidth));
  box.style.transform = `translate(${Math.round(left)}px, ${Math.round(r.bottom + 6)}px)`;
}

// Who was in it is not left in nowhere.
const leave = () => open && closePopover(open.box.contains(document.activeElement));

/** Listen once for what closes a popover. */
export function startPopovers() {
  document.addEventListener(
    'pointerdown',
    (e) => open && !open.box.contains(e.target) && !open.anchor.contains(e.target) && closePopover(),
  );
  window.addEventListener('resize', () => closePopover());
  watch(['source', 'run', 'lang'], leave);
  watch(['status'], () => open?.isStale() && leave());
}
