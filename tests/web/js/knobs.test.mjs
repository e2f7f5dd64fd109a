import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { beforeEach, test } from 'node:test';

globalThis.requestAnimationFrame = () => 0;

const root = '../../../workbench/web/static/';
const { setLanguage, setTable } = await import(`${root}i18n.js`);
const { set, state } = await import(`${root}store.js`);
const { isUsed, knobText, unusedWhy } = await import(`${root}knobwords.js`);
const { proposed } = await import(`${root}select.js`);
const { typed } = await import(`${root}views/knobcontrols.js`);

const read = (lang) => JSON.parse(readFileSync(new URL(`${root}locales/${lang}.json`, import.meta.url), 'utf8'));
const knob = (name, used_when = [], more = {}) => ({
  name,
  symbol: name[0],
  used_when,
  label: { en: name, zh: name },
  ...more,
});
const KNOBS = [
  knob('beta', [], { symbol: 'β' }),
  knob('loss_type', [], { label: { en: 'loss', zh: '损失' } }),
  knob('advantage_estimator', [], { label: { en: 'advantage', zh: '优势' } }),
  knob('tau', [{ loss_type: { values: ['sapo'] } }]),
  knob('kl_in', [{ beta: { above: 0 } }]),
  knob('eps', [{ advantage_estimator: { values: ['gdpo'] } }, { loss_type: { values: ['grpo'] }, beta: { above: 0 } }]),
];
const METHODS = [
  { name: 'grpo', title: { en: 'GRPO', zh: 'GRPO' }, unused: [] },
  { name: 'sft', title: { en: 'SFT', zh: 'SFT' }, unused: ['beta'] },
];
const VALUES = { beta: 0, loss_type: 'grpo', advantage_estimator: 'grpo', tau: 1, kl_in: 'loss', eps: 0 };

beforeEach(() => {
  setTable('en', read('en'));
  setTable('zh', read('zh'));
  setLanguage('en');
  set({ spec: { knobs: KNOBS, methods: METHODS, bugs: [] }, method: 'grpo', source: 'live', pending: {} });
  set({ knobs: { ...VALUES } });
});

test('a knob is used where any of its conditions holds in full', () => {
  const used = (name, changes) =>
    isUsed(
      KNOBS.find((k) => k.name === name),
      { ...VALUES, ...changes },
    );
  assert.equal(used('beta', {}), true);
  assert.deepEqual([used('tau', {}), used('tau', { loss_type: 'sapo' })], [false, true]);
  assert.deepEqual([used('kl_in', { beta: 0 }), used('kl_in', { beta: 0.1 })], [false, true]);
  assert.deepEqual(
    [{}, { beta: 0.1 }, { beta: 0.1, loss_type: 'dapo' }, { advantage_estimator: 'gdpo' }].map((c) => used('eps', c)),
    [false, true, false, true],
  );
});

test('a knob without effect says with what it would have one', () => {
  assert.equal(unusedWhy('beta'), null);
  assert.equal(unusedWhy('tau'), 'No effect now. Used with loss SAPO.');
  assert.equal(unusedWhy('eps'), 'No effect now. Used with advantage GDPO, or loss GRPO and β > 0.');
  assert.equal(unusedWhy('kl_in', { ...VALUES, beta: 0.2 }), null);
  setLanguage('zh');
  assert.equal(unusedWhy('tau'), '当前不起作用。用于：损失 SAPO。');
});

test('what the method leaves aside is said first, whatever the other knobs are', () => {
  set({ method: 'sft' });
  assert.equal(unusedWhy('beta'), 'SFT does not use this knob.');
  assert.equal(unusedWhy('loss_type'), null);
});

test('the knobs to come are those in use with what is pending laid over them', () => {
  set({ pending: { beta: { old: 0, new: 0.3, step: 5 } } });
  assert.deepEqual(proposed(), { ...VALUES, beta: 0.3 });
  set({ source: 'tape', record: { knobs: { beta: 7 } } });
  assert.deepEqual(proposed(), { beta: 7 });
  set({ record: null });
  assert.equal(proposed(), state.knobs);
});

test('values in words: switches, choices, absences, small numbers', () => {
  assert.deepEqual([knobText('x', true), knobText('x', false)], ['on', 'off']);
  assert.deepEqual([knobText('loss_type', 'dr_grpo'), knobText('std_ddof', 1)], ['Dr. GRPO', 'N − 1']);
  assert.deepEqual([knobText('delta', null), knobText('epsilon_high', null)], ['off', 'same as ε']);
  assert.deepEqual(
    [knobText('std_eps', 1e-8), knobText('std_eps', 1e-4), knobText('std_eps', 0)],
    ['1e−8', '1e−4', '0'],
  );
});

test('a number too large to be one is sent as it was typed, never as null', () => {
  for (const text of ['1e999', '-1e999', 'Infinity', 'abc'])
    for (const optional of [true, false])
      assert.equal(JSON.stringify(typed({ optional }, text)), JSON.stringify(text), text);
  assert.deepEqual([typed({}, '0,5'), typed({}, '−2'), typed({}, '1e3')], [0.5, -2, 1000]);
  assert.deepEqual([typed({ optional: true }, ' '), typed({ optional: false }, ' ')], [null, ' ']);
});

test('every choice of every knob has a name in both languages, or is its own', () => {
  const keys = Object.keys(read('en')).filter((key) => key.startsWith('name.'));
  const table = readFileSync(new URL('../../../workbench/run/knobtable/clip.py', import.meta.url), 'utf8');
  const losses = /choices=\(("grpo"[^)]*)\)/.exec(table)[1].match(/\w+/g);
  assert.ok(losses.length >= 9);
  for (const loss of losses) assert.ok(keys.includes(`name.loss_type.${loss}`), loss);
});
