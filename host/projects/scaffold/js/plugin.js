// The functions of plugin PROJECT_NAME.
import { Failure, plugin } from "./mix.js";

// What the plugin cannot do without: "http", "http:HOST", "folder", "env:NAME". Its operator has to grant it.
export const needs = { needs: () => [] };

export const family = plugin("PROJECT_NAME", {
  shout: {
    doc: "A text in capital letters, with an exclamation mark.",
    type: "string -> string",
    run: (text) => text.toUpperCase() + "!",
  },
  twice: {
    doc: "Twice a number of at most a million.",
    type: "number -> number",
    run(number) {
      if (Math.abs(number) > 1e6) throw new Failure("ERR_RANGE", "the number is too large");
      return 2 * number;
    },
  },
  // An async function may wait; a generator gives a stream.
  words: {
    doc: "The words of a text, one by one.",
    type: "string -> stream(string)",
    async *run(text) {
      for (const word of text.split(/\s+/)) if (word) yield word;
    },
  },
});
