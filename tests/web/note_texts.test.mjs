import assert from "node:assert/strict";
import { test } from "node:test";

import { NOTE_TEXTS, noteText } from "../../web/js/lib/note_texts.js";

const placeholders = (text) => (text.match(/\{\w+\}/g) ?? []).sort();

test("every note exists in every language, with the same placeholders", () => {
  for (const texts of Object.values(NOTE_TEXTS)) {
    assert.deepEqual(Object.keys(texts), Object.keys(NOTE_TEXTS.en));
    for (const [name, text] of Object.entries(texts)) assert.deepEqual(placeholders(text), placeholders(NOTE_TEXTS.en[name]));
  }
});

test("a note is shown in the language of the interface, or in English", () => {
  const note = { name: "PREVIEW_LIMIT", values: { shown: 16, count: 40 }, text: "sent" };
  assert.equal(noteText(note, "fr"), "L'aperçu montre les 16 premières images sur 40.");
  assert.equal(noteText(note, "xx"), "The preview shows the first 16 of 40 images.");
  assert.equal(noteText({ ...note, name: "NEWER" }, "fr"), "sent");
});
