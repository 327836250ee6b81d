function numbers(n) {
  const out = [];
  let seed = 42;
  for (let i = 0; i < n; i++) {
    seed = (seed * 3877 + 29573) % 139968;
    out.push(seed);
  }
  return out;
}
function check(a) {
  let sum = 0;
  for (let i = 0; i < a.length; i = i + 1000) sum = sum * 31 % 1000003 + a[i];
  return sum;
}
function quick(low, high, given) {
  const a = given.slice();
  const stack = [[low, high]];
  while (stack.length > 0) {
    const top = stack.pop();
    let i = top[0];
    let j = top[1];
    const pivot = a[Math.floor((i + j) / 2)];
    while (i <= j) {
      while (a[i] < pivot) i = i + 1;
      while (a[j] > pivot) j = j - 1;
      if (i <= j) {
        const swapped = a[i];
        a[i] = a[j];
        a[j] = swapped;
        i = i + 1;
        j = j - 1;
      }
    }
    if (top[0] < j) stack.push([top[0], j]);
    if (i < top[1]) stack.push([i, top[1]]);
  }
  return a;
}
function main() {
  const n = 100000;
  const a = numbers(n);
  const byLibrary = a.slice().sort((x, y) => y - x);
  const byHand = quick(0, n - 1, a);
  return check(byLibrary) + " " + check(byHand);
}
