function entry(i, j) { return 1 / ((i + j) * (i + j + 1) / 2 + i + 1); }
function times(v) {
  const n = v.length;
  const out = v.slice();
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < n; j++) sum = sum + entry(i, j) * v[j];
    out[i] = sum;
  }
  return out;
}
function timesTransposed(v) {
  const n = v.length;
  const out = v.slice();
  for (let i = 0; i < n; i++) {
    let sum = 0;
    for (let j = 0; j < n; j++) sum = sum + entry(j, i) * v[j];
    out[i] = sum;
  }
  return out;
}
function main() {
  const n = 160;
  let u = new Array(n).fill(1);
  let v = u;
  for (let k = 0; k < 10; k++) {
    v = timesTransposed(times(u));
    u = timesTransposed(times(v));
  }
  let vBv = 0;
  let vv = 0;
  for (let i = 0; i < n; i++) {
    vBv = vBv + u[i] * v[i];
    vv = vv + v[i] * v[i];
  }
  return "" + Math.floor(Math.sqrt(vBv / vv) * 1000000000);
}
