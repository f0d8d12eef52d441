// @ts-check
// Adds HTML elements to nodes, in both renderings of ComfyUI.

// @ts-ignore: served by ComfyUI
import { app } from "../../../../scripts/app.js";
// @ts-ignore: served by ComfyUI
import { api } from "../../../../scripts/api.js";

export const MARGIN = 10; // margin that ComfyUI leaves around an element, pixels

/** The canvas methods that receive events of the wheel and the middle button over an element. */
const CANVAS_METHODS = Object.freeze({
  onwheel: "processMouseWheel",
  onpointerdown: "processMouseDown",
  onpointermove: "processMouseMove",
  onpointerup: "processMouseUp",
});

/**
 * @typedef {object} NodeElement
 * @property {string} name name of the widget
 * @property {HTMLElement} root
 * @property {() => number} minHeight returns the minimum height of the root in pixels
 * @property {[number, number]} [firstSize] width of a new node and height of its root; without it, no space is reserved
 * @property {(output: any) => void} show shows the output of a run of the node
 * @property {() => void} refresh called after links or values change
 */

/** @type {WeakMap<object, NodeElement[]>} the elements of each node */
const elements = new WeakMap();

/** Puts an element on a node, keeps it up to date, and returns its widget. @param {any} node @param {NodeElement} element */
export function addElement(node, nodeElement) {
  const { name, root, minHeight, firstSize, show, refresh } = nodeElement;
  const widget = node.addDOMWidget(name, `psfr_${name}`, root, {
    serialize: false, // not part of the prompt
    hideOnZoom: false,
    hideInPanel: true, // the side panel would show an empty duplicate
    margin: MARGIN,
    getMinHeight: () => minHeight() + 2 * MARGIN,
  });
  widget.serialize = false; // not part of the workflow
  if (firstSize) {
    // Reserve the space before the first run, because a node that grows after a run would cover its neighbors.
    node.expandToFitContent();
    node.setSize([Math.max(node.size[0], firstSize[0]), node.size[1] + firstSize[1] - minHeight()]);
  }
  for (const [on, method] of Object.entries(CANVAS_METHODS)) {
    const forward = (/** @type {MouseEvent} */ event) => isForCanvas(event) && app.canvas[method](event);
    root.addEventListener(on.slice(2), /** @type {EventListener} */ (forward));
  }
  runAfter(node, "onConnectionsChange", refresh);
  runAfter(node, "onExecuted", show);
  runAfter(node, "onAdded", () => {
    const key = outputKey(node);
    // After an undo, Nodes 2.0 keeps showing the element of the previous node with this id.
    document.querySelector(`[data-psfr="${name}"][data-node="${key}"]`)?.replaceWith(root);
    Object.assign(root.dataset, { psfr: name, node: key });
  });
  runAfter(node, "onConfigure", () => {
    show(app.nodeOutputs[outputKey(node)]); // an undo recreates the nodes but keeps their outputs
    refresh();
  });
  elements.set(node, [...(elements.get(node) ?? []), nodeElement]);
  refresh();
  return widget;
}

/**
 * Returns a handler that shows the outputs of all nodes in their elements of this name. ComfyUI calls it when the user
 * returns to a workflow tab or opens a finished job.
 * @param {string} name
 */
export function makeOutputHandler(name) {
  return (/** @type {Record<string, any>} */ outputs) => {
    for (const node of [app.graph, ...app.graph.subgraphs.values()].flatMap((graph) => graph.nodes)) {
      const found = elements.get(node)?.find((nodeElement) => nodeElement.name === name);
      found?.show(outputs[outputKey(node)]);
    }
  };
}

/** Sets the value of a widget as one step that ComfyUI can undo. @param {any} node @param {any} widget @param {string} value */
export function setValue(node, widget, value) {
  app.canvas.emitBeforeChange(); // ComfyUI records undo steps at mouse-up, before the click event
  widget.value = value;
  widget.callback?.(value, app.canvas, node);
  app.canvas.emitAfterChange();
}

/** Replaces a method by one that also calls `then` with the same arguments afterwards. @param {any} object @param {string} method @param {Function} then */
export function runAfter(object, method, then) {
  const original = object[method];
  object[method] = function (/** @type {any[]} */ ...args) {
    const result = original?.apply(this, args);
    then(...args);
    return result;
  };
}

/**
 * Returns a new HTML element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag @param {Partial<HTMLElementTagNameMap[Tag]>} properties @param {Node[]} children
 */
export function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/**
 * Returns the address of an image that a node saved.
 * @param {Record<string, string>} file @param {string} format part of the query that makes the server convert the image
 */
export function imageUrl({ filename, subfolder, type }, format = app.getPreviewFormatParam()) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}${format}${app.getRandParam()}`);
}

/**
 * Returns whether the widget is linked, possibly to a subgraph input; a link overrides the widget.
 * @param {any} node @param {string} name
 */
export const isLinked = (node, name) => {
  // The slot is -1 for a widget without a slot. Frontend 1.27 throws if isInputConnected gets -1.
  const slot = node.findInputSlot(name);
  return slot >= 0 && node.isInputConnected(slot);
};

/** Returns the text for the user's language. @template T @param {Record<string, T>} texts */
export const inLanguage = (texts) => texts[language()] ?? texts.en;

/** Returns the user's language, such as "en". */
export const language = () => String(setting("Comfy.Locale")).split("-")[0];

/** Returns the key under which ComfyUI stores the output of a node. @param {any} node */
const outputKey = ({ graph, id }) => (graph && !graph.isRootGraph ? `${graph.id}:${id}` : String(id));

/**
 * Returns whether an event must be forwarded to the canvas. Nodes 2.0 forwards these events itself.
 * @param {MouseEvent} event
 */
const isForCanvas = ({ type, button, buttons }) =>
  !setting("Comfy.VueNodes.Enabled") && (type === "wheel" || button === 1 || Boolean(buttons & 4));

const setting = (/** @type {string} */ id) => app.extensionManager.setting.get(id);
