// The stage ribbon: what one update does, from sampling to the weights, with one number each.
import { h, resize, setAttr, setChildren, setText } from '../dom.js';
import { amount, compact, count, fixed, known, percent, short, telling } from '../format.js';
import { has, pick, t } from '../i18n.js';
import { icon } from '../icons.js';
import { knobText, runMethod } from '../knobwords.js';
import { baselineOf, isCentred, isKlCorrected, isRatioShared, klForm, ratioKind, rewardsAreAll } from '../meaning.js';
import { formOf } from '../objectives.js';
import { ratioDigits } from '../math.js';
import { following, metric, newestStep, updateIndex, viewedRow, viewedStep } from '../select.js';
import { state, watch } from '../store.js';
import { metricTip } from '../tips.js';
import { tip } from '../tooltip.js';

const STAGES = ['sample', 'reward', 'reference', 'advantage', 'logp', 'ratio', 'clip', 'kl', 'loss', 'update'];
// What the server describes as the stage has it: the formulas of the other stages are the page's own.
const METRIC = { reward: 'reward' };
const KL = { k1: '−d', k2: 'd² / 2', k3: 'eᵈ − d − 1' };
// Which cell a phase of the engine lights: the inner loop is one phase for us.
const LIT = { load: 0, reward_model: 1, sample: 0, reward: 1, score: 2, advantage: 3, update: 9, record: 10 };
// What takes the place of the clip in each form of loss: its metric, as the server names it.
const CLIPS = { clip: 'zero_gradient', cap: 'cispo_clip_ratio', phi: 'vespo/phi_seq_mean' };
const OF_UPDATE = { logp: 'logp_mean', kl: 'kl', loss: 'loss', update: 'grad_norm' };

/** @param {HTMLElement} root */
export function mountRibbon(root) {
  const ribbon = h('div', { class: 'ribbon', role: 'list' });
  root.append(ribbon);
  const cells = resize(ribbon, STAGES.length, (i) =>
    tip(
      h(
        'div',
        { class: 'stage', role: 'listitem' },
        h('div', { class: 'stage-name' }),
        h('div', { class: 'stage-value' }, h('span'), h('small')),
      ),
      () => cellTip(STAGES[i]),
    ),
  );
  const k = h('span');
  ribbon.append(h('span', { class: 'loop' }, icon('loop'), k));

  watch(['rows', 'step', 'k', 'lang', 'phase', 'status', 'source', 'spec', 'record', 'knobs'], () => {
    const row = viewedRow();
    const now = litStage();
    cells.forEach((cell, i) => {
      const [value, unit] = cellValue(STAGES[i], row);
      const [name, text] = cell.children;
      setChildren(name, stageName(STAGES[i]));
      setText(text.firstChild, value);
      setText(text.lastChild, unit);
      setAttr(cell, 'data-state', now == null ? 'done' : i < now ? 'done' : i === now ? 'on' : 'ahead');
      if (i === now) setAttr(cell, 'aria-current', 'step');
      else setAttr(cell, 'aria-current', null);
    });
    const mu = row?.updates.length ?? state.knobs.num_iterations ?? 1;
    setText(k, t('ribbon.loop', { k: inner(row) + 1, n: mu }));
  });
}

// While the newest step is followed, the ribbon shows the step in the making.
function litStage() {
  const making = following() && state.phase && (state.status === 'running' || state.status === 'loading');
  if (!making || state.source !== 'live') return null;
  return state.phase.step === newestStep() && state.phase.stage === 'record' ? null : LIT[state.phase.stage];
}

const inner = (row) => updateIndex(row?.updates.length ?? 1);

// The knobs and the method of the step on the screen; before its group has come, those of the newest.
const facts = () => state.record ?? state;
const knobs = () => facts().knobs;
const method = () => facts().method ?? 'grpo';
const form = () => formOf(knobs(), method());

/** The name of what is optimised: the method, or GRPO's loss. @returns {string} */
function lossName() {
  if (method() !== 'grpo') return pick(runMethod()?.title) || method();
  const { loss_type: loss = 'grpo', importance_sampling_level: level } = knobs();
  return loss === 'grpo' && level === 'sequence' ? 'GSPO' : knobText('loss_type', loss);
}

function stageName(stage) {
  const key = stage === 'clip' ? `stage.clip.${form()}` : `stage.${stage}`;
  const english = stage === 'loss' ? lossName() : has(`${key}.term`) ? t(`${key}.term`) : '';
  return [t(key), english ? h('span', { class: 'term', text: ` ${english}` }) : ''].filter(Boolean);
}

function cellValue(stage, row) {
  const sampling =
    state.phase?.stage === 'sample' && following() && state.source === 'live' && state.status === 'running';
  if (stage === 'sample' && sampling && state.phase.total)
    return [`${state.phase.done} / ${state.phase.total}`, t('unit.tokens')];
  if (!row) return ['–', ''];
  const u = row.updates[inner(row)] ?? {};
  const groups = row.groups ?? [];
  switch (stage) {
    case 'sample':
      return [count(row.tokens), t('unit.tokens')];
    case 'reward':
      return [amount(metric(row, 'reward')), t('unit.mean')];
    case 'advantage':
      return [`${groups.filter((g) => g.dead).length} / ${groups.length}`, t(deadUnit())];
    case 'reference':
      return klValue(row.updates[0] ?? {}, 'unit.kl_before');
    default:
      return updateValue(stage, u);
  }
}

function updateValue(stage, u) {
  switch (stage) {
    case 'logp':
      return [short(u.logp_mean), t('unit.mean')];
    case 'ratio':
      return [ratioRange(u), t('unit.range')];
    case 'clip':
      return clipValue(u);
    case 'kl':
      return klValue(u, `kl.${klForm(facts())}`);
    case 'loss':
      return [short(u.loss ?? null, 3), ''];
    default:
      return [known(u.grad_norm) ? compact(u.grad_norm) : fixed(u.grad_norm), t('unit.norm')];
  }
}

const deadUnit = () => (rewardsAreAll(facts()) ? 'unit.dead' : 'unit.equal');
const klValue = (u, unit) => [telling(u.kl ?? null, 3), t(known(u.kl) ? unit : 'unit.not_scored')];

function clipValue(u) {
  const value = u[CLIPS[form()]];
  if (!known(value)) return ['–', t(`unit.${form()}`)];
  return [form() === 'phi' ? short(value) : percent(value), t(`unit.${form()}`)];
}

function ratioRange(u) {
  if (!known(u.ratio_min) || !known(u.ratio_max)) return '–';
  const digits = ratioDigits(knobs());
  const [low, high] = [
    u.ratio_min >= 100 ? compact(u.ratio_min) : fixed(u.ratio_min, digits),
    u.ratio_max >= 100 ? compact(u.ratio_max) : fixed(u.ratio_max, digits),
  ];
  return low === high ? low : `${low}–${high}`;
}

// What is said of equal rewards, of a token's ratio and of a loss near 0 holds for some runs alone.
function variant(stage) {
  if (stage === 'loss') return isCentred(facts()) ? '' : '.any';
  if (stage === 'ratio') return isRatioShared(facts()) ? '.sequence' : '';
  if (stage !== 'advantage' || rewardsAreAll(facts())) return '';
  return baselineOf(facts()) === 'batch' ? '.batch' : '.equal';
}

// The formula in the page's own words, or as the server has it.
function formulaOf(stage) {
  if (stage === 'kl' || stage === 'reference') return klFormula();
  const key = stage === 'clip' ? `stage.clip.${form()}.formula` : `stage.${stage}.formula`;
  const own = stage === 'ratio' ? key + ratioKind(facts()) : key;
  if (has(own)) return t(own);
  const name = METRIC[stage] ?? (stage === 'clip' && CLIPS[form()]);
  return name ? metricTip(name, '').formula : null;
}

function klFormula() {
  const of = KL[klForm(facts())];
  if (!of) return t('stage.kl.formula_exact');
  return t('stage.kl.formula', { of: isKlCorrected(facts()) ? `r · (${of})` : of });
}

// The number of an inner update is not that of the step, which is in the curves: that is their mean.
function updateRows(stage, row) {
  const inLoop = STAGES.indexOf(stage) >= STAGES.indexOf('logp');
  if (!inLoop || !(row.updates.length > 1)) return [];
  const n = row.updates.length;
  const name = stage === 'clip' ? CLIPS[form()] : OF_UPDATE[stage];
  const all = row.updates.map((u) => u[name]);
  const mean = all.reduce((sum, value) => sum + value, 0) / n;
  const [value] = name && all.every(known) ? updateValue(stage, { [name]: mean }) : [];
  return [
    [t('ribbon.update'), t('ribbon.update_of', { k: inner(row) + 1, n })],
    ...(value ? [[t('ribbon.step_mean', { n }), value]] : []),
  ];
}

function cellTip(stage) {
  const row = viewedRow();
  const [value, unit] = cellValue(stage, row);
  const key = stage === 'clip' ? `stage.clip.${form()}` : `stage.${stage}`;
  return {
    title: `${t(key)} ${`${value} ${unit}`.trim()}`,
    text: t(`${key}.help${variant(stage)}`),
    formula: formulaOf(stage),
    rows: row ? [[t('run.where'), String(viewedStep())], ...updateRows(stage, row)] : [],
  };
}
