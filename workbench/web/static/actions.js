// What a click or a key does. Views never write to the state themselves.
import { clamp } from './math.js';
import {
  firstStep,
  newestStep,
  pinnedToken,
  selectedCompletion,
  selectedRow,
  updatesOf,
  viewedRow,
  viewedStep,
  groupOf,
} from './select.js';
import { set, state } from './store.js';

/** Look at a step; the newest one of a live run means following it. @param {number} step */
export function goToStep(step) {
  if (!state.rows.length) return;
  const target = clamp(Math.round(step), firstStep(), newestStep());
  set({ step: target === newestStep() && state.source === 'live' && state.pin == null ? null : target, tokenLine: 0 });
}

/** @param {number} by */
export const moveStep = (by) => goToStep(viewedStep() + by);

/** Follow the newest step again; a pin would hold the view back, so it goes. */
export const backToLive = () => set({ step: null, pin: null, playing: false });

/** @param {number|null} group */
export const chooseGroup = (group) => set({ group, row: 0, pin: null, tokenLine: 0 });

/** @param {number} by */
export function moveGroup(by) {
  const row = viewedRow();
  if (row?.groups.length) chooseGroup((groupOf(row) + by + row.groups.length) % row.groups.length);
}

/** @param {number} row */
export const chooseRow = (row) => set({ row, pin: null, tokenLine: 0 });

/** @param {number} by */
export function moveRow(by) {
  const total = state.record?.completions.length ?? 0;
  if (total) chooseRow((selectedRow() + by + total) % total);
}

/** @param {number|null} k  index of the inner update; null: always the last */
export const chooseUpdate = (k) => set({ k: state.record && k === updatesOf(state.record) - 1 ? null : k });

/** @param {string} measure */
export const chooseMeasure = (measure) => set({ measure });

/**
 * Pin a token: the view stays at this step until "Back to live".
 * @param {number} row  @param {number} token
 */
export function pinToken(row, token) {
  if (!state.record) return;
  if (row === selectedRow() && state.pin === token) return unpin();
  set({ row, pin: token, step: state.record.step });
}

/** Let the token go. */
export const unpin = () => set({ pin: null });

/** Walk along the completion. @param {number} by */
export function movePin(by) {
  const length = selectedCompletion()?.length ?? 0;
  if (!length) return;
  const from = pinnedToken();
  pinAt(from == null ? (by > 0 ? 0 : length - 1) : clamp(from + by, 0, length - 1));
}

const pinAt = (token) => token !== state.pin && pinToken(selectedRow(), token);

/** @param {'live'|'curves'|'setup'} view */
export const showView = (view) => set({ view });

/** @param {string} lang */
export const chooseLanguage = (lang) => set({ lang });

/** Light and dark. */
export const toggleTheme = () => set({ theme: state.theme === 'dark' ? 'light' : 'dark' });

/** Play or halt the recording. */
export function togglePlayback() {
  if (!state.playing && viewedStep() >= newestStep()) set({ step: firstStep() });
  set({ playing: !state.playing, pin: null });
}

let refusalTimer = 0;

// Why a button did nothing is said for a while, then the line is free again.
function showRefusal(error) {
  clearTimeout(refusalTimer);
  set({ refused: error });
  if (error) refusalTimer = setTimeout(() => set({ refused: null }), 8000);
}

/**
 * Ask the server to do something. Resolves to null, or to the sentence that says why not.
 * @param {string} action  @param {object} [body]  @returns {Promise<string|null>}
 */
export async function ask(action, body = {}) {
  try {
    const reply = await fetch(`/wb/do/${action}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    const answer = await reply.json().catch(() => ({}));
    const error = reply.ok ? null : (answer.error ?? `HTTP ${reply.status}`);
    if (action !== 'knobs') showRefusal(error);
    document.dispatchEvent(new CustomEvent('wb:poll'));
    return error;
  } catch {
    set({ connection: 'lost' });
    return null;
  }
}
