//! Bindings generated from the contract `mix:ffi` (`wit/ffi/ffi.wit`).
//!
//! One module for each interface that a plugin may export, because a component exports
//! exactly the interfaces whose `export_…!` macro it calls. The types are shared.
#![allow(unsafe_code, missing_docs, clippy::all)]

/// The interface every plugin exports.
pub mod family {
    wit_bindgen::generate!({
        path: "../../wit/ffi",
        inline: r"
            package mix:plugin-sdk;
            world exports-family { export mix:ffi/family@0.1.1; }
        ",
        export_macro_name: "__export_family",
        pub_export_macro: true,
        default_bindings_module: "mix_plugin_sdk::bindings::family",
        // The other modules take their types from here.
        generate_unused_types: true,
        generate_all,
    });
}

/// The same for callers that are composed with the plugin.
pub mod packed {
    wit_bindgen::generate!({
        path: ["../../wit/ffi", "../../wit/packed"],
        inline: r"
            package mix:plugin-sdk;
            world exports-packed { export mix:packed/family@0.1.0; }
        ",
        export_macro_name: "__export_packed",
        pub_export_macro: true,
        default_bindings_module: "mix_plugin_sdk::bindings::packed",
        with: {
            "mix:ffi/types@0.1.1": crate::bindings::family::mix::ffi::types,
            "mix:packed/types@0.1.0/block": mix_value::packed::Block,
        },
        generate_all,
    });
}

/// The same for short values and a host that stands between.
pub mod short {
    wit_bindgen::generate!({
        path: ["../../wit/ffi", "../../wit/packed"],
        inline: r"
            package mix:plugin-sdk;
            world exports-short { export mix:packed/short@0.1.0; }
        ",
        export_macro_name: "__export_short",
        pub_export_macro: true,
        default_bindings_module: "mix_plugin_sdk::bindings::short",
        with: {
            "mix:ffi/types@0.1.1": crate::bindings::family::mix::ffi::types,
            "mix:packed/types@0.1.0/block": mix_value::packed::Block,
        },
        generate_all,
    });
}

/// The optional interface that tells on whose behalf a plugin works.
pub mod binding {
    wit_bindgen::generate!({
        path: "../../wit/ffi",
        inline: r"
            package mix:plugin-sdk;
            world exports-binding { export mix:ffi/binding@0.1.1; }
        ",
        export_macro_name: "__export_binding",
        pub_export_macro: true,
        default_bindings_module: "mix_plugin_sdk::bindings::binding",
        with: { "mix:ffi/types@0.1.1": crate::bindings::family::mix::ffi::types },
        generate_all,
    });
}

/// The optional interface of plugins whose one instance serves many runs.
pub mod shared {
    wit_bindgen::generate!({
        path: "../../wit/ffi",
        inline: r"
            package mix:plugin-sdk;
            world exports-shared { export mix:ffi/shared-family@0.1.1; }
        ",
        export_macro_name: "__export_shared",
        pub_export_macro: true,
        default_bindings_module: "mix_plugin_sdk::bindings::shared",
        with: { "mix:ffi/types@0.1.1": crate::bindings::family::mix::ffi::types },
        generate_all,
    });
}

/// Waiting; a component imports it only when it calls [`crate::sleep`].
pub mod clock {
    wit_bindgen::generate!({
        path: "../../wit/deps/clocks.wit",
        inline: r"
            package mix:plugin-sdk;
            world sleeps { import wasi:clocks/monotonic-clock@0.3.0; }
        ",
        generate_all,
    });
}
