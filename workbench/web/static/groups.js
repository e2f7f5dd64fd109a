// The group on the screen: fetched when the viewed step or group changes, one request at a time, a few kept.
import { following, groupOf, viewedRow } from './select.js';
import { set, state } from './store.js';

const KEPT = 32;
const cache = new Map();
let busy = null;

/** Bring the wanted group to the screen, from memory or from the server. */
export function wantGroup() {
  const row = viewedRow();
  if (!row || !row.groups?.length) {
    if (!row) set({ record: null });
    return;
  }
  const want = { run: state.run, step: row.step, group: groupOf(row) };
  const key = keyOf(want);
  const kept = cache.get(key);
  if (kept) {
    cache.delete(key);
    cache.set(key, kept);
    set({ record: kept, recordError: null });
  } else if (!busy) {
    load(want, key);
  }
}

/** Take in a group that came with the news. @param {object} record */
export const keepGroup = (record) => keep(keyOf(record), record);

const keyOf = ({ run, step, group }) => `${run}/${step}/${group}`;

async function load(want, key) {
  busy = key;
  let failed = null;
  try {
    const reply = await fetch(`/wb/group/${encodeURIComponent(want.run)}/${want.step}?group=${want.group}`);
    const body = await reply.json();
    if (!reply.ok) failed = body.error ?? `HTTP ${reply.status}`;
    else keep(key, body);
    if (!failed && want.run === state.run && following()) set({ record: body, recordError: null });
  } catch {
    // The poll says that the server is gone; the next change of view asks again.
    failed = '';
  }
  busy = null;
  if (failed == null) return wantGroup();
  if (failed) failedView(want, failed);
}

// Only a failure that is still looked at is shown; the old group would be a lie beside the new step.
function failedView(want, error) {
  const row = viewedRow();
  if (row && keyOf({ run: state.run, step: row.step, group: groupOf(row) }) === keyOf(want))
    set({ record: null, recordError: error });
  else wantGroup();
}

function keep(key, body) {
  cache.set(key, body);
  if (cache.size > KEPT) cache.delete(cache.keys().next().value);
}
