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
  status: 'idle',
  phase: null,
  error: null,
  numSteps: 1,
  stepTime: null,
  tokensPerSecond: null,
  eta: null,
  rows: [],
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
};

const readers = [];
let changed = new Set();
let scheduled = false;

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
  requestAnimationFrame(flush);
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
