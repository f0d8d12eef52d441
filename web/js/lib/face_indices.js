// @ts-check
// Parses and edits the text of the `indices` widget; psfr_core/faces/selection.py defines the grammar.

const MAX_INDEX = 9999;
const NO_FACE = "none";

/**
 * @param {string} text "" for all faces, "none", or numbers such as "0, 2, 4-6"
 * @param {number} count number of faces; higher numbers select nothing
 * @returns {{chosen: Set<number>, error: string | null}} error is the invalid part
 */
export function parseIndices(text, count) {
  const trimmed = text.trim();
  if (trimmed === "") return { chosen: new Set(Array(count).keys()), error: null };
  const chosen = new Set();
  if (trimmed.toLowerCase() === NO_FACE) return { chosen, error: null };
  for (const part of trimmed.split(",")) {
    const range = parsePart(part);
    if (!range) return { chosen: new Set(), error: part.trim() || trimmed };
    const [first, last] = range;
    for (let index = first; index <= last && index < count; index++) chosen.add(index);
  }
  return { chosen, error: null };
}

/**
 * Return the shortest text that selects exactly these numbers.
 * @param {Iterable<number>} chosen
 */
export function formatIndices(chosen) {
  const indices = [...chosen].sort((a, b) => a - b);
  if (indices.length === 0) return NO_FACE;
  /** @type {number[][]} */
  const runs = [];
  for (const index of indices) {
    const run = runs.at(-1);
    if (run?.at(-1) === index - 1) run.push(index);
    else runs.push([index]);
  }
  return runs.map((run) => (run.length < 3 ? run.join(",") : `${run[0]}-${run.at(-1)}`)).join(",");
}

/**
 * Return the text after a click on a face. All other numbers stay, including those only present in other images.
 * Invalid text counts as "none", empty text as the faces shown. The result is never empty, because an empty text
 * would also select faces of other images.
 * @param {string} text
 * @param {number} index
 * @param {number} count number of faces in the image
 */
export function toggled(text, index, count) {
  const { chosen } = parseIndices(text, text.trim() === "" ? count : MAX_INDEX + 1);
  if (!chosen.delete(index)) chosen.add(index);
  return formatIndices(chosen);
}

/**
 * Return the position of a box, clipped to the image, as CSS lengths.
 * @param {number[]} box left, top, right and bottom as fractions of the image
 */
export function boxStyle(box) {
  const [left, top, right, bottom] = box.map((edge) => 100 * Math.min(Math.max(edge, 0), 1));
  return { left: percent(left), top: percent(top), width: percent(right - left), height: percent(bottom - top) };
}

/**
 * @param {string} part
 * @returns {[number, number] | null} the first and last number
 */
function parsePart(part) {
  const match = /^\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?$/.exec(part);
  if (!match) return null;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= MAX_INDEX ? [first, last] : null;
}

/** @param {number} value */
function percent(value) {
  return `${Number(value.toFixed(2))}%`;
}
