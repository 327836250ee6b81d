// Answers at the edge of what a value can be, and mistakes.
import { Case, Failure, plugin } from "./mix.js";

export const needs = { needs: () => [] };

function around(levels, inner, wrap) {
  let value = inner;
  for (let level = 0; level < levels; level++) value = wrap(value);
  return value;
}

export const family = plugin("demo", {
  arrays: { doc: "Arrays in arrays.", type: "number -> data", run: (levels) => around(levels - 1, [], (value) => [value]) },
  cases: { doc: "Cases in cases.", type: "number -> data", run: (levels) => around(levels, null, (value) => new Case("some", value)) },
  hole: { doc: "An array with an undefined item.", type: "null -> data", run: () => [1, undefined] },
  member: { doc: "A map with an undefined member.", type: "null -> data", run: () => ({ a: undefined, b: 1 }) },
  mistake: { doc: "Fails by a mistake.", type: "null -> data", run: () => null.length },
  later: {
    doc: "A stream that fails by a mistake.",
    type: "null -> stream(number)",
    *run() {
      yield 1;
      yield null.length;
    },
  },
  halves: { doc: "Texts of units that are no characters by themselves.", type: "null -> data", run: () => ({ "alone\ud800": ["a\ud800b", "\ud83d\ude00"] }) },
  complains: {
    doc: "Fails with such a text.",
    type: "null -> data",
    run() { throw new Failure("ERR_MINE", "a\ud800b"); },
  },
  stumbles: {
    doc: "Fails with such a text by a mistake.",
    type: "null -> data",
    run() { throw new Error("a\ud800b"); },
  },
  breaks_off: {
    doc: "A stream that fails with such a text.",
    type: "null -> stream(number)",
    async *run() {
      yield 1;
      throw new Failure("ERR_MINE", "a\ud800b");
    },
  },
  misnamed: { doc: "A case whose name is none.", type: "null -> data", run: () => new Case("a b", 1) },
  "$other_hole": { doc: "A function with a whole name.", type: "null -> data", run: () => [1, undefined] },
});
