function main() {
  const pieces = [];
  for (let i = 0; i < 300000; i++) {
    pieces.push("item " + i + ";");
  }
  const text = pieces.join("");
  const parts = text.split(";");
  return text.length + " " + parts.length + " " + text.substring(1000000, 1000020);
}
