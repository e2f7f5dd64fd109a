// What is on the screen, worked out from the state: the viewed step, its row, its group, the inner update.
import { measuresOf } from './derived.js';
import { clamp } from './math.js';
import { state } from './store.js';

/** @returns {boolean} a recording: nothing can be turned */
export const recorded = () => state.source !== 'live';

/** The knobs that the next step will use; of a recording, those that the step on the screen used. @returns {Object<string, *>} */
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
export const firstStep = () => state.rows[0]?.step ?? 1;

/** @returns {number} the step on the screen, 0 before the first */
export const viewedStep = () => (following() ? newestStep() : clamp(state.step, firstStep(), newestStep()));

/** @returns {object|null} the row of the step on the screen */
export const viewedRow = () => rowAt(viewedStep());

/** @param {number} step  @returns {object|null} */
export function rowAt(step) {
  const guess = state.rows[step - firstStep()];
  return guess?.step === step ? guess : (state.rows.find((row) => row.step === step) ?? null);
}

/** @returns {number} the right end of every step axis */
export const lastStep = () => Math.max(state.numSteps, newestStep(), 2);

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

/** The colouring on the screen: the chosen one, if this record has it; else the ratio, where the method has one. @returns {string} */
export function shownMeasure() {
  const measures = measuresOf(state.record);
  if (measures.includes(state.measure)) return state.measure;
  return measures.includes('advantage') ? 'ratio' : 'coefficient';
}

/** Is this token position pinned in the record on the screen? @returns {number|null} */
export function pinnedToken() {
  const completion = selectedCompletion();
  return state.pin != null && completion && state.pin < completion.length ? state.pin : null;
}

/** Knob changes by the step they took effect at: one numbered mark a step. @returns {{number: number, step: number, events: object[]}[]} */
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
  const rounds = series('round');
  return rounds.flatMap((number, i) =>
    i && rounds[i - 1] != null && number > rounds[i - 1] ? [{ number, step: state.rows[i].step }] : [],
  );
}

const columns = new Map();
let columnsOf = null;

/**
 * One value of every row, extended rather than rebuilt as rows arrive.
 * @param {string} name  a metric, a part of the reward, or a field of the row
 * @returns {(number|null)[]}
 */
export function series(name) {
  if (columnsOf !== state.rows) {
    columns.clear();
    columnsOf = state.rows;
  }
  const values = columns.get(name) ?? [];
  columns.set(name, values);
  for (let i = values.length; i < state.rows.length; i += 1) {
    const row = state.rows[i];
    values.push(row.metrics[name] ?? row.reward_parts?.[name] ?? (typeof row[name] === 'number' ? row[name] : null));
  }
  return values;
}

/** Lowest or highest known value, starting from a bound. @param {(number|null)[]} values  @param {1|-1} side  @param {number} from  @returns {number} */
export function extreme(values, side, from) {
  let best = from;
  for (const v of values) if (v != null && Number.isFinite(v) && side * v > side * best) best = v;
  return best;
}

/** A metric of the viewed step; null where it was not measured. @param {object|null} row  @param {string} name  @returns {number|null} */
export const metric = (row, name) => row?.metrics[name] ?? null;
