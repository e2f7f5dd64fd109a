// The overlay that lists the keys.
import { h } from '../dom.js';
import { t } from '../i18n.js';
import { icon } from '../icons.js';
import { hideTip, overlay } from '../tooltip.js';

const KEYS = [
  ['Space', 'play'],
  ['S', 'step'],
  ['← →', 'move'],
  ['Shift ← →', 'move10'],
  ['L', 'live'],
  ['J K', 'row'],
  ['[ ]', 'token'],
  ['N P', 'group'],
  ['1 2 3', 'tab'],
  ['M', 'measure'],
  ['O', 'runs'],
  ['T', 'theme'],
  ['Esc', 'close'],
  ['?', 'help'],
];
let open = null;
let before = null;

/** Show or hide the list of keys. */
export function toggleHelp() {
  if (closeHelp()) return;
  hideTip();
  before = document.activeElement;
  const close = h(
    'button',
    { class: 'tool', type: 'button', 'aria-label': t('help.shut'), on: { click: closeHelp } },
    icon('close'),
  );
  const rows = KEYS.flatMap(([keys, name]) => [
    h('dt', {}, ...keys.split(' ').map((k) => h('kbd', { text: k }))),
    h('dd', { text: t(`help.${name}`) }),
  ]);
  const panel = h(
    'div',
    { class: 'help-panel', role: 'dialog', 'aria-modal': 'true', 'aria-label': t('help.title') },
    h('div', { class: 'head' }, h('h2', { class: 'h2', text: t('help.title') }), h('span', { class: 'spring' }), close),
    h('dl', { class: 'keys-list' }, ...rows),
    h('p', { class: 'para', text: t('help.reading') }),
  );
  open = h('div', { class: 'help-back', on: { pointerdown: (e) => e.target === open && closeHelp() } }, panel);
  overlay().append(open);
  close.focus();
}

/** @returns {boolean} was it open? */
export function closeHelp() {
  if (!open) return false;
  open.remove();
  open = null;
  before?.focus?.();
  return true;
}
