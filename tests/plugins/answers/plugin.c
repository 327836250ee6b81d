// Answers at the edge of what a value can be, and what is no value.
#include "mix.h"

static mix_value arrays(const mix_value *args) {
  mix_value value = mix_array(NULL, 0);
  for (int64_t level = 1; level < args[0].integer; level++) {
    mix_value *items = mix_alloc(sizeof *items);
    *items = value;
    value = mix_array(items, 1);
  }
  return value;
}

static mix_value cases(const mix_value *args) {
  mix_value value = mix_null();
  for (int64_t level = 0; level < args[0].integer; level++) value = mix_case_of("some", value);
  return value;
}

static mix_value hole(const mix_value *args) {
  (void)args;
  mix_value *items = mix_alloc(2 * sizeof *items);
  items[0] = mix_int(1);
  items[1] = mix_undefined();
  return mix_array(items, 2);
}

static mix_value misnamed(const mix_value *args) {
  (void)args;
  return mix_case_of("a b", mix_int(1));
}

// A map of two members.
static mix_value map(mix_value first, const char *second, mix_value value) {
  mix_value *entries = mix_alloc(4 * sizeof *entries);
  entries[0] = mix_text("a");
  entries[1] = first;
  entries[2] = mix_text(second);
  entries[3] = value;
  return mix_map(entries, 2);
}

static mix_value member(const mix_value *args) {
  (void)args;
  return map(mix_undefined(), "b", mix_int(1));
}

static mix_value twins(const mix_value *args) {
  (void)args;
  return map(mix_int(1), "a", mix_int(2));
}

static mix_value failing(const mix_value *args) {
  (void)args;
  return map(mix_int(1), "b", mix_failure("ERR_RANGE", "inside"));
}

static bool next_number(void *state, mix_value *item) {
  int *given = state;
  *item = (*given)++ ? mix_failure("ERR_RANGE", "no more") : mix_int(1);
  return true;
}

static mix_value later(const mix_value *args) {
  (void)args;
  return mix_stream(next_number, mix_alloc(sizeof(int)));
}

const char *const mix_needs[] = {NULL};

const mix_function mix_functions[] = {
  {"$demo_arrays", 1, false, "Arrays in arrays.\n\nType: number -> data", arrays},
  {"$demo_cases", 1, false, "Cases in cases.\n\nType: number -> data", cases},
  {"$demo_hole", 0, false, "An array with an undefined item.\n\nType: null -> data", hole},
  {"$demo_member", 0, false, "A map with an undefined member.\n\nType: null -> data", member},
  {"$demo_misnamed", 0, false, "A case whose name is none.\n\nType: null -> data", misnamed},
  {"$demo_twins", 0, false, "A map with a key twice.\n\nType: null -> data", twins},
  {"$demo_failing", 0, false, "A failure in a map.\n\nType: null -> data", failing},
  {"$demo_later", 0, true, "A stream that fails.\n\nType: null -> stream(number)", later},
  {"$demo_now", 0, false, "A stream of a function that never waits.\n\nType: null -> data", later},
};
const size_t mix_function_count = sizeof mix_functions / sizeof *mix_functions;
