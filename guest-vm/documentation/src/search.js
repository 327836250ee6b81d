"use strict";
const box = document.getElementById("query");
const found = document.getElementById("found");

// Names that start with the words come first, then those that hold them, then signatures.
function rank(entry, words) {
  const name = entry[0].toLowerCase();
  const last = name.slice(name.lastIndexOf(".") + 1);
  if (last.startsWith(words)) return 0;
  if (name.includes(words)) return 1;
  return entry[2].toLowerCase().includes(words) ? 2 : 3;
}

function show() {
  const words = box.value.trim().toLowerCase();
  found.replaceChildren();
  if (!words) return;
  const ranked = names
    .map((entry) => [rank(entry, words), entry])
    .filter((pair) => pair[0] < 3)
    .sort((a, b) => a[0] - b[0] || (a[1][0] < b[1][0] ? -1 : 1));
  for (const [, [name, place, signature]] of ranked.slice(0, 50)) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    const code = document.createElement("code");
    link.href = place;
    link.textContent = name;
    code.textContent = signature;
    item.append(link, " ", code);
    found.append(item);
  }
}

if (box) {
  box.addEventListener("input", show);
}
