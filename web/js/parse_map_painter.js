// @ts-check
// The editor of PSFR_PaintParseMap. It shows a face under its translucent parse map, on which the user paints. The widget
// `strokes` stores the strokes as text; lib/strokes.js reads and paints them.

// @ts-ignore: served by ComfyUI
import { app } from "../../../scripts/app.js";
// @ts-ignore: served by ComfyUI
import { api } from "../../../scripts/api.js";
import {
  addElement,
  element,
  imageUrl,
  inLanguage,
  isLinked,
  language,
  makeOutputHandler,
  runAfter,
  setValue,
} from "./lib/node_element.js";
import { PAINTER_TEXTS } from "./lib/painter_texts.js";
import { ERASER, UNITS, formatStrokes, paintStroke, paintStrokes, parseStrokes, thinnedPoints } from "./lib/strokes.js";

/**
 * @typedef {import("./lib/strokes.js").Stroke} Stroke
 * @typedef {Record<string, string>} File
 * @typedef {{crops: File[], labels: File[], count: number, strokes?: string, regions: string[], colors: number[][]}} Faces
 * @typedef {{parse_map_painter?: Faces[]} | null | undefined} Output data that the node sends after a run
 */

const NAME = "parse_map_painter";
const MIN_HEIGHT = 300; // minimum height of the editor, pixels
const FIRST_SIZE = /** @type {[number, number]} */ ([460, 560]);
const MIN_BRUSH = 8; // minimum diameter, in thousandths of the side
const MAX_BRUSH = 400;
const KEY_STEP = 10; // step of the arrow keys, in thousandths of the side

const EYEDROPPER = `<svg viewBox="0 0 16 16" width="12" height="12" fill="currentColor" aria-hidden="true">
<path d="M14.6 1.4a2.4 2.4 0 0 0-3.4 0L9.3 3.3l-.9-.9L7 3.8l.7.7L2 10.2V14h3.8l5.7-5.7.7.7 1.4-1.4-.9-.9 1.9-1.9a2.4 2.4 0 0 0 0-3.4zM5.200 12.500H3.500v-1.700l5.200-5.200 1.700 1.700z"/></svg>`;

const CSS = `
.psfr-painter { display: flex; flex-direction: column; justify-content: center; gap: 4px; min-height: ${MIN_HEIGHT}px;
  font: 12px/1.5 sans-serif; color: var(--input-text); }
.psfr-painter > :not(.psfr-status) { display: none; }
.psfr-painter.psfr-filled > * { display: flex; }
.psfr-painter .psfr-bar { flex-wrap: wrap; gap: 4px; align-items: center; }
.psfr-painter button { min-width: 24px; height: 22px; padding: 0 5px; border: 1px solid var(--border-color);
  border-radius: 4px; color: inherit; background: var(--comfy-input-bg); cursor: pointer; font: inherit; }
.psfr-painter button:disabled { opacity: 0.4; cursor: default; }
.psfr-painter button[aria-pressed="true"] { outline: 2px solid #3dff9a; outline-offset: -1px; }
.psfr-painter button:focus-visible { outline: 2px solid #fff; }
.psfr-painter .psfr-color { width: 24px; }
.psfr-painter label { display: flex; align-items: center; gap: 4px; }
.psfr-painter input { width: 80px; }
.psfr-painter .psfr-space { flex: 1; }
.psfr-paint-stage { flex: 1; min-height: 0; container-type: size; align-items: center; justify-content: center; }
.psfr-paint-frame { position: relative; width: min(100cqw, 100cqh); aspect-ratio: 1; overflow: hidden; border-radius: 4px; }
.psfr-paint-frame > * { position: absolute; inset: 0; width: 100%; height: 100%; }
.psfr-paint-frame canvas { cursor: none; touch-action: none; image-rendering: pixelated; }
.psfr-paint-frame canvas.psfr-picking { cursor: crosshair; }
.psfr-paint-frame canvas:focus-visible { outline: 2px solid #3dff9a; outline-offset: -2px; }
.psfr-paint-frame .psfr-brush { inset: auto; transform: translate(-50%, -50%); border: 1px solid #fff; border-radius: 50%;
  box-shadow: 0 0 0 1px #000; pointer-events: none; visibility: hidden; box-sizing: border-box; }`;

/** @type {Record<string, string>} names of the regions in the user's language, from the node Edit Parse Map */
const regionNames = {};

// ComfyUI's undo recreates all nodes, so the selected tools and the shown faces are stored outside the nodes.
const tools = { region: "skin", diameter: 60, opacity: 55 };
/** @type {Map<string, number>} index of the shown face, by node id */
const shownFaces = new Map();

app.registerExtension({
  name: "psfr.parseMapPainter",
  async setup() {
    document.head.append(element("style", { textContent: CSS }));
    const translations = await (await api.fetchApi("/i18n")).json();
    Object.assign(regionNames, translations[language()]?.nodeDefs?.PSFR_EditParseMap?.inputs?.region?.options);
  },
  nodeCreated(/** @type {any} */ node) {
    const strokes = node.widgets?.find((/** @type {any} */ widget) => widget.name === "strokes");
    if (node.comfyClass === "PSFR_PaintParseMap" && strokes) addPainter(node, strokes);
  },
  onNodeOutputsUpdated: makeOutputHandler(NAME),
});

function addPainter(/** @type {any} */ node, /** @type {any} */ widget) {
  hide(widget);
  const texts = inLanguage(PAINTER_TEXTS);
  let faces = /** @type {Faces | undefined} */ (undefined);
  let parsed = /** @type {Uint8Array | undefined} */ (undefined); // labels of the shown face, without strokes
  let labels = new Uint8Array(); // labels of the shown face, with strokes
  let side = 0; // side of the shown map, pixels
  let isPicking = false;
  let cursor = [UNITS / 2, UNITS / 2]; // shared by the keyboard and the pointer
  let drawn = /** @type {number[][] | undefined} */ (undefined); // points of the current stroke
  let drawnFace = 0; // index of the face with the current stroke
  const undone = /** @type {Stroke[]} */ ([]);
  let wantedFace = 0; // index of the face to show once its picture is loaded

  const crop = element("img", { draggable: false, alt: "" });
  const canvas = element("canvas", { tabIndex: 0, role: "application", ariaLabel: texts.canvas });
  const brush = element("div", { className: "psfr-brush" });
  const frame = element("div", { className: "psfr-paint-frame" }, crop, canvas, brush);
  const palette = element("div", { className: "psfr-bar", role: "toolbar", ariaLabel: texts.regions });
  const status = element("div", { className: "psfr-status", role: "status" });
  const size = range(MIN_BRUSH, MAX_BRUSH, tools.diameter, (value) => (tools.diameter = value));
  const opacity = range(0, 100, tools.opacity, (value) => {
    tools.opacity = value;
    refresh();
  });
  const face = element("span");
  const [previous, next, undoButton, redoButton, clearButton, eraser, eyedropper] = [
    button("‹", texts.previous, () => showFace(wantedFace - 1)),
    button("›", texts.next, () => showFace(wantedFace + 1)),
    button("↶", texts.undo, undo),
    button("↷", texts.redo, redo),
    button("✕", texts.clear, clear),
    button("⌫", texts.eraser, () => choose(ERASER)),
    button("", texts.eyedropper, () => pick(!isPicking)),
  ];
  eyedropper.innerHTML = EYEDROPPER;
  const bar = element(
    "div",
    { className: "psfr-bar" },
    previous,
    face,
    next,
    element("span", { className: "psfr-space" }),
    eraser,
    eyedropper,
    undoButton,
    redoButton,
    clearButton,
  );
  const sliders = element(
    "div",
    { className: "psfr-bar" },
    element("label", {}, texts.size, size),
    element("label", {}, texts.opacity, opacity),
  );
  const stage = element("div", { className: "psfr-paint-stage" }, frame);
  const root = element("div", { className: "psfr-painter" }, bar, stage, palette, sliders, status);

  const isFilled = () => Boolean(faces && parsed);
  const shown = () => shownFaces.get(String(node.id)) ?? 0;
  const painting = () => parseStrokes(isLinked(node, "strokes") ? faces?.strokes ?? "" : String(widget.value ?? ""));
  const strokes = () => painting()?.strokes ?? [];
  const save = (/** @type {Stroke[]} */ all) => setValue(node, widget, formatStrokes(faces?.count ?? 0, all));

  function refresh() {
    root.classList.toggle("psfr-filled", isFilled());
    const all = strokes();
    if (faces && parsed) {
      labels = paintStrokes(parsed, side, all.filter((stroke) => stroke.face === shown()), faces.regions);
      draw();
    }
    const isBlocked = isLinked(node, "strokes");
    const isUnreadable = painting() === null;
    undoButton.disabled = isBlocked || !all.length;
    redoButton.disabled = isBlocked || isUnreadable || !undone.length;
    clearButton.disabled = isBlocked || !(isUnreadable || all.some((stroke) => stroke.face === shown()));
    previous.disabled = shown() === 0;
    next.disabled = shown() + 1 >= (faces?.crops.length ?? 0);
    face.textContent = `${shown() + 1} / ${faces?.count ?? 0}`;
    for (const one of palette.querySelectorAll("button")) one.ariaPressed = String(one.value === tools.region);
    eraser.ariaPressed = String(tools.region === ERASER);
    eyedropper.ariaPressed = String(isPicking);
    canvas.classList.toggle("psfr-picking", isPicking);
    canvas.style.opacity = String(tools.opacity / 100);
    status.textContent = statusText();
    node.setDirtyCanvas(true, true);
  }

  function statusText() {
    if (!faces) return texts.toRun;
    if (isLinked(node, "strokes")) return texts.linked;
    const saved = painting();
    if (!saved) return texts.unreadable;
    if (saved.strokes.length && saved.faceCount !== faces.count) {
      return texts.changed.replace("{before}", String(saved.faceCount)).replace("{now}", String(faces.count));
    }
    if (faces.crops.length < faces.count) return texts.limit.replace("{count}", String(faces.crops.length));
    return name(tools.region);
  }

  const name = (/** @type {string} */ of) => (of === ERASER ? texts.eraser : regionNames[of] ?? of.replaceAll("_", " "));

  function show(/** @type {Output} */ output) {
    const found = output?.parse_map_painter?.[0];
    if (!found) return;
    faces = found;
    palette.replaceChildren(...found.regions.map((of, label) => colorButton(of, found.colors[label])));
    showFace(Math.min(shown(), found.crops.length - 1));
  }

  async function showFace(/** @type {number} */ index) {
    if (!faces?.crops[index]) return;
    wantedFace = index;
    const wantedFaces = faces;
    const isOutdated = () => faces !== wantedFaces || wantedFace !== index; // another face was requested in the meantime
    try {
      const picture = await loaded(imageUrl(faces.labels[index], ""));
      if (isOutdated()) return;
      shownFaces.set(String(node.id), index);
      crop.src = imageUrl(faces.crops[index]);
      side = canvas.width = canvas.height = picture.naturalWidth;
      parsed = labelsOf(picture);
    } catch {
      if (isOutdated()) return;
      faces = parsed = undefined; // the server deletes temporary images when it restarts
    }
    refresh();
  }

  function colorButton(/** @type {string} */ of, /** @type {number[]} */ color) {
    const made = button("", name(of), () => choose(of));
    made.classList.add("psfr-color");
    made.value = of;
    made.style.background = `rgb(${color})`;
    return made;
  }

  function choose(/** @type {string} */ of) {
    tools.region = of;
    pick(false);
  }

  function pick(/** @type {boolean} */ picking) {
    isPicking = picking;
    refresh();
  }

  /** Draws the labels in the colors of their regions. */
  function draw() {
    const context = canvas.getContext("2d");
    if (!context || !faces) return;
    const image = context.createImageData(side, side);
    const colors = new Uint32Array(faces.colors.map(([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red));
    new Uint32Array(image.data.buffer).set(Uint32Array.from(labels, (label) => colors[label]));
    context.putImageData(image, 0, 0);
  }

  /** Returns the position of the pointer on the map, or at most one side of the map away from it. */
  function position(/** @type {PointerEvent} */ event) {
    const { left, top, width, height } = canvas.getBoundingClientRect();
    const parts = [(event.clientX - left) / width, (event.clientY - top) / height];
    return parts.map((part) => Math.round(Math.min(Math.max(part, -1), 2) * UNITS));
  }

  /** Shows the brush at the cursor, except while the user picks a region. */
  function moveBrush() {
    const [x, y] = cursor.map((part) => `${(part / UNITS) * 100}%`);
    const width = `${(tools.diameter / UNITS) * 100}%`;
    Object.assign(brush.style, { left: x, top: y, width, height: width, visibility: isPicking ? "hidden" : "visible" });
  }

  function start(/** @type {number[]} */ point) {
    if (!faces || !parsed || !painting() || isLinked(node, "strokes")) return;
    if (isPicking) return pickAt(point);
    drawn = [point];
    drawnFace = shown();
    paintSegment();
  }

  function pickAt(/** @type {number[]} */ [x, y]) {
    const place = (/** @type {number} */ part) => Math.min(Math.max(Math.floor((part / UNITS) * side), 0), side - 1);
    const found = faces?.regions[labels[place(y) * side + place(x)]];
    if (found) choose(found);
  }

  function extend(/** @type {number[]} */ point) {
    if (!drawn) return;
    drawn.push(point);
    paintSegment();
  }

  /** Paints the last segment of the current stroke. */
  function paintSegment() {
    if (!drawn || !faces || !parsed) return;
    const label = faces.regions.indexOf(tools.region);
    paintStroke(labels, parsed, side, { diameter: tools.diameter, points: drawn.slice(-2) }, label);
    draw();
  }

  function finish() {
    if (!drawn) return;
    const points = thinnedPoints(drawn, Math.max(tools.diameter / 12, 3));
    drawn = undefined;
    undone.length = 0;
    save([...strokes(), { face: drawnFace, region: tools.region, diameter: tools.diameter, points }]);
  }

  function undo() {
    const all = strokes();
    const last = all.pop();
    if (!last) return;
    undone.push(last);
    save(all);
    if (last.face !== shown()) showFace(last.face);
  }

  function redo() {
    const stroke = undone.pop();
    if (!stroke) return;
    save([...strokes(), stroke]);
    if (stroke.face !== shown()) showFace(stroke.face);
  }

  function clear() {
    undone.length = 0;
    save(strokes().filter((stroke) => stroke.face !== shown()));
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.stopPropagation();
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    start(position(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    cursor = position(event);
    moveBrush();
    if (!drawn) return;
    event.stopPropagation();
    for (const part of event.getCoalescedEvents?.() ?? [event]) extend(position(part));
  });
  canvas.addEventListener("pointerup", finish);
  canvas.addEventListener("pointercancel", finish);
  canvas.addEventListener("pointerleave", () => (brush.style.visibility = "hidden"));
  canvas.addEventListener("keydown", onKey);
  /** Handles the keyboard: arrow keys move the brush, Space paints, and Shift with an arrow key paints a line. */
  function onKey(/** @type {KeyboardEvent} */ event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    const actions = {
      " ": () => (start(cursor), finish()),
      "[": () => resize(tools.diameter / 1.25),
      "]": () => resize(tools.diameter * 1.25),
      e: () => choose(ERASER),
      i: () => pick(!isPicking),
    };
    const action = actions[/** @type {keyof typeof actions} */ (event.key.toLowerCase())]; // also with Caps Lock
    if (event.ctrlKey || event.metaKey || (!move && !action)) return;
    event.preventDefault();
    event.stopPropagation();
    if (action) action();
    if (move) moveTo(move.map((step, axis) => Math.min(Math.max(cursor[axis] + step * KEY_STEP, 0), UNITS)), event.shiftKey);
    moveBrush();
  }

  function moveTo(/** @type {number[]} */ point, /** @type {boolean} */ isPainting) {
    if (isPainting) start(cursor);
    cursor = point;
    extend(point);
    finish();
  }

  function resize(/** @type {number} */ wanted) {
    tools.diameter = Math.round(Math.min(Math.max(wanted, MIN_BRUSH), MAX_BRUSH));
    size.value = String(tools.diameter);
  }

  runAfter(widget, "callback", refresh);
  addElement(node, { name: NAME, root, minHeight: () => MIN_HEIGHT, firstSize: FIRST_SIZE, show, refresh });
}

/** Hides the widget with the text of the strokes, which the editor shows. @param {any} widget */
function hide(widget) {
  widget.hidden = true;
  widget.options = { ...widget.options, hidden: true };
}

/** Returns a button. @param {string} sign @param {string} title @param {() => void} onclick */
function button(sign, title, onclick) {
  return element("button", { type: "button", textContent: sign, title, ariaLabel: title, onclick });
}

/**
 * Returns a slider that calls `set` with each new value.
 * @param {number} min @param {number} max @param {number} value @param {(value: number) => void} set
 */
function range(min, max, value, set) {
  const input = element("input", { type: "range", min: String(min), max: String(max), value: String(value) });
  input.oninput = () => set(Number(input.value));
  return input;
}

/** Loads and decodes an image. @param {string} address @returns {Promise<HTMLImageElement>} */
async function loaded(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

/** Returns the labels in an image of gray levels. @param {HTMLImageElement} image */
function labelsOf(image) {
  const side = image.naturalWidth;
  const canvas = element("canvas", { width: side, height: side });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, side, side);
  return Uint8Array.from({ length: side * side }, (_, place) => data[4 * place]);
}
