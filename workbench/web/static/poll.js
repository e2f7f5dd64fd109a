// Asks the server for what is new, three times a second, while the page can be seen.
import { resetRun, openingView } from './opening.js';
import { set, state, touch } from './store.js';

const PERIOD = 300;
const LONGEST = 5000;
let delay = PERIOD;
let timer = 0;
let busy = false;

/** Start asking; hidden pages are silent, a page that comes back asks at once. */
export function startPolling() {
  document.addEventListener('visibilitychange', () => document.hidden || soon(0));
  document.addEventListener('wb:poll', () => soon(0));
  soon(0);
}

function soon(wait) {
  clearTimeout(timer);
  timer = setTimeout(poll, wait);
}

async function poll() {
  if (busy || document.hidden) return;
  busy = true;
  try {
    const query = new URLSearchParams({ run: state.run ?? '', since: state.rows.length, events: state.events.length });
    const reply = await fetch(`/wb/delta?${query}`, { cache: 'no-store' });
    if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
    applyDelta(await reply.json());
    delay = PERIOD;
    set({ connection: 'ok' });
  } catch (error) {
    if (!(error instanceof TypeError) && !/^HTTP/.test(error.message)) console.error(error);
    delay = Math.min(LONGEST, delay * 2);
    set({ connection: 'lost' });
  } finally {
    busy = false;
    soon(delay);
  }
}

/** Merge one reply into the state. Exported for the tests. @param {object} delta */
export function applyDelta(delta) {
  const first = state.run == null;
  const fresh = delta.run !== state.run;
  if (fresh) resetRun(delta);
  append('rows', delta.rows);
  append('events', delta.events);
  // The cursors disagree (the server lost rows we hold): begin again.
  if (state.rows.length !== delta.next || state.events.length !== delta.next_event) return set({ run: '' });
  if (!fresh && delta.events.length) set({ applied: state.applied + 1 });
  setIfDifferent('knobs', delta.knobs);
  setIfDifferent('pending', delta.pending ?? {});
  setIfDifferent('phase', delta.phase);
  setIfDifferent('error', delta.error);
  set({
    source: delta.source,
    title: delta.title,
    model: delta.model,
    device: delta.device,
    seed: delta.seed,
    method: delta.method,
    bug: delta.bug,
    folder: delta.folder,
    status: delta.state,
    numSteps: delta.num_steps,
    stepTime: delta.step_time,
    tokensPerSecond: delta.tokens_per_second,
    eta: delta.eta,
  });
  if (fresh) openingView(delta, first);
}

function append(key, items) {
  if (!items?.length) return;
  for (const item of items) state[key].push(item);
  touch(key);
}

// Small objects arrive anew with every reply: an equal one must not wake its readers.
function setIfDifferent(key, value) {
  if (JSON.stringify(state[key]) !== JSON.stringify(value ?? null)) set({ [key]: value ?? null });
}
