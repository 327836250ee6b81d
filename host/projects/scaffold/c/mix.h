// Values of Mix in C, and what a plugin of them needs.
//
// The functions of a plugin stand in the table `mix_functions`, which `plugin.c` defines. What a function allocates
// with `mix_alloc` lives until its answer has left; of a stream, until the stream has ended.
#ifndef MIX_H
#define MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
  MIX_UNDEFINED,
  MIX_NULL,
  MIX_BOOL,
  MIX_INT,
  MIX_FLOAT,
  MIX_STRING, // UTF-8
  MIX_BINARY,
  MIX_REF,    // the id of a record
  MIX_ARRAY,
  MIX_MAP,
  MIX_CASE,   // some(1): its name, then its argument if it has one
  MIX_HANDLE, // names something that the plugin keeps, by a number of its own; programs can only pass it back
  MIX_OTHER,  // tokens, big integers: passed on untouched
  MIX_FAILURE,
  MIX_STREAM,
} mix_kind;

typedef struct mix_value mix_value;

// Gives the next item of a stream, or false at its end; an item that is a failure ends the stream with it. What it
// allocates lives until the item has left; the state lives as long as the stream.
typedef bool (*mix_next)(void *state, mix_value *item);

struct mix_value {
  mix_kind kind;
  int8_t type; // of MIX_OTHER
  union {
    bool boolean;
    int64_t integer;
    double number;
    uint64_t handle;
    struct { // MIX_STRING, MIX_BINARY, MIX_REF, MIX_OTHER
      const char *bytes;
      size_t length;
    };
    struct { // MIX_ARRAY, MIX_CASE; of a MIX_MAP a key and its value by turns
      mix_value *items;
      size_t count;
    };
    struct { // MIX_FAILURE
      const char *code;
      const char *message;
    };
    struct { // MIX_STREAM
      mix_next next;
      void *state;
    };
  };
};

// One function: name in Mix, number of arguments, true if it may wait or gives a stream, what programmers read
// (its line `Type:` is the type), and what runs.
typedef struct {
  const char *name;
  uint8_t params;
  bool waits;
  const char *doc;
  mix_value (*run)(const mix_value *args);
} mix_function;

extern const mix_function mix_functions[];
extern const size_t mix_function_count;

// What the plugin cannot do without, as its operator grants it: {"folder", "env:REGION", NULL}.
extern const char *const mix_needs[];

// Memory of the call; zero bytes at first. Never null: a plugin that has no memory left is ended.
void *mix_alloc(size_t size);

mix_value mix_undefined(void);
mix_value mix_null(void);
mix_value mix_bool(bool boolean);
mix_value mix_int(int64_t integer);
mix_value mix_float(double number);
mix_value mix_text(const char *text); // ends with a zero byte
mix_value mix_string(const char *bytes, size_t length);
mix_value mix_binary(const void *bytes, size_t length);
mix_value mix_array(mix_value *items, size_t count);
mix_value mix_map(mix_value *keys_and_values, size_t count); // count: entries
mix_value mix_case(const char *name);
mix_value mix_case_of(const char *name, mix_value argument);
mix_value mix_handle(uint64_t handle);
mix_value mix_stream(mix_next next, void *state);

// A runtime error of Mix, for instance mix_failure("ERR_RANGE", "the number is too large").
mix_value mix_failure(const char *code, const char *message);

// True for a number; it is in `number`, an int converted.
bool mix_is_number(const mix_value *value, double *number);

// The value of a key of a map; null without one.
const mix_value *mix_get(const mix_value *map, const char *key);

#endif
