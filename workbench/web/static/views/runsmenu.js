// What is on show, as a button in the top bar; under it the list of what else there is: the recording, earlier runs.
import { ask } from '../actions.js';
import { h, setAttr, setText, walkByArrows } from '../dom.js';
import { amount, count, moment } from '../format.js';
import { pick, t } from '../i18n.js';
import { icon } from '../icons.js';
import { knobText, symbol } from '../knobwords.js';
import { set, state } from '../store.js';
import { closeAt, openPopover, placePopover } from './popover.js';

const COLUMNS = ['name', 'created', 'steps', 'reward'];
let button = null;
let busy = false;

/** @returns {HTMLElement} the button; `nameRun` writes on it */
export function runsButton() {
  const attributes = { class: 'subject', type: 'button', 'aria-haspopup': 'menu', 'aria-expanded': 'false' };
  button = h('button', { ...attributes, on: { click: toggleRuns } }, h('span'), icon('down'));
  button.addEventListener('keydown', (event) => {
    if (event.key !== 'ArrowDown') return;
    event.preventDefault();
    toggleRuns();
  });
  return button;
}

/** @param {string} run  what is on show */
export function nameRun(run) {
  setText(button.firstChild, run);
  setAttr(button, 'aria-label', t('runs.button', { run }));
}

/** @returns {boolean} */
export const isListOpen = () => button.getAttribute('aria-expanded') === 'true';

/** Open the list, or close it. What is in it is asked for now: it need not be kept up to date. */
export async function toggleRuns() {
  if (closeAt(button, true) || busy) return;
  busy = true;
  const found = await fetchRuns();
  busy = false;
  if (found) openRuns(found);
}

async function fetchRuns() {
  try {
    const reply = await fetch('/wb/runs', { cache: 'no-store' });
    return reply.ok ? await reply.json() : null;
  } catch {
    set({ connection: 'lost' });
    return null;
  }
}

const going = () => ['loading', 'running', 'paused'].includes(state.status);

function openRuns({ recording, runs, most, folder }) {
  const isGoing = going();
  const entries = [{ ...recording, title: t('runs.recording', { title: recording.title }) }, ...runs];
  const items = entries.map((entry) => runItem(entry, recording.model));
  const list = h('div', { class: 'runs-list', role: 'menu', 'aria-label': t('runs.title') }, ...items);
  items.forEach((item) => setAttr(item, 'aria-disabled', isGoing ? 'true' : null));
  const head = COLUMNS.map((name, i) => h(i ? 'span' : 'b', { text: t(`runs.${name}`) }));
  const box = h(
    'div',
    { class: 'popover runs' },
    isGoing ? h('p', { class: 'runs-says', text: t('runs.going') }) : null,
    h('div', { class: 'runs-head', 'aria-hidden': 'true' }, h('i'), ...head),
    list,
    runs.length ? null : h('p', { class: 'runs-says', text: t('runs.none') }),
    runs.length < most ? null : h('p', { class: 'runs-says', text: t('runs.most', { n: most, folder }) }),
  );
  walkByArrows(list);
  box.addEventListener('keydown', (event) => keepKeys(event, items));
  openPopover(button, box, () => isGoing !== going());
  placePopover();
  (items.find((item) => item.getAttribute('aria-checked') === 'true') ?? items[0]).focus();
}

// A key that is none of the list's must not train a step meanwhile. Tab goes on from the button.
function keepKeys(event, items) {
  if (event.key === 'Escape') return;
  event.stopPropagation();
  if (event.key === 'Tab') closeAt(button, true);
  const end = { Home: 0, End: -1 }[event.key];
  if (end == null) return;
  event.preventDefault();
  items.at(end).focus();
}

function runItem(entry, usualModel) {
  const numbers = [entry.created ? moment(entry.created) : '', count(entry.steps), amount(entry.reward)];
  const spoken = numbers.map((text, i) => text && `${t(`runs.${COLUMNS[i + 1]}`)} ${text}`);
  const about = aboutEntry(entry, usualModel).join(' · ');
  const item = h(
    'button',
    {
      ...{ class: 'run-item', type: 'button', role: 'menuitemradio', tabindex: -1 },
      'aria-checked': String(entry.shown),
      'aria-label': [entry.title, ...spoken, about].filter(Boolean).join(', '),
    },
    entry.shown ? icon('yes') : h('i'),
    h('b', { text: entry.title }),
    ...numbers.map((text) => h('span', { text })),
    about ? h('span', { class: 'about', text: about }) : null,
  );
  item.addEventListener('click', () => choose(entry, item));
  return item;
}

/** What sets a run apart from others: method, mistake, model, and the knobs it began with. */
function aboutEntry({ method, bug, model, knobs }, usualModel) {
  const named = (list, name) => pick(list?.find((each) => each.name === name)?.title) || name;
  return [
    method !== 'grpo' && named(state.spec?.methods, method),
    bug !== 'none' && t('bug.badge', { title: named(state.spec?.bugs, bug) }),
    model !== usualModel && model,
    ...Object.entries(knobs).map(([name, value]) => `${symbol(name)} ${knobText(name, value)}`),
  ].filter(Boolean);
}

// Opening a long run takes a second or two: until then the list stays, and marks what was chosen.
async function choose(entry, item) {
  if (going() || busy) return;
  busy = true;
  item.setAttribute('aria-busy', 'true');
  if (!entry.shown) await (entry.name ? ask('open', { run: entry.name }) : ask('tape'));
  busy = false;
  closeAt(button, true);
}
