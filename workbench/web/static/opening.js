// The first look at a run: what a link asked for, else the moment a recording is worth opening on.
import { set, state } from './store.js';

const MEASURES = ['ratio', 'advantage', 'kl', 'entropy', 'coefficient', 'value'];
const VIEWS = ['live', 'curves', 'setup'];
let asked = {};

/** Read language, theme and the moment to show from the address. @param {string} search */
export function readAddress(search) {
  const query = new URLSearchParams(search);
  const number = (name) => (/^\d+$/.test(query.get(name) ?? '') ? Number(query.get(name)) : null);
  asked = { step: number('step'), group: number('group'), row: number('row'), k: number('k'), pin: number('pin') };
  if (MEASURES.includes(query.get('measure'))) set({ measure: query.get('measure') });
  if (VIEWS.includes(query.get('view'))) set({ view: viewIn(search) });
}

/** The tab that an address names. @param {string} search  @returns {'live'|'curves'|'setup'} */
export function viewIn(search) {
  const view = new URLSearchParams(search).get('view');
  return VIEWS.includes(view) ? view : 'live';
}

/** Forget the run that was shown. @param {object} delta */
export function resetRun(delta) {
  set({ run: delta.run, rows: [], first: delta.first ?? 0, past: null, events: [], record: null, recordError: null });
  set({ playing: false, refused: null, gone: null });
}

/**
 * Choose the step, group and completion to open on.
 * @param {object} delta  @param {boolean} first  the first run this page shows: the address counts
 */
export function openingView(delta, first) {
  const focus = delta.focus ?? {};
  const view = { step: focus.step ?? null, group: focus.group ?? null, row: focus.completion ?? 0, k: null, pin: null };
  if (delta.source !== 'live' && view.step == null) view.step = delta.rows.at(-1)?.step ?? null;
  if (first) {
    // People count from 1; so does the address, except for steps, which have their own numbers.
    if (asked.step != null) view.step = asked.step;
    if (asked.group != null) view.group = asked.group - 1;
    if (asked.row != null) view.row = asked.row - 1;
    if (asked.k != null) view.k = asked.k - 1;
    if (asked.pin != null) view.pin = asked.pin - 1;
  }
  set({ ...view, tokenLine: 0 });
}

/** The address that shows what is on the screen. @param {string} search  @returns {string} */
export function writeAddress(search) {
  const query = new URLSearchParams(search);
  const put = (name, value) => (value == null ? query.delete(name) : query.set(name, value));
  const next = (index) => (index == null ? null : index + 1);
  put('lang', state.lang);
  if (query.has('theme')) put('theme', state.theme);
  put('view', state.view === 'live' ? null : state.view);
  put('measure', state.measure);
  put('step', state.step);
  put('group', next(state.group));
  put('row', state.row ? state.row + 1 : null);
  put('k', next(state.k));
  put('pin', next(state.pin));
  const text = query.toString();
  return text ? `?${text}` : '';
}
