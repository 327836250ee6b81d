// Runs the agent `shop` of the embedded app, with a stock of our own. Made ready by:
//   npm install @bytecodealliance/jco @bytecodealliance/preview2-shim @msgpack/msgpack
//   mixer build app --sync -o shop.wasm
//   npx jco transpile shop.wasm -o shop --instantiation async
import { readFile } from "node:fs/promises";
import { WASIShim } from "@bytecodealliance/preview2-shim/instantiation";
import { decode, encode } from "@msgpack/msgpack";
import { instantiate } from "./shop/shop.js";

const stock = { apples: 2, pears: 12 };
const functions = {
  describe: () => [{ name: "$host_stock", params: 1 }],
  call: (_number, args) => encode(stock[decode(args)[0]] ?? 0),
};
const compile = async (path) => WebAssembly.compile(await readFile(new URL(`./shop/${path}`, import.meta.url)));
const imports = { ...new WASIShim().getImportObject(), "mix:embed/functions": functions };
const { agentsSync: agents } = await instantiate(compile, imports);

console.log(agents.run("shop", '{"item":"apples"}'));

const session = agents.open();
const ask = (message) => agents.ask(session, JSON.stringify(message)).map((text) => JSON.parse(text));
ask({ type: "load", module: "basket" });
const told = ask({ type: "input", cell: "items", value: ["apple", "pear"] });
console.log(told.find((one) => one.cell === "count").value);
agents.close(session);
