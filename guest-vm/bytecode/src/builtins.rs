//! The table of builtins: what `foreign def x : T = "#name"` in the standard
//! library may name. Compiler, verifier and VM agree through it.
//!
//! Rows are appended, never moved or removed: their position is the number
//! written into executables, and [`crate::format::VERSION`] rises when an
//! existing row changes.

use crate::operand::BuiltinId;

/// One builtin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// Name with its `#`.
    pub name: &'static str,
    /// Number of arguments.
    pub params: u8,
}

/// Looks a builtin up by name.
#[must_use]
pub fn find(name: &str) -> Option<(BuiltinId, &'static Builtin)> {
    let index = BUILTINS.iter().position(|builtin| builtin.name == name)?;
    // The table is far shorter than 2^32.
    Some((BuiltinId(u32::try_from(index).ok()?), &BUILTINS[index]))
}

/// The builtin with this number.
#[must_use]
pub fn get(id: BuiltinId) -> Option<&'static Builtin> {
    BUILTINS.get(id.index())
}

const fn row(name: &'static str, params: u8) -> Builtin {
    Builtin { name, params }
}

/// All builtins.
pub const BUILTINS: &[Builtin] = &[
    // ---- control: the VM itself performs these, they may suspend
    // Next element of a stream, undefined at its end.
    row("#stream_next", 1),
    // True if a stream has no more elements; may compute one, which stays.
    row("#stream_is_empty", 1),
    // Stream whose elements are what the function gives, called with null, until it gives undefined.
    row("#stream_generate", 1),
    // Stream that the function gives at the first pull.
    row("#stream_lazy", 1),
    // All elements as an array.
    row("#stream_to_array", 1),
    // ---- errors
    // Raises RT_FAIL with a message.
    row("#fail", 1),
    // Raises a code with a message.
    row("#fail_code", 2),
    // ---- prelude
    row("#datacase", 1),
    row("#floor", 1),
    row("#ceil", 1),
    row("#debug", 1),
    // ---- arrays
    row("#array_length", 1),
    row("#array_get", 2),
    // ---- actions
    row("#get_next_actions", 1),
    row("#set_next_actions", 2),
    row("#push_next_actions", 2),
    row("#push_idle_actions", 2),
    // ---- checks of arguments
    row("#expect_array", 1),
    row("#expect_key", 1),
    row("#expect_map", 1),
    row("#expect_string", 1),
    row("#expect_bool", 1),
    row("#expect_count", 1),
    row("#expect_binary", 1),
    row("#expect_stream", 1),
    row("#truth", 1),
    row("#defined", 1),
    row("#same", 2),
    row("#order_before", 2),
    row("#fail_text", 1),
    row("#if_then_else", 3),
    row("#unique_counter", 1),
    // ---- three-valued logic
    row("#bool_not", 1),
    row("#bool_and", 2),
    row("#bool_or", 2),
    row("#bool_to_string", 1),
    // ---- numbers
    row("#number_add", 2),
    row("#number_sub", 2),
    row("#number_mul", 2),
    row("#number_div", 2),
    row("#number_rem", 2),
    row("#number_mod", 2),
    row("#number_neg", 1),
    row("#number_div_int", 2),
    row("#number_rem_int", 2),
    row("#number_mod_int", 2),
    row("#number_abs", 1),
    row("#number_min", 2),
    row("#number_max", 2),
    row("#number_round", 1),
    row("#number_trunc", 1),
    row("#number_floor", 1),
    row("#number_ceil", 1),
    row("#number_acos", 1),
    row("#number_acosh", 1),
    row("#number_asin", 1),
    row("#number_asinh", 1),
    row("#number_atan", 1),
    row("#number_atanh", 1),
    row("#number_cos", 1),
    row("#number_cosh", 1),
    row("#number_sin", 1),
    row("#number_sinh", 1),
    row("#number_tan", 1),
    row("#number_tanh", 1),
    row("#number_exp", 1),
    row("#number_expm1", 1),
    row("#number_log", 1),
    row("#number_log10", 1),
    row("#number_log1p", 1),
    row("#number_sqrt", 1),
    row("#number_copysign", 2),
    row("#number_hypot", 2),
    row("#number_pow", 2),
    row("#number_atan2", 2),
    row("#number_to_string", 1),
    row("#number_parse", 1),
    row("#number_parse_int", 1),
    row("#number_parse_hex", 1),
    row("#number_format_hex_int", 2),
    row("#number_bit_test", 2),
    row("#number_bit_set", 2),
    row("#number_bit_clear", 2),
    row("#number_bit_and", 2),
    row("#number_bit_or", 2),
    row("#number_bit_xor", 2),
    row("#number_is_nan", 1),
    row("#number_is_finite", 1),
    row("#number_is_int", 1),
    row("#number_format", 2),
    // ---- strings
    row("#string_format_esc_json", 1),
    row("#string_has_prefix", 2),
    row("#string_contains", 2),
    row("#string_length", 1),
    row("#string_sub", 3),
    row("#string_concat", 2),
    row("#string_add", 2),
    row("#string_from_code_point", 1),
    row("#string_code_point_at", 2),
    row("#string_index_of_left", 2),
    row("#string_index_of_right", 2),
    row("#string_index_of_left_ci", 2),
    row("#string_contains_ci", 2),
    row("#string_has_suffix", 2),
    row("#string_strip_prefix", 2),
    row("#string_strip_suffix", 2),
    row("#string_replace_all", 3),
    row("#string_uppercase", 1),
    row("#string_lowercase", 1),
    row("#string_capitalize", 1),
    row("#string_trim", 1),
    row("#string_trim_left", 1),
    row("#string_trim_right", 1),
    row("#string_split_sep", 2),
    row("#string_like", 2),
    row("#string_parse_json", 1),
    row("#string_parse_esc_json", 1),
    row("#string_format_json", 1),
    // ---- parts of URLs
    row("#url_component_escape", 1),
    row("#url_component_unescape", 1),
    // ---- binaries
    row("#binary_empty", 1),
    row("#binary_length", 1),
    row("#binary_sub", 3),
    row("#binary_concat", 1),
    row("#binary_index_of_left", 2),
    row("#binary_byte_at", 2),
    row("#binary_from_byte", 1),
    row("#binary_of_string", 1),
    row("#binary_to_string", 1),
    row("#binary_of_base64", 1),
    row("#binary_to_base64", 1),
    row("#binary_of_hex", 1),
    row("#binary_to_hex", 1),
    row("#binary_format_rmx_code", 1),
    row("#binary_parse_rmx_code", 1),
    row("#binary_like", 1),
    row("#binary_equal_constant_time", 2),
    // ---- arrays
    row("#array_size", 1),
    row("#array_positions", 1),
    row("#array_keys", 1),
    row("#array_safe_get", 2),
    row("#array_set", 3),
    row("#array_add", 2),
    row("#array_zip", 2),
    row("#array_flatten", 1),
    row("#array_enumerate", 1),
    row("#array_rev", 1),
    row("#array_contains", 2),
    row("#array_features_one", 2),
    row("#array_features_all", 2),
    row("#array_first", 1),
    row("#array_last", 1),
    row("#array_skipn", 2),
    row("#array_firstn", 2),
    row("#array_lastn", 2),
    row("#next_permutation", 1),
    // ---- sorting and grouping by keys that a builder holds
    row("#keys_extreme", 2),
    row("#keys_sort", 4),
    row("#keys_deduplicate", 3),
    row("#keys_split", 2),
    row("#keys_merge", 4),
    row("#keys_group", 2),
    // ---- builders: arrays and maps under construction
    row("#builder_new", 1),
    row("#builder_push", 2),
    row("#builder_push_any", 2),
    row("#builder_append", 2),
    row("#builder_array", 1),
    row("#builder_shift", 1),
    // ---- maps
    row("#map_get", 2),
    row("#map_safe_get", 2),
    row("#map_keys", 1),
    row("#map_remove", 2),
    row("#map_bindings", 1),
    row("#map_builder_new", 1),
    row("#map_builder_put", 3),
    row("#map_builder_map", 1),
    row("#map_length", 1),
    row("#map_values", 1),
    row("#map_contains", 2),
    row("#map_set", 3),
    row("#map_add", 2),
    row("#map_descend", 2),
    row("#map_descend_safe", 2),
    row("#map_invert", 1),
    // ---- sets
    row("#set_of_array", 1),
    row("#set_union", 2),
    row("#set_intersection", 2),
    row("#set_difference", 2),
    row("#set_is_subset", 2),
    // ---- boxes: one mutable slot
    row("#box_new", 1),
    row("#box_get", 1),
    row("#box_set", 2),
    // ---- streams
    row("#stream_singleton", 1),
    // ---- arrays and maps alike
    row("#container_keys", 1),
    row("#container_get", 2),
    row("#container_children", 1),
    row("#container_rebuild", 2),
    row("#container_descend", 2),
    row("#container_path_update", 3),
    row("#container_path_augment", 3),
    row("#container_shallow_merge", 2),
    row("#container_deep_merge", 2),
    row("#container_deep_merge_builder", 2),
    row("#container_merge_replace_builder", 2),
    // ---- database
    row("#db_make_ref", 1),
    row("#db_string_ref", 1),
    row("#db_is_ref", 1),
    row("#query_indexable", 1),
    // ---- requests to hosts
    row("#http_body", 1),
    row("#http_request", 3),
    row("#file_designator", 1),
    row("#env_variable", 2),
    row("#env_number", 1),
    row("#env_client", 1),
    row("#env_query_text", 1),
    row("#log_text", 1),
    // ---- random numbers
    row("#random_draw_count", 2),
    row("#random_choose", 3),
    row("#random_int", 2),
    row("#random_float", 1),
    row("#random_string", 2),
    // ---- regular expressions
    row("#regex_prefix_length", 3),
    row("#regex_compile", 1),
    row("#regex_quote", 1),
    row("#regex_match", 2),
    row("#regex_find_submatch", 2),
    row("#regex_find_submatch_index", 2),
    row("#regex_find_all_submatch", 3),
    row("#regex_find_all_submatch_index", 3),
    row("#regex_replace_all", 3),
    // ---- values kept for the session
    row("#registry_put", 1),
    row("#registry_at", 1),
    row("#registry_put_once", 2),
    // ---- sets of integers
    row("#bitset_of_array", 1),
    row("#bitset_length", 1),
    row("#bitset_contains", 2),
    row("#bitset_add", 2),
    row("#bitset_remove", 2),
    row("#bitset_to_array", 1),
    row("#bitset_equal", 2),
    row("#bitset_is_subset", 2),
    row("#bitset_union", 2),
    row("#bitset_intersection", 2),
    row("#bitset_difference", 2),
    row("#case_parts", 1),
    // ---- what a read-eval-print loop asks of values
    row("#session_print", 1),
    row("#session_keep", 1),
    // ---- what hosts differ in
    row("#not_available", 1),
    row("#token_empty", 1),
    // ---- calendar
    row("#calendar_make", 7),
    row("#calendar_micros", 1),
    row("#calendar_text", 2),
    row("#calendar_fields", 1),
    row("#calendar_parse", 1),
    row("#calendar_format", 4),
    row("#expect_integer", 1),
    // ---- formats of texts
    row("#csv_parse", 2),
    row("#csv_format", 1),
    row("#mime_parse_media_type", 1),
    row("#mime_format_form", 2),
    row("#mime_parse_form", 2),
    row("#xml_decode_entities", 2),
    // ---- routines: the VM itself performs these, they may suspend
    row("#co_create", 2),
    row("#co_call", 2),
    row("#co_join", 1),
    row("#co_expire", 1),
    row("#co_end", 1),
    row("#co_exit", 1),
    row("#co_yield", 1),
    row("#co_on_error", 2),
    row("#co_fail_again", 1),
    row("#co_error_text", 1),
    row("#co_error_details", 1),
    row("#co_pause", 1),
    row("#co_channel_new", 1),
    row("#co_channel_emit", 2),
    row("#co_channel_put", 2),
    row("#co_channel_end", 1),
    row("#co_channel_stream", 1),
    row("#co_channel_own", 1),
    row("#co_channel_feed", 2),
    row("#co_channel_length", 1),
    row("#co_mutex_new", 1),
    row("#co_mutex_lock", 1),
    row("#co_mutex_unlock", 1),
    row("#co_guard", 2),
    row("#co_same", 2),
    row("#co_view", 1),
    // An agent of the program, called in a session of its own.
    row("#agent_call", 3),
    // ---- topics of message brokers
    row("#topic_path", 2),
    row("#topic_key", 1),
    // ---- metrics
    // Counters as a map, since they were cleared.
    row("#metrics_counters", 1),
    row("#metrics_clear", 1),
    // Switches the profile on or off.
    row("#metrics_profiling", 1),
    // The profile as a map.
    row("#metrics_profile", 1),
    row("#metrics_profile_clear", 1),
    // Switches tracing on or off as a whole.
    row("#metrics_tracing", 1),
    row("#metrics_set_levels", 1),
    row("#metrics_levels", 1),
    row("#metrics_is_level", 1),
    // Least severity of what the VM itself writes to the log.
    row("#metrics_log_level", 1),
    // Writes words and a value to the log if the level is on.
    row("#metrics_note", 3),
    // ---- passes in the middle of an action: the VM itself performs these
    row("#sheet_propagate", 1),
    row("#sheet_flush", 1),
    // ---- what hosts answer
    // A response of parts.
    row("#http_response", 1),
    // Writes a line with its severity to the log.
    row("#log", 2),
    // ---- cases
    // The case of the same name with another argument.
    row("#case_with", 2),
];
