function main() {
  let text = "";
  for (let i = 0; i < 300000; i++) {
    text += "item " + i + ";";
  }
  const parts = text.split(";");
  return text.length + " " + parts.length + " " + text.substring(1000000, 1000020);
}
