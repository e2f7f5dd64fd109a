// Asks the server for what is new and lets it answer when there is something: a finished step is on the screen at once,
// and an idle page is nearly silent. How often it asks depends on what drawing costs: it may take that share of a core
// that the server says, a small one while a run needs the cores.
import { keepGroup, wantGroup } from './groups.js';
import { resetRun, openingView } from './opening.js';
import { foldRows } from './past.js';
import { following } from './select.js';
import { drawing, drawn, set, state, touch } from './store.js';

const PAGE = Math.random().toString(36).slice(2); // by which the server counts the pages that look on
const CREDIT = 150; // milliseconds of drawing that a quiet page has saved up; a busy one may owe half of it
const UNHURRIED = 15; // milliseconds of drawing for a step: runs so slow that they allow it are drawn step by step
const LONGEST_REST = 10_000; // so that a page among many is not left far behind either
const ATTENTIVE = 2000; // milliseconds after a command in which a page does not rest: it may take effect a little later
const RETRY = 300;
const LONGEST_RETRY = 5000;
let delay = RETRY;
let timer = 0;
let busy = false;
let purse = { credit: CREDIT, at: 0 };
let attentive = 0; // until when
let rested = false; // the newest step is then old news: the next one is worth waiting for

/** Start asking; hidden pages are silent, a page that comes back asks at once, as do all when one gives a command. */
export function startPolling() {
  const commands = new BroadcastChannel('wb:commands'); // to the browser's other pages of this server
  commands.addEventListener('message', attend);
  document.addEventListener('wb:poll', () => {
    commands.postMessage(null);
    attend();
  });
  document.addEventListener('visibilitychange', () => document.hidden || ask());
  soon(0);
}

function attend() {
  attentive = performance.now() + ATTENTIVE;
  ask();
}

function ask() {
  rested = false;
  soon(0);
}

function soon(wait) {
  clearTimeout(timer);
  timer = setTimeout(poll, wait);
}

async function poll() {
  if (busy || document.hidden) return;
  busy = true;
  let wait = 0;
  try {
    const reply = await fetch(`/wb/delta?${question()}`, { cache: 'no-store' });
    if (!reply.ok) throw new Error(`HTTP ${reply.status}`);
    if (reply.status !== 204) applyDelta(await reply.json());
    delay = RETRY;
    set({ connection: 'ok' });
    await drawn();
    const share = Number(reply.headers.get('Wb-Share'));
    purse = spend(purse, share, drawing.end > purse.at ? drawing.cost : 0, performance.now());
    wait = performance.now() < attentive ? 0 : Math.min(restOf(purse, share, state.stepTime), untilTheEnd());
    rested = wait > 0;
  } catch (error) {
    if (!(error instanceof TypeError) && !/^HTTP/.test(error.message)) console.error(error);
    wait = delay = Math.min(LONGEST_RETRY, delay * 2);
    set({ connection: 'lost' });
  } finally {
    busy = false;
    soon(wait);
  }
}

// What the page holds, and which group of the newest step it will want.
function question() {
  const query = { run: state.run ?? '', since: state.first + state.rows.length, events: state.events.length };
  const group = following() && state.view === 'live' ? { group: state.group ?? -1 } : {};
  // Progress within a step is shown where there is time to spare for it.
  const pace = { rested, progress: purse.credit > CREDIT / 2, page: PAGE };
  return new URLSearchParams({ ...query, ...group, news: state.news, ...pace });
}

/**
 * What may still be drawn: `share` of the time that passes is put in, what drawing took is taken out, within bounds.
 * @param {{credit: number, at: number}} purse  in milliseconds of drawing  @param {number} share  of a core
 * @param {number} cost  @param {number} now  @returns {{credit: number, at: number}}
 */
export const spend = ({ credit, at }, share, cost, now) => ({
  credit: Math.max(-CREDIT / 2, Math.min(CREDIT, credit + share * (now - at)) - cost),
  at: now,
});

/**
 * Milliseconds until the purse is no longer empty; none where steps are slow.
 * @param {{credit: number}} purse  @param {number} share  of a core
 * @param {number | null} stepTime  in seconds  @returns {number}
 */
export const restOf = ({ credit }, share, stepTime) =>
  1e3 * share * stepTime >= UNHURRIED ? 0 : Math.min(LONGEST_REST, Math.max(0, -credit) / share);

// That a run has ended is seen at once.
const untilTheEnd = () => (state.eta == null ? Infinity : 1e3 * state.eta + UNHURRIED);

/** Merge one reply into the state. Exported for the tests. @param {object} delta */
export function applyDelta(delta) {
  const first = state.run == null;
  const fresh = delta.run !== state.run;
  // A server counts its news from 0.
  const leaves = state.source === 'live' || state.opened;
  const gone = fresh && state.run && delta.news < state.news && leaves ? state.folder : null;
  if (fresh) resetRun(delta);
  if (gone) set({ gone });
  // A page that was away for long goes on with the newest rows.
  if (delta.first > state.first + state.rows.length) set({ rows: [], first: delta.first });
  if (delta.record) keepGroup(delta.record);
  append('rows', delta.rows);
  append('events', delta.events);
  // The cursors disagree (the server lost rows we hold): begin again.
  if (state.first + state.rows.length !== delta.next || state.events.length !== delta.next_event)
    return set({ run: '', news: -1 });
  if (!fresh && delta.events.length) set({ applied: state.applied + 1 });
  setIfDifferent('knobs', delta.knobs);
  setIfDifferent('pending', delta.pending ?? {});
  setIfDifferent('phase', delta.phase);
  setIfDifferent('error', delta.error);
  set({
    news: delta.news ?? -1,
    firstStep: delta.first_step ?? 1,
    source: delta.source,
    title: delta.title,
    model: delta.model,
    device: delta.device,
    seed: delta.seed,
    method: delta.method,
    bug: delta.bug,
    folder: delta.folder,
    opened: delta.opened,
    status: delta.state,
    numSteps: delta.num_steps,
    stepTime: delta.step_time,
    tokensPerSecond: delta.tokens_per_second,
    eta: delta.eta,
  });
  if (fresh) openingView(delta, first);
  // With its group at hand, a new step is drawn in one go.
  if (delta.record) wantGroup();
  foldRows();
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
