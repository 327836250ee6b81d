// The interface `mix:ffi/family` over the table of functions.
//
// `bindings/` is made from `wit/` by `mixer plugin c-bindings`, and its names are those of the interface.
#include "wire.h"

#include "bindings/plugin.h"

#include <stdlib.h>
#include <string.h>

void exports_mix_ffi_family_describe(exports_mix_ffi_family_list_function_t *ret) {
  ret->ptr = calloc(mix_function_count + 1, sizeof *ret->ptr);
  if (!ret->ptr) abort();
  ret->len = mix_function_count;
  for (size_t at = 0; at < mix_function_count; at++) {
    plugin_string_dup(&ret->ptr[at].name, mix_functions[at].name);
    ret->ptr[at].params = mix_functions[at].params;
    ret->ptr[at].waits = mix_functions[at].waits;
    plugin_string_dup(&ret->ptr[at].doc, mix_functions[at].doc);
  }
}

void exports_mix_ffi_needs_needs(plugin_list_string_t *ret) {
  size_t count = 0;
  while (mix_needs[count]) count++;
  ret->ptr = calloc(count + 1, sizeof *ret->ptr);
  if (!ret->ptr) abort();
  ret->len = count;
  for (size_t at = 0; at < count; at++) plugin_string_dup(&ret->ptr[at], mix_needs[at]);
}

// Runs a function on its arguments; a failure if it cannot be run. The arguments live as long as the value.
static mix_value run(uint32_t number, const exports_mix_ffi_family_value_t *args) {
  if (number >= mix_function_count) return mix_failure("ERR_INTERNAL", "there is no function of that number");
  mix_value given;
  if (!wire_decode(args->ptr, args->len, &given) || given.kind != MIX_ARRAY || given.count != mix_functions[number].params)
    return mix_failure("ERR_INTERNAL", "these are not the arguments of the function");
  return mix_functions[number].run(given.items);
}

// The wire form of a value that is no stream; the failure is in `failure` if there is none.
static bool encoded(const mix_value *value, wire_buffer *out, mix_value *failure) {
  *out = (wire_buffer){0};
  const char *why = NULL;
  if (value->kind == MIX_FAILURE) *failure = *value;
  else if ((why = wire_encode(out, value))) *failure = mix_failure("ERR_NOT_SERIALIZABLE", why);
  else return true;
  free(out->bytes);
  *out = (wire_buffer){0};
  return false;
}

static void tell(const mix_value *failure, exports_mix_ffi_family_failure_t *err) {
  plugin_string_dup(&err->code, failure->code);
  plugin_string_dup(&err->message, failure->message);
  err->detail.is_some = false;
}

bool exports_mix_ffi_family_call(uint32_t number, exports_mix_ffi_family_value_t *args, exports_mix_ffi_family_value_t *ret,
                                 exports_mix_ffi_family_failure_t *err) {
  arena own = {0}, *before = present;
  present = &own;
  mix_value answer = run(number, args), failure;
  wire_buffer out;
  bool good = encoded(&answer, &out, &failure);
  if (good) {
    ret->ptr = out.bytes;
    ret->len = out.length;
  } else {
    tell(&failure, err);
  }
  present = before;
  arena_free(&own);
  exports_mix_ffi_family_value_free(args);
  return good;
}

// A stream that is being written: its arguments and its state live as long as it does.
typedef struct {
  mix_value stream;
  arena own;
  exports_mix_ffi_family_value_t args;
  mix_ffi_types_stream_value_writer_t writer;
  plugin_waitable_set_t set;
  wire_buffer item; // on its way
  bool last;
} writing;

static plugin_callback_code_t finish(writing *job) {
  mix_ffi_types_stream_value_drop_writable(job->writer);
  plugin_waitable_set_drop(job->set);
  free(job->item.bytes);
  arena_free(&job->own);
  exports_mix_ffi_family_value_free(&job->args);
  free(job);
  return PLUGIN_CALLBACK_CODE_EXIT;
}

// The next item; false at the end. What fails on the way ends the stream with 0xc1 and the failure.
static bool produce(writing *job) {
  arena scratch = {0}, *before = present;
  present = &scratch;
  mix_value item = mix_null(), failure;
  bool more = !job->last && job->stream.next(job->stream.state, &item);
  if (more && !encoded(&item, &job->item, &failure)) {
    mix_value parts[] = {mix_text("code"), mix_text(failure.code), mix_text("message"), mix_text(failure.message)};
    mix_value map = mix_map(parts, 2);
    wire_put(&job->item, 0xc1);
    wire_encode(&job->item, &map);
    job->last = true;
  }
  present = before;
  arena_free(&scratch);
  return more;
}

// Goes on until the reader is slower than this, has gone, or has all.
static plugin_callback_code_t feed(writing *job) {
  while (produce(job)) {
    mix_ffi_types_value_t value = {job->item.bytes, job->item.length};
    plugin_waitable_status_t status = mix_ffi_types_stream_value_write(job->writer, &value, 1);
    if (status == PLUGIN_WAITABLE_STATUS_BLOCKED) {
      plugin_waitable_join(job->writer, job->set);
      plugin_context_set_0(job);
      return PLUGIN_CALLBACK_CODE_WAIT(job->set);
    }
    if (PLUGIN_WAITABLE_STATE(status) != PLUGIN_WAITABLE_COMPLETED) break;
    free(job->item.bytes);
    job->item = (wire_buffer){0};
  }
  return finish(job);
}

plugin_callback_code_t exports_mix_ffi_family_start_callback(plugin_event_t *event) {
  writing *job = plugin_context_get_0();
  plugin_waitable_join(job->writer, 0);
  if (event->event != PLUGIN_EVENT_STREAM_WRITE || PLUGIN_WAITABLE_STATE(event->code) != PLUGIN_WAITABLE_COMPLETED)
    return finish(job);
  free(job->item.bytes);
  job->item = (wire_buffer){0};
  return feed(job);
}

plugin_callback_code_t exports_mix_ffi_family_start(uint32_t number, exports_mix_ffi_family_value_t *args) {
  arena own = {0}, *before = present;
  present = &own;
  mix_value answer = run(number, args), failure;
  exports_mix_ffi_family_result_reply_failure_t result = {0};
  writing *job = NULL;
  if (answer.kind == MIX_STREAM) {
    job = calloc(1, sizeof *job);
    if (!job) abort();
    *job = (writing){.stream = answer, .own = own, .args = *args, .set = plugin_waitable_set_new()};
    result.val.ok.tag = MIX_FFI_TYPES_REPLY_MANY;
    result.val.ok.val.many = mix_ffi_types_stream_value_new(&job->writer);
  } else {
    wire_buffer out;
    if (encoded(&answer, &out, &failure)) {
      result.val.ok.tag = MIX_FFI_TYPES_REPLY_ONE;
      result.val.ok.val.one = (mix_ffi_types_value_t){out.bytes, out.length};
    } else {
      result.is_err = true;
      tell(&failure, &result.val.err);
    }
  }
  present = before;
  exports_mix_ffi_family_start_return(result);
  if (job) return feed(job);
  if (result.is_err) exports_mix_ffi_family_failure_free(&result.val.err);
  else exports_mix_ffi_family_reply_free(&result.val.ok);
  arena_free(&own);
  exports_mix_ffi_family_value_free(args);
  return PLUGIN_CALLBACK_CODE_EXIT;
}
