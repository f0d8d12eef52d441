// @ts-check
// Reads, writes and paints brush strokes on parse maps. psfr_core/parsing/strokes.py paints the same pixels.

export const UNITS = 1000; // strokes are measured in thousandths of the map's side
export const ERASER = "parsed";
const MIN_RADIUS_PX = 0.75;

/** @typedef {{face: number, region: string, diameter: number, points: number[][]}} Stroke region is a name or ERASER */

/**
 * Returns the strokes in the text of the widget `strokes`, or null if the text is invalid.
 * @param {string} text
 * @returns {{faceCount: number, strokes: Stroke[]} | null} faceCount is 0 for an empty text
 */
export function parseStrokes(text) {
  if (!text.trim()) return { faceCount: 0, strokes: [] };
  const [head, ...parts] = text.split(";").map((part) => part.trim());
  const count = /^faces (\d{1,4})$/.exec(head);
  const strokes = parts.map(parseStroke);
  if (!count || strokes.includes(null)) return null;
  return { faceCount: Number(count[1]), strokes: /** @type {Stroke[]} */ (strokes) };
}

/** Returns the text for the widget `strokes`. @param {number} faceCount @param {Stroke[]} strokes */
export function formatStrokes(faceCount, strokes) {
  if (!strokes.length) return "";
  const parts = strokes.map(({ face, region, diameter, points }) =>
    [face, region, diameter, ...points.map((point) => point.join(","))].join(" "),
  );
  return [`faces ${faceCount}`, ...parts].join("; ");
}

/**
 * Returns the labels of one face with its strokes painted on them.
 * @param {Uint8Array} parsed labels of the parser, row by row
 * @param {number} side side of the map, pixels
 * @param {Stroke[]} strokes strokes on this face
 * @param {string[]} regions names of the regions, by label
 * @returns {Uint8Array}
 */
export function paintStrokes(parsed, side, strokes, regions) {
  const labels = parsed.slice();
  for (const stroke of strokes) paintStroke(labels, parsed, side, stroke, regions.indexOf(stroke.region));
  return labels;
}

/**
 * Paints one stroke into `labels`. Label -1 restores the labels in `parsed`.
 * @param {Uint8Array} labels changed in place
 * @param {Uint8Array} parsed
 * @param {number} side
 * @param {{diameter: number, points: number[][]}} stroke
 * @param {number} label
 */
export function paintStroke(labels, parsed, side, { diameter, points }, label) {
  const radius = Math.max((diameter / 2 / UNITS) * side, MIN_RADIUS_PX);
  const scaled = points.map(([x, y]) => [(x / UNITS) * side, (y / UNITS) * side]);
  for (let index = 0; index < Math.max(scaled.length - 1, 1); index++) {
    const [x0, y0] = scaled[index];
    const [x1, y1] = scaled[Math.min(index + 1, scaled.length - 1)];
    const [top, bottom] = span(y0, y1, radius, side);
    const [left, right] = span(x0, x1, radius, side);
    const [dx, dy] = [x1 - x0, y1 - y0];
    const lengthSquared = dx * dx + dy * dy;
    for (let row = top; row < bottom; row++) {
      for (let column = left; column < right; column++) {
        const [x, y] = [column + 0.5, row + 0.5];
        // Position of the nearest point of the segment, as a fraction of its length.
        const along = lengthSquared ? Math.min(Math.max(((x - x0) * dx + (y - y0) * dy) / lengthSquared, 0), 1) : 0;
        const [offX, offY] = [x - x0 - along * dx, y - y0 - along * dy];
        if (offX * offX + offY * offY > radius * radius) continue;
        const place = row * side + column;
        labels[place] = label < 0 ? parsed[place] : label;
      }
    }
  }
}

/**
 * Returns the points without those closer than `distance` to the last point kept. The first and the last point are kept.
 * @param {number[][]} points
 * @param {number} distance in thousandths of the side
 */
export function thinnedPoints(points, distance) {
  const kept = [points[0]];
  for (const point of points.slice(1)) {
    const [x, y] = /** @type {number[]} */ (kept.at(-1));
    if (Math.hypot(point[0] - x, point[1] - y) >= distance) kept.push(point);
  }
  const last = /** @type {number[]} */ (points.at(-1));
  if (kept.at(-1) !== last && points.length > 1) kept.push(last);
  return kept;
}

/** Returns the stroke in a part of the text, or null if the part is invalid. @param {string} part @returns {Stroke | null} */
function parseStroke(part) {
  const match = /^(\d{1,4}) ([a-z_]+) (\d{1,4})((?: -?\d{1,4},-?\d{1,4})+)$/.exec(part);
  if (!match) return null;
  const points = match[4].trim().split(" ").map((point) => point.split(",").map(Number));
  return { face: Number(match[1]), region: match[2], diameter: Number(match[3]), points };
}

/**
 * Returns the range of pixels that a segment can reach along one axis; the end is exclusive.
 * @param {number} start @param {number} end @param {number} radius @param {number} limit number of pixels of the axis
 */
function span(start, end, radius, limit) {
  const first = Math.min(Math.max(Math.trunc(Math.min(start, end) - radius - 1), 0), limit);
  return [first, Math.min(Math.max(Math.trunc(Math.max(start, end) + radius + 2), first), limit)];
}
