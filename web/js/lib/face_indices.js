// @ts-check
// Which faces the text of the `indices` widget chooses; the grammar is that of psfr_core/faces/selection.py.

const HIGHEST_INDEX = 9999;
const NO_FACE = "none";

/**
 * @param {string} text "" for all faces, "none", or places like "0, 2, 4-6"
 * @param {number} count how many faces there are; places beyond them choose nothing
 * @returns {{chosen: Set<number>, error: string | null}} error is the part that cannot be read
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
 * The shortest text that chooses exactly these numbers.
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
 * The text after a click on a face: no other number changes, also none that only other images of a batch have.
 * A text that cannot be read counts as "none", the empty one as the faces shown. What comes out is never empty, because
 * that would choose faces of other images that nobody clicked.
 * @param {string} text
 * @param {number} index
 * @param {number} count how many faces the picture shows
 */
export function toggled(text, index, count) {
  const { chosen } = parseIndices(text, text.trim() === "" ? count : HIGHEST_INDEX + 1);
  if (!chosen.delete(index)) chosen.add(index);
  return formatIndices(chosen);
}

/**
 * Where a box lies in its picture, cut to the picture, as CSS lengths.
 * @param {number[]} box left, top, right and bottom as fractions of the picture
 */
export function boxStyle(box) {
  const [left, top, right, bottom] = box.map((edge) => 100 * Math.min(Math.max(edge, 0), 1));
  return { left: percent(left), top: percent(top), width: percent(right - left), height: percent(bottom - top) };
}

/**
 * @param {string} part
 * @returns {[number, number] | null} the first and the last place
 */
function parsePart(part) {
  const match = /^\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?$/.exec(part);
  if (!match) return null;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= HIGHEST_INDEX ? [first, last] : null;
}

/** @param {number} value */
function percent(value) {
  return `${Number(value.toFixed(2))}%`;
}
