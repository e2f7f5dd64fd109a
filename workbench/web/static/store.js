// The state of the page and who is told when a part of it changes.
// Live data arrives through poll.js and groups.js; views read `state`, call actions, and draw on change.

/** Everything the page knows. Rows and events are appended in place; `touch` tells their readers. */
export const state = {
  // the run shown
  run: null,
  source: 'tape',
  title: '',
  model: '',
  device: '',
  seed: null,
  method: 'grpo',
  bug: null,
  folder: null,
  opened: false, // an earlier run, opened from the list
  status: 'idle',
  phase: null,
  error: null,
  numSteps: 1,
  stepTime: null,
  tokensPerSecond: null,
  eta: null,
  rows: [], // the newest rows; rows[0] is number `first` of the run, and `past` has the curves before it
  first: 0,
  firstStep: 1,
  past: null,
  news: -1,
  events: [],
  knobs: {},
  pending: {},
  spec: null,
  connection: 'ok',
  applied: 0,
  // what is looked at; null means "the default": newest step, most varied group, last inner update, what the loss uses
  step: null,
  group: null,
  row: 0,
  k: null,
  measure: null,
  pin: null,
  // the group blob on the screen, and why there is none
  record: null,
  recordError: null,
  // the page
  lang: 'en',
  theme: 'light',
  view: 'live',
  playing: false,
  tokenLine: 0,
  refused: null,
  gone: null, // the folder of the run that was shown until the server was started again
};

const readers = [];
let changed = new Set();
let scheduled = false;

/** What the newest drawing took, in milliseconds, with the browser's own part of the frame; and when it was over. */
export const drawing = { cost: 0, end: 0 };

/** Resolves when nothing waits to be drawn any more. @returns {Promise<void>} */
export const drawn = () =>
  scheduled ? new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))) : Promise.resolve();

/**
 * Draw when one of these keys changes, at most once a frame.
 * @param {string[]} keys  @param {() => void} fn
 */
export function watch(keys, fn) {
  readers.push({ keys, fn });
}

/** @param {Partial<typeof state>} patch */
export function set(patch) {
  for (const [key, value] of Object.entries(patch)) {
    if (Object.is(state[key], value)) continue;
    state[key] = value;
    touch(key);
  }
}

/** Say that a value changed in place. @param {string} key */
export function touch(key) {
  changed.add(key);
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(drawFrame);
}

// A task queued in a frame runs after the browser has laid out and painted it.
function drawFrame() {
  const begun = performance.now();
  flush();
  setTimeout(() => {
    drawing.end = performance.now();
    drawing.cost = drawing.end - begun;
  });
}

/** Draw now what is waiting. */
export function flush() {
  scheduled = false;
  const keys = changed;
  changed = new Set();
  for (const reader of readers) {
    if (!reader.keys.some((key) => keys.has(key))) continue;
    try {
      reader.fn();
    } catch (error) {
      // One broken view must not take the others with it.
      console.error(error);
    }
  }
}
