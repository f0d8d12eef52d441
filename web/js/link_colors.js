// @ts-check
// Colors the links and sockets of this pack's types, in both renderings of ComfyUI.

// @ts-ignore: served by ComfyUI
import { app } from "../../../scripts/app.js";
import { element } from "./lib/node_element.js";

/** @type {Record<string, string>} */
const COLORS = Object.freeze({
  PSFR_GENERATOR: "#9575cd",
  PSFR_FACE_PARSER: "#4db6ac",
  PSFR_FACE_DETECTOR: "#ff8a65",
  PSFR_FACES: "#dce775",
  PSFR_PARSE_MAP: "#f06292",
  PSFR_RESTORE_OPTIONS: "#a1887f",
  PSFR_PASTE_OPTIONS: "#90a4ae",
  PSFR_DEGRADATION: "#bcaaa4",
});

app.registerExtension({
  name: "psfr.linkColors",
  setup() {
    const { canvas } = app;
    for (const [type, color] of Object.entries(COLORS)) {
      provideColor(canvas.default_connection_color_byType, type, color);
      provideColor(canvas.constructor.link_type_colors, type, color);
    }
    // Nodes 2.0 reads these properties. A palette with colors for our types overrides them on the root element.
    const properties = Object.entries(COLORS).map(([type, color]) => `--color-datatype-${type}: ${color};`);
    document.head.append(element("style", { textContent: `:root { ${properties.join(" ")} }` }));
    canvas.setDirty(true, true);
  },
});

/**
 * Sets the color of a type unless the user's palette has one. A property is defined because ComfyUI clears the entries of
 * all types without a color in the palette, also when the user changes the palette.
 * @param {Record<string, string>} colors @param {string} type @param {string} color
 */
function provideColor(colors, type, color) {
  let paletteColor = colors[type];
  Object.defineProperty(colors, type, {
    enumerable: true,
    configurable: true,
    get: () => paletteColor || color,
    set: (value) => (paletteColor = value),
  });
}
