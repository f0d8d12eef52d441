// @ts-check
// Disables widgets without an effect, for example the files of Load PSFR-GAN unless the preset is custom.

// @ts-ignore: served by ComfyUI
import { app } from "../../../scripts/app.js";
import { isLinked, runAfter } from "./lib/node_element.js";
import { hasRules, unusedWidgets } from "./lib/unused_widgets.js";

app.registerExtension({
  name: "psfr.unusedWidgets",
  nodeCreated(/** @type {any} */ node) {
    if (!hasRules(node.comfyClass)) return;
    const refresh = () => disableUnused(node);
    for (const widget of node.widgets) runAfter(widget, "callback", refresh);
    runAfter(node, "onConfigure", refresh);
    runAfter(node, "onConnectionsChange", refresh);
    refresh();
  },
});

function disableUnused(/** @type {any} */ node) {
  const values = node.widgets.map((/** @type {any} */ { name, value }) => [name, isLinked(node, name) ? undefined : value]);
  const unused = unusedWidgets(node.comfyClass, Object.fromEntries(values));
  for (const widget of node.widgets) widget.disabled = unused.has(widget.name);
  node.setDirtyCanvas(true, true);
}
