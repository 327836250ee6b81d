"""Runs the agent `shop` of the embedded app, with a stock of our own, and a session. Made ready by:
mixer build app --sync -o shop.wasm; pip install wasmtime==48.0.0 msgpack"""

import json

import msgpack
from wasmtime import Config, Engine, Store, WasiConfig
from wasmtime.component import Component, Linker, Record

STOCK = {"apples": 2, "pears": 12}


def describe(_store):
    function = Record()
    function.name, function.params = "$host_stock", 1
    return [function]


def call(_store, _number, args):
    return msgpack.packb(STOCK.get(msgpack.unpackb(bytes(args))[0], 0))


engine = Engine(Config())
store, linker = Store(engine), Linker(engine)
store.set_wasi(WasiConfig())
linker.add_wasip2()
with linker.root() as root, root.add_instance("mix:embed/functions@0.1.0") as functions:
    functions.add_func("describe", describe)
    functions.add_func("call", call)
instance = linker.instantiate(store, Component.from_file(engine, "shop.wasm"))
agents = instance.get_export_index(store, "mix:embed/agents-sync@0.1.0")
get = lambda name: instance.get_func(store, instance.get_export_index(store, name, agents))


def run(agent, params):
    output = get("run")(store, agent, params)
    if isinstance(output, Record):
        raise RuntimeError(f"{output.code}: {output.message}", *output.stack)
    return output


print(run("shop", '{"item":"apples"}'))

session = get("open")(store)
ask = lambda message: [json.loads(text) for text in get("ask")(store, session, json.dumps(message))]
ask({"type": "load", "module": "basket"})
told = ask({"type": "input", "cell": "items", "value": ["apple", "pear"]})
print(*[one["value"] for one in told if one.get("cell") == "count"])
