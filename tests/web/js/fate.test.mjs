import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

globalThis.requestAnimationFrame = () => 0;

const root = '../../../workbench/web/static/';
const { setLanguage, setTable, t } = await import(`${root}i18n.js`);
const { fate } = await import(`${root}tips.js`);

for (const lang of ['en', 'zh'])
  setTable(lang, JSON.parse(readFileSync(new URL(`${root}locales/${lang}.json`, import.meta.url), 'utf8')));

const completion = (advantage, more = {}) => ({
  length: 2,
  advantage,
  old: [-1, -1],
  ref: [-1, -1],
  logps: [[-0.5, -1]],
  clipped: ['10'],
  outside: ['10'],
  entropy: [0.5, 0.5],
  ...more,
});
const record = (knobs, completions, more = {}) => ({ knobs, method: 'grpo', bug: null, completions, ...more });

function said(group, token = 0, lang = 'en') {
  setLanguage(lang);
  const [key, values] = fate(group, 0, token, 0);
  return t(`${key}.why`, values);
}

test('only what is in the loss is said to move a token that the clip let go', () => {
  const clipped = (knobs, more) => said(record(knobs, [completion(1)], more));
  assert.equal(clipped({ beta: 0.1 }), 'A > 0, but r is past 1 + ε: **flat, only KL moves it.**');
  assert.equal(clipped({ beta: 0 }), 'A > 0, but r is past 1 + ε: **flat, nothing moves it.**');
  assert.match(clipped({ beta: 0.1, kl_in: 'reward' }), /nothing moves it/);
  assert.match(clipped({ beta: 0, entropy_coef: 0.01 }), /only the entropy bonus moves it/);
  assert.match(clipped({ beta: 0.1, entropy_coef: 0.01 }), /only KL and the entropy bonus move it/);
});

test('so for a token without an advantage, and for one that a mask leaves out', () => {
  assert.equal(said(record({ beta: 0 }, [completion(0)])), 'Its advantage is 0: **nothing moves it.**');
  assert.equal(said(record({ beta: 0 }, [completion(0)]), 0, 'zh'), '优势为 0：**没有什么能动它。**');
  assert.equal(said(record({ beta: 0.1 }, [completion(0)]), 0, 'zh'), '优势为 0：**只有 KL 能动它。**');
  const uncertain = [completion(1, { kept: ['01'] })];
  const masked = (knobs) => said(record({ top_entropy_quantile: 0.2, ...knobs }, uncertain));
  assert.match(masked({ beta: 0, entropy_coef: 0.01 }), /left out, nothing moves it/, 'the bonus is for those kept');
  assert.match(masked({ beta: 0.1 }), /left out, only KL moves it/);
  const left = record({ off_policy_mask_threshold: -1, beta: 0 }, [completion(-1, { kept: ['01'] })]);
  assert.match(said(left), /left out, nothing moves it/);
});
