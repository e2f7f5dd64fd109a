import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';

globalThis.requestAnimationFrame = () => 0;
globalThis.document = { hidden: true, addEventListener() {}, dispatchEvent() {} };

const { flush, set, state, watch } = await import('../../../workbench/web/static/store.js');
const { applyDelta } = await import('../../../workbench/web/static/poll.js');
const { readAddress, writeAddress } = await import('../../../workbench/web/static/opening.js');
const select = await import('../../../workbench/web/static/select.js');
const actions = await import('../../../workbench/web/static/actions.js');

const row = (step, stds = [0.1, 0.5, 0]) => ({
  step,
  metrics: { reward: step / 10 },
  updates: [],
  groups: stds.map((std) => ({ mean: 1, std, dead: std === 0 })),
});
const delta = (over = {}) => ({
  run: 'a',
  source: 'live',
  title: 't',
  model: 'm',
  device: 'cpu',
  seed: 0,
  folder: null,
  state: 'running',
  phase: null,
  error: null,
  num_steps: 40,
  rows: [row(1), row(2)],
  next: 2,
  events: [],
  next_event: 0,
  knobs: { beta: 0.1 },
  pending: {},
  focus: null,
  step_time: 1,
  tokens_per_second: 1,
  eta: null,
  ...over,
});
let runs = 0;
const fresh = (over) => applyDelta(delta({ run: `r${(runs += 1)}`, ...over }));

beforeEach(() => set({ view: 'live' }));

test('readers of changed keys run once a flush, and one failure leaves the others alone', () => {
  const calls = [];
  const silent = console.error;
  watch(['lang'], () => calls.push('a'));
  watch(['lang'], () => {
    console.error = () => {};
    throw new Error('broken view');
  });
  watch(['lang', 'theme'], () => calls.push('b'));
  set({ lang: 'zh', theme: 'dark' });
  flush();
  console.error = silent;
  assert.deepEqual(calls, ['a', 'b']);
});

test('a live run is followed; new rows extend it', () => {
  fresh();
  assert.equal(select.following(), true);
  applyDelta(delta({ run: state.run, rows: [row(3)], next: 3 }));
  assert.equal(select.viewedStep(), 3);
});

test('a run that failed before its first step has no view that promises something', () => {
  const promises = ['clip.none', 'curves.empty', 'plots.none', 'timing.none', 'tokens.none'];
  fresh({ rows: [], next: 0 });
  for (const key of promises) assert.equal(select.emptyKey(key), key);
  fresh({ rows: [], next: 0, state: 'failed' });
  for (const key of promises) assert.equal(select.emptyKey(key), 'empty.ended');
  const views = new URL('../../../workbench/web/static/views/', import.meta.url);
  const sources = readdirSync(views).map((name) => readFileSync(new URL(name, views), 'utf8'));
  for (const key of promises) {
    const source = sources.find((text) => text.includes(`'${key}'`));
    assert.ok(source.includes(`emptyKey('${key}')`), key);
  }
});

test('live data moves neither the viewed step nor the pin', () => {
  fresh();
  actions.goToStep(1);
  set({ record: { step: 1, group: 1, completions: [{ length: 4, logps: [[0, 0, 0, 0]] }] } });
  actions.pinToken(0, 2);
  applyDelta(delta({ run: state.run, rows: [row(3)], next: 3 }));
  assert.equal(select.viewedStep(), 1);
  assert.equal(select.pinnedToken(), 2);
  actions.backToLive();
  assert.equal(select.viewedStep(), 3);
  assert.equal(state.pin, null);
});

test('another run clears what was held', () => {
  fresh({ events: [{ index: 0, step: 2, knob: 'beta', old: 0.1, new: 0.2 }], next_event: 1 });
  const before = state.run;
  fresh({ rows: [], next: 0 });
  assert.notEqual(state.run, before);
  assert.deepEqual([state.rows.length, state.events.length, state.record], [0, 0, null]);
  assert.equal(select.viewedStep(), 0);
  assert.equal(select.viewedRow(), null);
});

test('cursors that disagree begin again', () => {
  fresh();
  applyDelta(delta({ run: state.run, rows: [], next: 7 }));
  assert.equal(state.run, '');
});

test('a recording opens on its focus', () => {
  fresh({ source: 'tape', state: 'idle', focus: { step: 1, group: 2, completion: 5 } });
  assert.deepEqual([state.step, state.group, state.row], [1, 2, 5]);
  assert.equal(select.recorded(), true);
});

test('the group shown is the chosen one, else the most varied', () => {
  fresh();
  assert.equal(select.groupOf(select.viewedRow()), 1);
  actions.chooseGroup(2);
  assert.equal(select.groupOf(select.viewedRow()), 2);
  actions.chooseGroup(99);
  assert.equal(select.groupOf(select.viewedRow()), 2);
});

test('knob changes of one step share a mark', () => {
  const event = (index, step) => ({ index, step, knob: 'beta', old: 0, new: 1 });
  fresh({ events: [event(0, 1), event(1, 2), event(2, 2)], next_event: 3 });
  assert.deepEqual(
    select.marks().map((m) => [m.number, m.step, m.events.length]),
    [
      [1, 1, 1],
      [2, 2, 2],
    ],
  );
});

test('columns grow with the rows and forget another run', () => {
  fresh();
  assert.deepEqual(select.series('reward'), [0.1, 0.2]);
  applyDelta(delta({ run: state.run, rows: [row(3)], next: 3 }));
  assert.deepEqual(select.series('reward'), [0.1, 0.2, 0.3]);
  assert.deepEqual(select.series('kl'), [null, null, null]);
  fresh({ rows: [row(5)], next: 1 });
  assert.deepEqual(select.series('reward'), [0.5]);
  assert.equal(select.extreme([null, 2, NaN, -1], -1, 0), -1);
});

test('the address keeps the view, counts from 1 and forgets defaults', () => {
  fresh();
  set({ lang: 'zh', step: 2, group: 7, row: 3, k: 0, pin: 14, measure: 'kl', view: 'live' });
  const text = writeAddress('?other=1&view=curves');
  assert.equal(text, '?other=1&lang=zh&measure=kl&step=2&group=8&row=4&k=1&pin=15');
  set({ measure: 'ratio', view: 'live' });
  readAddress('?measure=entropy&view=curves&step=x');
  assert.deepEqual([state.measure, state.view], ['entropy', 'curves']);
  readAddress('?measure=bogus&view=%3Cscript%3E');
  assert.deepEqual([state.measure, state.view], ['entropy', 'curves']);
});

test('a run that the server no longer knows is said to be in its folder, until another is shown', () => {
  fresh({ folder: 'runs/one', news: 40 });
  fresh({ source: 'tape', folder: null, news: 0 });
  assert.equal(state.gone, 'runs/one', 'its news begin anew: it was started again');
  fresh({ folder: 'runs/two', news: 3 });
  assert.equal(state.gone, null);
  fresh({ source: 'tape', folder: null, news: 9 });
  assert.equal(state.gone, null, 'the recording was asked for');
  fresh({ source: 'tape', folder: null, news: 0 });
  assert.equal(state.gone, null, 'a recording is shown as before');
  applyDelta(delta({ run: 'g', source: 'replay', opened: true, folder: 'runs/two', rows: [], next: 0, news: 9 }));
  applyDelta(delta({ run: 'h', source: 'tape', rows: [], next: 0, news: 0 }));
  assert.equal(state.gone, 'runs/two', 'an earlier run that was opened is no longer on show');
});
