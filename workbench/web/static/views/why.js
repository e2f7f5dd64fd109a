// The why-card: one question this step raises, two sentences, one line of evidence.
import { derive, hasSteps, isDead } from '../derived.js';
import { h } from '../dom.js';
import { amount, compact, fixed, share, signedAmount } from '../format.js';
import { rich, t } from '../i18n.js';
import { span } from '../math.js';
import { baselineOf, cancelOut, hasEntropyBonus, klForm } from '../meaning.js';
import { metric, recorded, selectedCompletion, updateIndex, updatesOf, viewedRow } from '../select.js';
import { state } from '../store.js';

/**
 * @typedef {{row: object, record: object, mu: number, k: number, method: string, form: string, flat: boolean,
 *   budget: object}} Facts
 */

// The first rule that holds is the one shown: what is most surprising comes first.
const RULES = [
  ['constant', (f) => f.record.bug === 'logps_without_gradient', stillFacts],
  ['unscored', (f) => isDead(f.record) && f.record.std == null, unscoredFacts],
  ['broken', (f) => isDead(f.record) && isBroken(f), brokenFacts],
  ['dead', (f) => isDead(f.record), deadFacts],
  [
    'empty',
    () => selectedCompletion()?.length === 0,
    (f) => [['why.f.empty', String(f.record.completions.filter((c) => !c.length).length)]],
  ],
  ['learned', (f) => f.record.completions.some((c) => c.true_reward != null), learnedFacts],
  ['ppo', (f) => f.method === 'ppo', criticFacts],
  ['dpo', (f) => f.method === 'dpo', lossFacts],
  ['sft', (f) => f.method === 'sft', lossFacts],
  ['rft', (f) => f.method === 'rft' || f.method === 'online_rft', rftFacts],
  ...['cap', 'gate', 'phi', 'plain'].map((form) => [
    form,
    (f) => f.form === form && (f.mu === 1 || !f.flat),
    formFacts,
  ]),
  [
    'one',
    (f) => f.mu === 1 && f.flat,
    (f) => [
      ['why.f.mu', '1'],
      ['why.f.loss', lossOf(f)],
    ],
  ],
  [
    'first',
    (f) => f.k === 0 && f.flat,
    (f) => [
      ['why.f.update', `1 / ${f.mu}`],
      ['why.f.loss', lossOf(f)],
    ],
  ],
  ['full', (f) => cutShare(f) >= 0.25 && limitOf(f.record) < f.record.knobs.max_completion_length, cutFacts],
  ['cut', (f) => cutShare(f) >= 0.25, cutFacts],
  [
    'clipped',
    (f) => lostShare(f.budget) >= 0.2,
    (f) => [
      ['why.f.lost', share(lostShare(f.budget))],
      ['why.f.tokens', String(derive(f.record, f.k).dead)],
    ],
  ],
  ['process', (f) => hasSteps(f.record), processFacts],
  [
    'gist',
    (f) => recorded() && baselineOf(f.record) === 'group' && f.record.bug !== 'ratio_inverted',
    (f) => [
      ['why.f.mean', amount(f.record.mean)],
      ['why.f.up', String(count(f, 1))],
      ['why.f.down', String(count(f, -1))],
    ],
  ],
  [
    'no_ref',
    (f) => f.record.completions.every((c) => !c.ref),
    (f) => [['why.f.beta', fixed(f.record.knobs.beta ?? 0)]],
  ],
  ['loss', (f) => Math.abs(f.budget.loss ?? 0) < 0.02 && cancelOut(f.record), lossFacts],
  ['kl', isHeldBack, lossFacts],
  ['watch', () => true, lossFacts],
];

// The pull of k1 does not grow with the distance; and beside an entropy bonus, which is in no share, it may be small.
function isHeldBack({ record, budget }) {
  if (klForm(record) === 'k1' || hasEntropyBonus(record)) return false;
  return budget.kl > Math.max(budget.up, budget.down) / 2;
}

// Three decimals show that it is almost 0; a large one has its own size.
const lossOf = ({ budget }) => (Math.abs(budget.loss) < 100 ? fixed(budget.loss, 3) : compact(budget.loss));

const mean = (values) => (values.length ? values.reduce((a, b) => a + b, 0) / values.length : NaN);
const meanOf = (f, list) => mean(f.record.completions.flatMap((c) => (list(c) ?? []).filter((v) => v != null)));

function processFacts(f) {
  const steps = f.record.completions.flatMap((c) => c.steps ?? []);
  return [
    ['why.f.steps', String(steps.length)],
    ['why.f.steps_right', String(steps.filter((s) => s.reward > 0).length)],
    ['why.f.step_mean', amount(mean(steps.map((s) => s.reward)))],
  ];
}

function learnedFacts(f) {
  return [
    ['why.f.learned', amount(f.record.mean)],
    ['why.f.true', amount(mean(f.record.completions.map((c) => c.true_reward).filter((v) => v != null)))],
  ];
}

function criticFacts(f) {
  return [
    ['why.f.value', amount(meanOf(f, (c) => c.values))],
    ['why.f.loss', lossOf(f)],
  ];
}

function rftFacts(f) {
  const { completions } = f.record;
  return [['why.f.learned_from', `${completions.filter((c) => !c.masked).length} / ${completions.length}`]];
}

function formFacts(f) {
  const logs = derive(f.record, f.k).tokens.map((t) => t.log);
  const range = span(logs, 0, 0).map((v) => amount(Math.exp(v)));
  return [
    ['why.f.furthest', range.join('–')],
    ['why.f.loss', lossOf(f)],
  ];
}

const count = (f, sign) => f.record.completions.filter((c) => Math.sign(c.advantage ?? 0) === sign).length;
const cutShare = (f) =>
  metric(f.row, 'completions/clipped_ratio') ??
  f.record.completions.filter((c) => c.truncated).length / f.record.completions.length;
const lostShare = (b) => (b.lost ?? 0) / Math.max(1e-12, (b.up ?? 0) + (b.down ?? 0) + (b.kl ?? 0) + (b.lost ?? 0));

/**
 * How many tokens the cut completions of a group had room for: fewer than the knob allows where prompt and completion
 * fill the model's context.
 * @param {object} record
 * @returns {number|undefined}
 */
export function limitOf({ knobs, completions }) {
  const cut = completions.filter((c) => c.truncated).map((c) => c.length);
  return cut.length ? Math.max(...cut) : knobs.max_completion_length;
}

function cutFacts(f) {
  return [
    ['why.f.cut', share(cutShare(f))],
    ['why.f.limit', String(limitOf(f.record) ?? '–')],
  ];
}

// Counted in the step's groups: the metric leaves out those to which no reward applies.
function deadShare({ groups, metrics }) {
  if (!groups?.length) return share(metrics.frac_reward_zero_std);
  return `${groups.filter((g) => g.dead).length} / ${groups.length}`;
}

function deadFacts(f) {
  return [
    ['why.f.reward', amount(f.record.mean)],
    ['why.f.std', amount(f.record.std)],
    ['why.f.dead', deadShare(f.row)],
  ];
}

const FAR = 1; // nat a token from the reference: other prompts or a larger G do not bring a policy back from there

// No answer ends and no group teaches. A limit that is too short does so too, but not far from the reference.
const isBroken = (f) =>
  cutShare(f) === 1 && !!f.row.groups?.length && f.row.groups.every((g) => g.dead) && metric(f.row, 'kl') > FAR;

function brokenFacts(f) {
  return [
    ['why.f.cut', share(cutShare(f))],
    ['why.f.kl', compact(metric(f.row, 'kl'))],
    ['why.f.dead', deadShare(f.row)],
  ];
}

function unscoredFacts(f) {
  const { completions } = f.record;
  return [
    ['why.f.scored', `${completions.filter((c) => c.reward != null).length} / ${completions.length}`],
    ['why.f.dead', deadShare(f.row)],
  ];
}

function stillFacts(f) {
  return [...lossFacts(f), ['why.f.norm', compact(f.row.updates?.[f.k]?.grad_norm)]];
}

function lossFacts(f) {
  return [
    ['why.f.pushed_up', signedAmount(f.budget.up)],
    ['why.f.pushed_down', signedAmount(-(f.budget.down ?? NaN))],
    ['why.f.loss', lossOf(f)],
  ].filter(([, v]) => v !== 'NaN');
}

function factsOf(record, row) {
  const mu = updatesOf(record);
  const k = updateIndex(mu);
  const { flat, picture } = derive(record, k);
  const { method = 'grpo' } = record;
  return { row, record, mu, k, method, form: picture.form, flat, budget: record.budget?.[k] ?? {} };
}

const ruleFor = (facts) => RULES.find(([, holds]) => holds(facts));

/**
 * On which side SAPO's gate closes sooner: that of the higher temperature.
 * @param {object} knobs
 * @returns {'good'|'bad'|'same'}
 */
export function soonerOf({ sapo_temperature_pos: good = 1, sapo_temperature_neg: bad = 1.05 }) {
  return good === bad ? 'same' : good > bad ? 'good' : 'bad';
}

/** The question that a group raises. @param {object} record  @param {object} row  of its step  @returns {string} */
export const questionOf = (record, row) => ruleFor(factsOf(record, row))[0];

/**
 * The numbers that show it.
 * @param {object} record  @param {object} row  of its step  @returns {[string, string][]} locale key and value
 */
export function evidenceOf(record, row) {
  const facts = factsOf(record, row);
  return ruleFor(facts)[2](facts);
}

/** @returns {HTMLElement} */
export function whyCard() {
  const { record } = state;
  const row = viewedRow() ?? { metrics: {} };
  const facts = factsOf(record, row);
  const [name] = ruleFor(facts);
  const values = {
    n: record.completions.length,
    cut: share(cutShare(facts)),
    limit: limitOf(record) ?? '–',
    kl: compact(metric(row, 'kl')),
    sooner: t(`why.gate.${soonerOf(record.knobs)}`),
  };
  const lines = evidenceOf(record, row).map(([key, value]) => h('span', {}, `${t(key)} `, h('b', { text: value })));
  return h(
    'div',
    { class: 'why', 'data-rule': name },
    h('div', { class: 'head' }, h('h2', { class: 'h2', text: t(`why.${name}`) })),
    h('p', { class: 'para' }, ...rich(`why.${name}.text`, values)),
    h('div', { class: 'evidence' }, ...lines),
  );
}
