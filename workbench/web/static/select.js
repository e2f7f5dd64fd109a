// What is on the screen, worked out from the state: the viewed step, its row, its group, the inner update.
import { measuresOf } from './derived.js';
import { clamp } from './math.js';
import { pastCurve, pastRow } from './past.js';
import { state } from './store.js';

/** @returns {boolean} a recording: nothing can be turned */
export const recorded = () => state.source !== 'live';

/** @returns {boolean} no knob can be turned: a recording, or a run that has ended */
export const fixedKnobs = () => recorded() || ['stopped', 'failed'].includes(state.status);

/** @returns {boolean} there will be nothing to see of this run */
export const endedBeforeAStep = () => !recorded() && fixedKnobs() && !countSteps();

/** What an empty view promises, unless nothing will come. @param {string} promise  @returns {string} locale key */
export const emptyKey = (promise) => (endedBeforeAStep() ? 'empty.ended' : promise);

/**
 * The knobs that the next step will use; of a recording, those that the step on the screen used.
 * @returns {Object<string, *>}
 */
export function proposed() {
  if (recorded()) return state.record?.knobs ?? state.knobs;
  const changes = Object.entries(state.pending).map(([name, change]) => [name, change.new]);
  return { ...state.knobs, ...Object.fromEntries(changes) };
}

/** @returns {boolean} the newest step is shown, and the next one will be */
export const following = () => state.step == null;

/** @returns {number} the newest recorded step, 0 before the first */
export const newestStep = () => state.rows.at(-1)?.step ?? 0;

/** @returns {number} */
export const firstStep = () => (state.first ? state.firstStep : (state.rows[0]?.step ?? 1));

/** @returns {number} how many steps are recorded */
export const countSteps = () => state.first + state.rows.length;

/** @returns {number} the step on the screen, 0 before the first */
export const viewedStep = () => (following() ? newestStep() : clamp(state.step, firstStep(), newestStep()));

let seen = { run: null, row: null };

/** The row of the step on the screen; until it has come, the one that was there before. @returns {object|null} */
export function viewedRow() {
  const row = state.rows.length ? rowAt(viewedStep()) : null;
  if (row) seen = { run: state.run, row };
  return row ?? (state.rows.length && seen.run === state.run ? seen.row : null);
}

/** The row of a step; null where there is none, or until it has come. @param {number} step  @returns {object|null} */
export function rowAt(step) {
  const held = state.rows[0]?.step ?? Infinity;
  const guess = state.rows[step - held];
  if (guess?.step === step) return guess;
  if (state.first && step < held) return pastRow(step);
  return state.rows.find((row) => row.step === step) ?? null;
}

/** @returns {number} how many steps there will be */
export const allSteps = () => Math.max(state.numSteps, newestStep());

/** @returns {number} the right end of every step axis, which a run of one step has too */
export const lastStep = () => Math.max(allSteps(), 2);

/** The group to show: the chosen one, else the one whose rewards differ most. @param {object} row  @returns {number} */
export function groupOf(row) {
  const groups = row.groups ?? [];
  if (state.group != null) return clamp(state.group, 0, Math.max(0, groups.length - 1));
  return groups.reduce((best, g, i) => ((g.std ?? 0) > (groups[best].std ?? 0) ? i : best), 0);
}

/** Inner updates recorded for a group. @param {object} record  @returns {number} */
export const updatesOf = (record) => record.completions.find((c) => c.length)?.logps.length ?? 1;

/** @param {number} mu  @returns {number} index of the inner update on the screen */
export const updateIndex = (mu) => clamp(state.k ?? mu - 1, 0, Math.max(0, mu - 1));

/** Index of the selected completion. @returns {number} */
export const selectedRow = () => clamp(state.row, 0, Math.max(0, (state.record?.completions.length ?? 1) - 1));

/** @returns {object|null} */
export const selectedCompletion = () => state.record?.completions[selectedRow()] ?? null;

/**
 * The colouring on the screen: the chosen one, if this record has it; else the ratio, where the method has one.
 * @returns {string}
 */
export function shownMeasure() {
  const measures = measuresOf(state.record);
  if (measures.includes(state.measure)) return state.measure;
  return measures.includes('advantage') ? 'ratio' : 'coefficient';
}

/** Is this token position pinned in the record on the screen? @returns {number|null} */
export function pinnedToken() {
  const completion = selectedCompletion();
  return state.pin != null && completion && state.pin >= 0 && state.pin < completion.length ? state.pin : null;
}

/**
 * Knob changes by the step they took effect at: one numbered mark a step.
 * @returns {{number: number, step: number, events: object[]}[]}
 */
export function marks() {
  const byStep = new Map();
  for (const event of state.events) {
    if (!byStep.has(event.step)) byStep.set(event.step, []);
    byStep.get(event.step).push(event);
  }
  return [...byStep].sort((a, b) => a[0] - b[0]).map(([step, events], i) => ({ number: i + 1, step, events }));
}

/** Where the learned reward's later rounds begin. @returns {{number: number, step: number}[]} */
export function roundStarts() {
  const { steps, values } = curve('round');
  return values.flatMap((number, i) =>
    i && values[i - 1] != null && number > values[i - 1] ? [{ number, step: steps[i] }] : [],
  );
}

/**
 * A value over the steps: its points, and the means that a smooth line goes through. A point of the past stands for
 * `widths` steps and has the lowest and the highest of them in `values`, each at its own step.
 * @typedef {{steps: number[], values: (number|null)[], means: {steps: number[], values: (number|null)[],
 *   widths: number[]}}} Curve
 */

const columns = new Map();
let columnsOf = [null, null];

/**
 * One value over all steps, extended rather than rebuilt as rows arrive.
 * @param {string} name  a metric, a part of the reward ("reward_parts/…"), or a field of the row  @returns {Curve}
 */
export function curve(name) {
  if (columnsOf[0] !== state.rows || columnsOf[1] !== state.past) {
    columns.clear();
    columnsOf = [state.rows, state.past];
  }
  let column = columns.get(name);
  if (!column) columns.set(name, (column = { made: pastOf(name), used: 0 }));
  const { steps, values, means } = column.made;
  for (; column.used < state.rows.length; column.used += 1) {
    const row = state.rows[column.used];
    const value = valueOf(row, name);
    steps.push(row.step);
    values.push(value);
    means.steps.push(row.step);
    means.values.push(value);
    means.widths.push(1);
  }
  return column.made;
}

/** The values of a curve. @param {string} name  @returns {(number|null)[]} */
export const series = (name) => curve(name).values;

function valueOf(row, name) {
  const part = name.replace(/^reward_parts\//, '');
  return row.metrics[name] ?? row.reward_parts?.[part] ?? (typeof row[name] === 'number' ? row[name] : null);
}

function pastOf(name) {
  const made = { steps: [], values: [], means: { steps: [], values: [], widths: [] } };
  const past = pastCurve(name);
  if (!past) return made;
  const put = (step, value) => {
    made.steps.push(step);
    made.values.push(value);
  };
  const [starts, ends] = state.past.steps;
  if (past.first != null && past.low_at[0] !== starts[0] && past.high_at[0] !== starts[0]) put(starts[0], past.first);
  ends.forEach((end, i) => {
    made.means.steps.push((starts[i] + end) / 2);
    made.means.values.push(past.mean[i]);
    made.means.widths.push(end - starts[i] + 1);
    const points = [
      [past.low_at[i] ?? end, past.low[i]],
      [past.high_at[i] ?? end, past.high[i]],
    ].sort((a, b) => a[0] - b[0]);
    put(...points[0]);
    if (points[1][0] !== points[0][0]) put(...points[1]);
  });
  return made;
}

/**
 * Lowest or highest known value, starting from a bound.
 * @param {(number|null)[]} values
 * @param {1|-1} side
 * @param {number} from
 * @returns {number}
 */
export function extreme(values, side, from) {
  let best = from;
  for (const v of values) if (v != null && Number.isFinite(v) && side * v > side * best) best = v;
  return best;
}

/**
 * A metric of the viewed step; null where it was not measured.
 * @param {object|null} row
 * @param {string} name
 * @returns {number|null}
 */
export const metric = (row, name) => row?.metrics[name] ?? null;
