//! Composition of families behind a switchboard.

use anyhow::{Result, anyhow};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId};

use crate::guest;

const FAMILY: &str = "mix:ffi/family@0.1.1";
const PACKED_FAMILY: &str = "mix:packed/family@0.1.0";
const SHORT: &str = "mix:packed/short@0.1.0";
const BINDING: &str = "mix:ffi/binding@0.1.1";
const CONTENTS: &str = "mix:app/contents@0.1.0";
const DESCRIPTIONS: &str = "mix:app/descriptions@0.1.0";
const HANDLER: &str = "wasi:http/handler@0.3.0";
const SLOTS: usize = 8;

/// One component of the VM, a switchboard and the families given.
pub fn compose_vm(families: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let family = add(&mut graph, "test:families", compose(families)?)?;
    let vm = add(&mut graph, "test:vm", guest("mix_vm_component"))?;
    plug(&mut graph, family, FAMILY, vm, FAMILY)?;
    let empty = add(&mut graph, "test:empty", guest("mix_plugin_empty"))?;
    plug(&mut graph, empty, SHORT, vm, SHORT)?;
    for (part, interface) in [
        (vm, "mix:vm/program@0.1.0"),
        (vm, "mix:vm/session@0.1.0"),
        (vm, "mix:vm/built-in@0.1.0"),
        (family, FAMILY),
        (family, BINDING),
    ] {
        let export = graph.alias_instance_export(part, interface)?;
        graph.export(export, interface)?;
    }
    Ok(graph.encode(EncodeOptions::default())?)
}

/// One component that serves an app over HTTP.
pub fn compose_app(families: &[Vec<u8>], carrier: Vec<u8>) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let machine = add(&mut graph, "test:machine", compose_vm(families)?)?;
    let carrier = add(&mut graph, "test:carrier", carrier)?;
    let front = add(&mut graph, "test:front", guest("mix_standalone"))?;
    for interface in [
        "mix:vm/program@0.1.0",
        "mix:vm/session@0.1.0",
        "mix:vm/built-in@0.1.0",
        FAMILY,
        BINDING,
    ] {
        plug(&mut graph, machine, interface, front, interface)?;
    }
    for interface in [CONTENTS, DESCRIPTIONS] {
        plug(&mut graph, carrier, interface, front, interface)?;
    }
    let export = graph.alias_instance_export(front, HANDLER)?;
    graph.export(export, HANDLER)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

/// One component of a family and the one that calls it.
pub fn compose_caller(family: &[u8]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let family = add(&mut graph, "test:family", family.to_vec())?;
    let caller = add(&mut graph, "test:caller", guest("mix_test_caller"))?;
    plug(&mut graph, family, PACKED_FAMILY, caller, PACKED_FAMILY)?;
    for (part, interface) in [(family, FAMILY), (caller, "mix:test/caller")] {
        let export = graph.alias_instance_export(part, interface)?;
        graph.export(export, interface)?;
    }
    Ok(graph.encode(EncodeOptions::default())?)
}

/// One component of a switchboard and the families given, free slots plugged.
pub fn compose(families: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let switchboard = add(&mut graph, "test:switchboard", guest("mix_switchboard"))?;
    let empty = add(&mut graph, "test:empty", guest("mix_plugin_empty"))?;
    for slot in 0..SLOTS {
        let family = match families.get(slot) {
            Some(bytes) => add(&mut graph, &format!("test:family{slot}"), bytes.clone())?,
            None => empty,
        };
        plug(
            &mut graph,
            family,
            FAMILY,
            switchboard,
            &format!("slot{slot}"),
        )?;
        let bound = if graph.alias_instance_export(family, BINDING).is_ok() {
            family
        } else {
            empty
        };
        plug(
            &mut graph,
            bound,
            BINDING,
            switchboard,
            &format!("binding{slot}"),
        )?;
    }
    for interface in [FAMILY, BINDING] {
        let export = graph.alias_instance_export(switchboard, interface)?;
        graph.export(export, interface)?;
    }
    Ok(graph.encode(EncodeOptions::default())?)
}

fn add(graph: &mut CompositionGraph, name: &str, bytes: Vec<u8>) -> Result<NodeId> {
    let package = Package::from_bytes(name, None, bytes, graph.types_mut())
        .map_err(|error| anyhow!("{name} cannot be composed: {error:#}"))?;
    let package = graph.register_package(package)?;
    Ok(graph.instantiate(package))
}

fn plug(
    graph: &mut CompositionGraph,
    from: NodeId,
    export: &str,
    to: NodeId,
    import: &str,
) -> Result<()> {
    let node = graph.alias_instance_export(from, export)?;
    graph.set_instantiation_argument(to, import, node)?;
    Ok(())
}
