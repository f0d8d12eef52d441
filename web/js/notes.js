// @ts-check
// Shows the notes of a node on the node, for example how many faces it restored.

// @ts-ignore: served by ComfyUI
import { app } from "../../../scripts/app.js";
import { MARGIN, addElement, element, language, makeOutputHandler } from "./lib/node_element.js";
import { noteText } from "./lib/note_texts.js";

const NAME = "notes";
const LINE_HEIGHT = 18;

const CSS = `
.psfr-notes { overflow: auto; font: 12px/${LINE_HEIGHT}px sans-serif; color: var(--descrip-text); text-align: center; }
.psfr-notes p { margin: 0; }`;

app.registerExtension({
  name: "psfr.notes",
  setup: () => document.head.append(element("style", { textContent: CSS })),
  nodeCreated(/** @type {any} */ node) {
    if (node.comfyClass?.startsWith("PSFR_")) addNotes(node);
  },
  onNodeOutputsUpdated: makeOutputHandler(NAME),
});

function addNotes(/** @type {any} */ node) {
  const root = element("div", { className: "psfr-notes" });
  let widget = /** @type {any} */ (undefined);

  function show(/** @type {any} */ output) {
    const notes = /** @type {import("./lib/note_texts.js").Note[]} */ (output?.psfr_notes ?? []);
    if (output) root.replaceChildren(...notes.map((note) => element("p", { textContent: noteText(note, language()) })));
    update();
  }

  function update() {
    if (!widget) return;
    const isEmpty = !root.childElementCount;
    if (widget.hidden === isEmpty) return;
    widget.hidden = isEmpty;
    node.expandToFitContent();
    node.setDirtyCanvas(true, true);
  }

  const minHeight = () => LINE_HEIGHT * root.childElementCount;
  widget = addElement(node, { name: NAME, root, minHeight, show, refresh: update });
  // Without this, the notes would take a part of the free space of the node from its images and other elements.
  widget.computeLayoutSize = undefined;
  widget.computeSize = () => [0, minHeight() + 2 * MARGIN];
  update();
}
