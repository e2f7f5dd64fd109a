// One key, one action. Keys belong to a field while it has the focus.
import {
  backToLive,
  chooseMeasure,
  moveGroup,
  movePin,
  moveRow,
  moveStep,
  showView,
  toggleTheme,
  unpin,
} from './actions.js';
import { measuresOf } from './derived.js';
import { shownMeasure } from './select.js';
import { state } from './store.js';
import { movePage } from './views/group.js';
import { closeHelp, toggleHelp } from './views/help.js';
import { closePopover } from './views/popover.js';
import { press } from './views/runrow.js';
import { toggleRuns } from './views/runsmenu.js';

const KEYS = {
  ' ': () => press('pause', 'resume', 'halt', 'play', 'again'),
  s: () => press('step'),
  l: backToLive,
  j: () => moveRow(1),
  k: () => moveRow(-1),
  ']': () => movePin(1),
  '[': () => movePin(-1),
  n: () => movePage(1) || moveGroup(1),
  p: () => movePage(-1) || moveGroup(-1),
  1: () => showView('live'),
  2: () => showView('curves'),
  3: () => showView('setup'),
  m: nextMeasure,
  t: toggleTheme,
  o: toggleRuns,
  '?': toggleHelp,
  Escape: () => closeHelp() || closePopover(true) || unpin(),
};

function nextMeasure() {
  const measures = measuresOf(state.record);
  chooseMeasure(measures[(measures.indexOf(shownMeasure()) + 1) % measures.length]);
}

/** @param {EventTarget} target  @returns {boolean} does this element take keys itself? */
const typing = (target) =>
  target.isContentEditable ||
  /^(TEXTAREA|SELECT)$/.test(target.tagName) ||
  (target.tagName === 'INPUT' && !/^(checkbox|radio|button|range)$/.test(target.type));

/** Listen once. */
export function startKeyboard() {
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const { key, target } = event;
    if (key !== 'Escape' && typing(target)) return;
    if (key === ' ' && target.closest?.('button, a, summary, input, [role=button]')) return;
    if (key === 'ArrowLeft' || key === 'ArrowRight') return arrow(event);
    const action = KEYS[key] ?? KEYS[key.toLowerCase()];
    if (!action || (key === 'l' && state.source !== 'live')) return;
    event.preventDefault();
    action();
  });
}

// On a row of radio buttons or a slider the arrows keep their own meaning.
function arrow(event) {
  if (event.target.closest?.('[role=radiogroup], [role=slider], input')) return;
  if (state.view !== 'live') return;
  event.preventDefault();
  moveStep((event.key === 'ArrowLeft' ? -1 : 1) * (event.shiftKey ? 10 : 1));
}
