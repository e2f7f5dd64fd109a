import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  matchLanguage,
  pick,
  setLanguage,
  setTable,
  splitRich,
  t,
  translated,
} from '../../../workbench/web/static/i18n.js';

const root = new URL('../../../workbench/web/static/', import.meta.url);
const read = (name) => readFileSync(new URL(name, root), 'utf8');
const en = JSON.parse(read('locales/en.json'));
const zh = JSON.parse(read('locales/zh.json'));
const sources = [...readdirSync(root), ...readdirSync(new URL('views/', root)).map((f) => `views/${f}`)]
  .filter((f) => f.endsWith('.js'))
  .map((f) => [f, read(f)]);
const holes = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort();

test('both languages have the same keys and the same placeholders', () => {
  assert.deepEqual(Object.keys(zh).sort(), Object.keys(en).sort());
  for (const key of Object.keys(en)) assert.deepEqual(holes(zh[key]), holes(en[key]), key);
  for (const [key, text] of Object.entries({ ...en, ...zh }))
    assert.equal(text.split('**').length % 2, 1, `unclosed bold in ${key}`);
});

test('every key written in the sources exists', () => {
  for (const [file, text] of sources) {
    for (const [, key] of text.matchAll(/(?<![\w.])(?:t|rich|has)\('([\w.]+)'/g))
      assert.ok(key in en, `${file}: ${key}`);
    for (const [, prefix] of text.matchAll(/\b(?:t|rich)\(`([\w.]+)\$\{/g))
      assert.ok(
        Object.keys(en).some((key) => key.startsWith(prefix)),
        `${file}: ${prefix}…`,
      );
  }
});

test('there are words for every ratio and for every sampler', () => {
  for (const kind of ['', '_ref', '_sequence', '_sequence_ref'])
    for (const key of ['token.likely', 'card.likely', 'measure.ratio.help', 'stage.ratio.formula'])
      assert.ok(key + kind in en, key + kind);
  for (const kind of ['', '_ref', '_read']) assert.ok(`card.old.help${kind}` in en, kind);
  for (const sampler of ['old', 'ref', 'none']) assert.ok(`card.options.help_${sampler}` in en, sampler);
});

test('a formula counts what its number counts', () => {
  const counted = {
    'stage.clip.clip.formula': [/mask/, /掩码/],
    'stage.advantage.formula': [/fewer than two/, /不足两个/],
  };
  for (const [key, [english, chinese]] of Object.entries(counted)) {
    assert.match(en[key], english);
    assert.match(zh[key], chinese);
  }
});

test('style of the copy: sentence case without exclamation marks', () => {
  for (const [key, text] of Object.entries(en)) assert.ok(!/!/.test(text), key);
});

test('text enters the page by textContent alone', () => {
  for (const [file, text] of sources)
    assert.ok(!/innerHTML|insertAdjacentHTML|outerHTML|document\.write|\beval\(|new Function/.test(text), file);
});

test('colours are written in the style sheet alone', () => {
  for (const [file, text] of sources) assert.ok(!/#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b(?=['"])/.test(text), file);
});

test('nothing is asked of another host', () => {
  for (const [file, text] of [...sources, ['style.css', read('style.css')]])
    assert.ok(!/https?:\/\/(?!www\.w3\.org)/.test(text), file);
});

test('placeholders, singular, fallback to English', () => {
  setTable('en', { a: '{n} things', a_one: 'one thing', b: 'only English' });
  setTable('zh', { a: '{n} 个' });
  setLanguage('en');
  assert.equal(t('a', { n: 2 }), '2 things');
  assert.equal(t('a', { n: 1 }), 'one thing');
  setLanguage('zh');
  assert.equal(t('a', { n: 1 }), '1 个');
  assert.equal(t('b'), 'only English');
  assert.equal(t('missing.key'), 'missing.key');
  assert.equal(pick({ en: 'x', zh: '甲' }), '甲');
  assert.equal(matchLanguage('zh-TW'), 'zh');
  assert.equal(matchLanguage('fr'), 'en');
});

test('bold parts are found before values are filled in', () => {
  assert.deepEqual(splitRich('a **b {x}** c'), [
    { bold: false, text: 'a ' },
    { bold: true, text: 'b {x}' },
    { bold: false, text: ' c' },
  ]);
});

test('what the server says in English is said in Chinese, part by part, and anything else as it is', () => {
  setTable('en', en);
  setTable('zh', zh);
  const said = "steps={'a'} is not allowed: it must be a whole number in [1, 8], or none";
  setLanguage('en');
  assert.equal(translated(said), said);
  setLanguage('zh');
  assert.equal(translated(said), "steps={'a'} 不可用：必须是 [1, 8] 内的整数，或 none");
  assert.equal(translated('1 of 2 steps right; wanted 2+4+1=7, read nothing'), '2 步中对 1 步；应为 2+4+1=7，读到 无');
  assert.equal(translated('no <answer>…</answer>'), '没有 <answer>…</answer>');
  for (const own of ['my own reason', 'no <answer>…</answer> at all', '7 = 7', '', null])
    assert.equal(translated(own), own);
});
