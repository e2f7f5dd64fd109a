import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

globalThis.requestAnimationFrame = () => 0;

const root = '../../../workbench/web/static/';
const { setLanguage, setTable, t } = await import(`${root}i18n.js`);
const { fate, precise, tokenTip } = await import(`${root}tips.js`);
const { wayKey } = await import(`${root}views/grouprow.js`);

for (const lang of ['en', 'zh'])
  setTable(lang, JSON.parse(readFileSync(new URL(`${root}locales/${lang}.json`, import.meta.url), 'utf8')));

const completion = (advantage, more = {}) => ({
  length: 2,
  tokens: ['a', 'b'],
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

test('the hover of a clipped token says what moves it too, for its gradient need not be zero', () => {
  setLanguage('en');
  const hover = (knobs) => tokenTip(record(knobs, [completion(1)]), 0, 0, 0).text;
  assert.match(hover({ beta: 0.1 }), /clipped, only KL moves it\.$/);
  assert.match(hover({ beta: 0 }), /clipped, nothing moves it\.$/);
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

test('a mistake is told by what it does to the token, not by what the advantage would do without it', () => {
  const inside = { clipped: ['00'], outside: ['00'] };
  const with_ = (bug, advantage, more = inside, token = 0) =>
    said(record({ beta: 0.1 }, [completion(advantage, more)], { bug }), token);
  assert.match(with_(null, 1), /pushed up/);
  assert.match(with_('ratio_inverted', 1), /upside down.*\*\*pushed down/);
  assert.match(with_('ratio_inverted', -1), /upside down.*\*\*pushed up/);
  assert.match(with_('ratio_inverted', 1, {}), /upside down has left the band: \*\*flat, only KL moves it/);
  assert.match(with_('ratio_inverted', 0), /advantage is 0/);
  for (const advantage of [1, 0, -1])
    assert.match(with_('logps_without_gradient', advantage), /constant.*\*\*nothing moves it/);
});

test('the end token that a mask forgot is not a completion that is not learned from', () => {
  const bug = 'eos_not_in_mask';
  const ended = completion(1, { kept: ['10'] });
  assert.match(said(record({}, [ended], { bug }), 1), /no end token/);
  assert.match(said(record({}, [{ ...ended, truncated: true }], { bug }), 1), /not learned from/);
});

test('a ratio over the reference is not said to be over the policy before the step', () => {
  setLanguage('en');
  const text = (bug) => tokenTip(record({}, [completion(1)], { bug }), 0, 0, 0).text;
  assert.match(text('ratio_to_reference'), /as under the reference/);
  assert.match(text(null), /^1\.65 times as likely as before this step \(37% → 61%\)/);
});

test('no method is said to have sampled what it read: the ratio is to the policy before the step', () => {
  for (const method of ['grpo', 'rft', 'sft'])
    for (const lang of ['en', 'zh']) {
      setLanguage(lang);
      const { text } = tokenTip(record({}, [completion(1)], { method }), 0, 0, 0);
      assert.match(text, lang === 'en' ? /before this step/ : /本步更新前/);
      assert.doesNotMatch(text, /sampled|采样/);
    }
});

test('where a completion has one ratio, that is not said to be how much likelier the token has become', () => {
  const knobs = { importance_sampling_level: 'sequence' };
  const text = (lang, more) => {
    setLanguage(lang);
    return tokenTip(record(knobs, [completion(1)], more), 0, 0, 0).text;
  };
  assert.match(text('en'), /^Its completion's ratio is 1\.284; the token itself: 37% → 61%\./);
  assert.match(text('zh'), /^所在回答的概率比为 1\.284；词元自身：37% → 61%。/);
  assert.match(text('en', { bug: 'ratio_to_reference' }), /^Its completion's ratio to the reference, .* is 1\.284;/);
  assert.match(text('en', { method: 'rft' }), /^1\.65 times as likely/, 'its loss has no ratio');
});

test('an advantage is said to do what it does in this run', () => {
  const key = (bug, way) => wayKey(record({}, [], { bug }), way);
  assert.equal(key(null, 'up'), 'group.way.group.up');
  assert.deepEqual(
    ['up', 'none'].map((way) => key('ratio_inverted', way)),
    ['group.way.inverted.up', 'group.way.group.none'],
  );
  assert.equal(key('logps_without_gradient', 'down'), 'group.way.constant');
  assert.equal(key('batch_mean_baseline', 'down'), 'group.way.batch.down');
});

test('what δ cuts is told of δ, whatever the sign, and only that', () => {
  const at = (ratio, advantage, knobs) =>
    fate(record(knobs, [completion(advantage, { logps: [[Math.log(ratio) - 1, -1]] })]), 0, 0, 0)[0];
  const wide = { epsilon: 0.2, delta: 1.6 };
  assert.equal(at(1.84, -1, wide), 'fate.dead_delta');
  assert.equal(at(1.84, 1, wide), 'fate.dead_up', 'there 1 + ε is the tighter one');
  assert.equal(at(0.7, -1, wide), 'fate.dead_down');
  const tight = { epsilon: 0.5, delta: 1 };
  assert.deepEqual([at(1.218, 1, tight), at(1.84, 1, tight)], ['fate.dead_delta', 'fate.dead_delta']);
  assert.equal(at(1.84, -1, tight), 'fate.dead_delta', 'without δ it would learn');
  assert.equal(at(0.4, -1, { epsilon: 0.5, delta: 0.3 }), 'fate.dead_down', '1 − ε holds it already');
  const cut = [completion(-1, { logps: [[Math.log(1.84) - 1, -1]] })];
  assert.equal(said(record({ ...wide, beta: 0 }, cut)), 'r is past δ, which caps it: **flat, nothing moves it.**');
  assert.equal(
    said(record({ ...wide, beta: 0 }, cut), 0, 'zh'),
    'r 已超过 δ，被它封顶：**目标变平，没有什么能动它。**',
  );
});

test('factors have the digits that make their product out, however small or large', () => {
  assert.deepEqual([1.0374, -2.47, 0, 0.05216].map(precise), ['1.037', '−2.470', '0.000', '0.0522']);
  assert.deepEqual([5.2156e-5, 875000, 0.00141, NaN].map(precise), ['5.216e−5', '8.75e5', '0.00141', 'NaN']);
  setLanguage('en');
  const rare = completion(1, { old: [-1, -1], logps: [[-11, -1]], clipped: ['00'], outside: ['00'] });
  const { text, rows } = tokenTip(record({}, [rare]), 0, 0, 0);
  assert.match(text, /^4.5e−5 times as likely/);
  assert.equal(rows[0][1], 'r 4.54e−5');
});
