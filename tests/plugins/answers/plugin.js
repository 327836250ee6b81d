// Answers at the edge of what a value can be, and mistakes.
import { Case, plugin } from "./mix.js";

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
});
