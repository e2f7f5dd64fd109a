// What may be said of a step's numbers: it depends on the knobs, the method and a mistake built in on purpose.
// All take a group's record, or the state of the page before there is one.
import { formOf, sharesRatio } from './objectives.js';

/** @typedef {{knobs: object, method?: string, bug?: string|null, completions?: object[]}} Facts */

const isInLoss = ({ knobs, method }) => knobs.beta > 0 && knobs.kl_in !== 'reward' && formOf(knobs, method) !== 'none';

/**
 * Is the KL in the loss times the ratio?
 * @param {Facts} facts
 * @returns {boolean}
 */
export const isKlCorrected = (facts) => !!facts.knobs.use_bias_correction_kl && isInLoss(facts);

/**
 * Who sampled the tokens: the policy before the step, the reference, or nobody. The entropy and the alternatives are
 * the sampler's; of demonstrations, the policy's before the step.
 * @param {Facts} facts
 * @returns {'old'|'ref'|'none'}
 */
export const samplerOf = ({ method = 'grpo' }) => ({ rft: 'ref', sft: 'none' })[method] ?? 'old';

/**
 * Which KL the step's number is.
 * @param {Facts} facts
 * @returns {'exact'|'k1'|'k2'|'k3'}
 */
export function klForm({ knobs, method = 'grpo', bug = null, completions = [] }) {
  // An estimate is one of the policy's own tokens.
  if (samplerOf({ knobs, method }) !== 'old' || completions.some((c) => c.exact_kl)) return 'exact';
  if (bug === 'k1_as_loss') return 'k1';
  const { kl_estimator: name = 'k3' } = knobs;
  return name === 'exact' && !isInLoss({ knobs, method }) ? 'k3' : name; // only shown, it is not worth a pass
}

/**
 * Which KL the colours and the lane show: the run's, but k3 for k1, which has a sign.
 * @param {Facts} facts
 * @returns {'exact'|'k2'|'k3'}
 */
export function klName(facts) {
  const form = klForm(facts);
  return form === 'k1' ? 'k3' : form;
}

/**
 * What GRPO holds a completion against: the others of its group, the best of some of them, or by mistake the batch.
 * @param {Facts} facts
 * @returns {'group'|'best'|'batch'}
 */
export function baselineOf({ knobs, method = 'grpo', bug }) {
  if (bug === 'batch_mean_baseline') return 'batch';
  return method === 'grpo' && knobs.advantage_estimator === 'pass_at_k' && knobs.pass_k > 1 ? 'best' : 'group';
}

/**
 * Are advantages made so that a group's add up to 0? gdpo's do over the batch, pass@k's never, those of steps or a
 * critic need not.
 * @param {Facts} facts
 * @returns {boolean}
 */
export const isCentred = ({ knobs, method = 'grpo', bug }) =>
  method === 'grpo' &&
  knobs.supervision !== 'process' &&
  knobs.advantage_estimator !== 'gdpo' &&
  baselineOf({ knobs, method, bug }) === 'group';

/**
 * Do this group's advantages add up to 0?
 * @param {object} record
 * @returns {boolean}
 */
export function cancelOut(record) {
  const sum = (of) => record.completions.reduce((total, c) => total + of(c.advantage ?? 0), 0);
  return isCentred(record) && Math.abs(sum((a) => a)) < 1e-3 * sum(Math.abs);
}

/**
 * Is a group with equal rewards one without any advantage?
 * @param {Facts} facts
 * @returns {boolean}
 */
export const rewardsAreAll = ({ knobs, method = 'grpo', bug }) =>
  method === 'grpo' &&
  baselineOf({ knobs, bug }) !== 'batch' &&
  knobs.supervision !== 'process' &&
  knobs.kl_in !== 'reward' &&
  knobs.advantage_estimator !== 'gdpo';

/**
 * Is a completion's advantage its reward's z-score in the group, by the deviation that the page shows? That one divides
 * by N − 1.
 * @param {Facts} facts
 * @returns {boolean}
 */
export const isZScore = (facts) =>
  rewardsAreAll(facts) &&
  (facts.knobs.advantage_estimator ?? 'grpo') === 'grpo' &&
  (facts.knobs.scale_rewards ?? 'group') === 'group' &&
  facts.knobs.std_ddof !== 0;

/** Does the ratio divide by the reference, by mistake? @param {Facts} facts  @returns {boolean} */
export const isOverReference = ({ bug }) => bug === 'ratio_to_reference';

/** Has a completion one ratio, which its tokens share? @param {Facts} facts  @returns {boolean} */
export const isRatioShared = ({ knobs, method }) => sharesRatio(knobs, formOf(knobs, method));

/**
 * What the locale keys end in that say what the ratio is: whose, and to what.
 * @param {Facts} facts
 * @returns {''|'_ref'|'_sequence'|'_sequence_ref'}
 */
export const ratioKind = (facts) => (isRatioShared(facts) ? '_sequence' : '') + (isOverReference(facts) ? '_ref' : '');

/**
 * The locale key of what a measure of the tokens is.
 * @param {Facts} facts  @param {string} measure
 * @returns {string}
 */
export const measureHelp = (facts, measure) => {
  const kind = { ratio: ratioKind(facts), entropy: samplerOf(facts) === 'none' ? '_sft' : '' }[measure] ?? '';
  return `measure.${measure}.help${kind}`;
};

/** Does the loss have an entropy bonus? @param {Facts} facts  @returns {boolean} */
export const hasEntropyBonus = ({ knobs, method }) => !!knobs.entropy_coef && formOf(knobs, method) !== 'none';

/**
 * What may still move a token that its advantage does not push.
 * @param {Facts} facts  @param {boolean} bonus  is it among the tokens whose entropy the bonus counts?
 * @returns {'nothing'|'kl'|'entropy'|'both'}
 */
export function moversOf(facts, bonus) {
  if (facts.bug === 'logps_without_gradient') return 'nothing';
  const isLifted = bonus && Boolean(facts.knobs.entropy_coef);
  if (isInLoss(facts)) return isLifted ? 'both' : 'kl';
  return isLifted ? 'entropy' : 'nothing';
}
