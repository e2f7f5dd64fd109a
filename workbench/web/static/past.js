// What lies before the rows that the page holds: curves in which a point stands for many steps, and single rows, both
// fetched when a view asks for them. So a page is as light at step 10,000 as at step 10.
import { set, state, touch } from './store.js';

const KEPT_ROWS = 300;
const MOST_ROWS = 256; // held whole; the server has at least the newest 64 of them

const rows = new Map();
let rowWanted = null;
let rowsOf = null;
const names = new Set();
let busy = { row: false, curves: false };

/** The row of an older step, or null until it has come. @param {number} step  @returns {object|null} */
export function pastRow(step) {
  if (rowsOf !== state.run) {
    rows.clear();
    rowsOf = state.run;
  }
  if (rows.has(step)) return rows.get(step);
  rowWanted = step;
  loadRow();
  return null;
}

async function loadRow() {
  if (busy.row || rowWanted == null) return;
  busy.row = true;
  const [run, step] = [state.run, rowWanted];
  rowWanted = null;
  const row = await fetchJson(`/wb/row/${encodeURIComponent(run)}/${step}`);
  busy.row = false;
  if (row && run === rowsOf) {
    rows.set(step, row);
    if (rows.size > KEPT_ROWS) rows.delete(rows.keys().next().value);
    touch('rows');
  }
  loadRow();
}

/**
 * The curve of a name before the rows that are held; null where there are none or it has not come yet.
 * @param {string} name
 * @returns {{low: (number|null)[], low_at: (number|null)[], high: (number|null)[], high_at: (number|null)[],
 *   mean: (number|null)[], first: number|null}|null}
 */
export function pastCurve(name) {
  if (!state.first) return null;
  if (!names.has(name)) {
    names.add(name);
    loadCurves();
  }
  return state.past?.curves[name] ?? null;
}

/** Let go of older rows where there are too many; the curves take their place. */
export function foldRows() {
  const isBehind = state.first > 0 && state.past?.end !== state.first;
  if (state.rows.length > MOST_ROWS || isBehind) loadCurves();
}

async function loadCurves() {
  if (busy.curves) return;
  busy.curves = true;
  await null; // all names of one drawing are asked for at once
  const [run, asked] = [state.run, [...names]];
  const past = await fetchJson(
    `/wb/curves/${encodeURIComponent(run)}?names=${asked.map(encodeURIComponent).join(',')}`,
  );
  busy.curves = false;
  if (past && run === state.run) takePast(past);
  if (past && (run !== state.run || names.size > asked.length)) loadCurves();
}

/** Put curves before the rows. Exported for the tests. @param {object} past */
export function takePast(past) {
  const over = Math.max(0, past.end - state.first);
  set({ past, first: state.first + over, rows: over ? state.rows.slice(over) : state.rows });
  touch('rows');
}

async function fetchJson(path) {
  try {
    const reply = await fetch(path);
    return reply.ok ? await reply.json() : null;
  } catch {
    // The poll says that the server is gone; the next change of view asks again.
    return null;
  }
}
