const num = n => ({ tag: "num", n });
const var_ = name => ({ tag: "var", name });
const add = (a, b) => ({ tag: "add", a, b });
const mul = (a, b) => ({ tag: "mul", a, b });
const neg = a => ({ tag: "neg", a });
const ifzero = (c, a, b) => ({ tag: "ifzero", c, a, b });

function evaluate(x, e) {
  switch (e.tag) {
    case "num": return e.n;
    case "var": return x;
    case "add": return evaluate(x, e.a) + evaluate(x, e.b);
    case "mul": return evaluate(x, e.a) * evaluate(x, e.b) % 1000003;
    case "neg": return 0 - evaluate(x, e.a);
    case "ifzero": return evaluate(x, e.c) === 0 ? evaluate(x, e.a) : evaluate(x, e.b);
  }
}
function program(depth) {
  if (depth === 0) return var_("x");
  if (depth % 3 === 0) return ifzero(neg(num(depth % 2)), program(depth - 1), add(program(depth - 1), num(depth)));
  if (depth % 3 === 1) return add(mul(program(depth - 1), num(depth)), neg(program(depth - 1)));
  return add(program(depth - 1), mul(num(2), program(depth - 1)));
}
function main() {
  const e = program(12);
  let sum = 0;
  for (let i = 0; i < 200; i++) sum = (sum + evaluate(i, e)) % 1000003;
  return "" + sum;
}
