const leaf = { tag: "leaf" };
function grow(depth) {
  return depth === 0 ? leaf : { tag: "node", left: grow(depth - 1), right: grow(depth - 1) };
}
function count(tree) { return tree.tag === "node" ? 1 + count(tree.left) + count(tree.right) : 1; }
function main() {
  let total = 0;
  for (let i = 0; i < 8; i++) total = total + count(grow(14));
  return "" + total;
}
