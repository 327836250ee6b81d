function main() {
  const s = { count: 0, total: 0, last: 0, history: { even: 0, odd: 0 } };
  for (let i = 0; i < 500000; i++) {
    s.count = s.count + 1;
    s.total = s.total + i;
    s.last = i;
    if (i % 2 === 0) { s.history.even = s.history.even + 1; } else { s.history.odd = s.history.odd + 1; }
  }
  return s.count + " " + s.total + " " + s.last + " " + s.history.even + " " + s.history.odd;
}
