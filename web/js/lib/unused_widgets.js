// @ts-check
// Finds the widgets of a node that have no effect because of the values of other widgets.

/** @typedef {Record<string, string | number | boolean | undefined>} Values values of widgets, by name; undefined if the value comes from a link */
/** @typedef {{ widgets: string[], isUnused: (values: Values) => boolean }} Rule */

const isZero = (/** @type {string} */ name) => (/** @type {Values} */ values) => values[name] === 0;
const limits = (/** @type {string[]} */ ...names) => names.flatMap((name) => [`${name}_low`, `${name}_high`]);

/** @type {Record<string, Rule[]>} */
const RULES = {
  PSFR_LoadModels: [
    { widgets: ["generator", "parser", "detector"], isUnused: ({ preset }) => preset !== undefined && preset !== "custom" },
    { widgets: ["download"], isUnused: ({ preset }) => String(preset).startsWith("bundled") },
  ],
  PSFR_DegradationOptions: [
    {
      widgets: limits("gaussian_sigma_px", "box_size_px", "median_size_px", "motion_length_px"),
      isUnused: isZero("blur_probability"),
    },
    { widgets: [...limits("noise_std"), "noise_per_channel_probability"], isUnused: isZero("noise_probability") },
    { widgets: limits("jpeg_quality"), isUnused: isZero("jpeg_probability") },
  ],
};

/** Returns whether widgets of this node class can lack an effect. @param {string} nodeClass */
export const hasRules = (nodeClass) => nodeClass in RULES;

/**
 * Returns the names of the widgets that have no effect.
 * @param {string} nodeClass @param {Values} values
 */
export function unusedWidgets(nodeClass, values) {
  const rules = (RULES[nodeClass] ?? []).filter(({ isUnused }) => isUnused(values));
  return new Set(rules.flatMap(({ widgets }) => widgets));
}
