#include "wire.h"

#include <stdlib.h>
#include <string.h>

#define DEEPEST 128 // arrays, maps and cases in one another

enum { UNDEFINED = 1, REF = 2, CASE = 3, HANDLE = 6 }; // types of extensions

// ---- memory

struct block {
  block *next;
  _Alignas(16) char bytes[];
};

static arena standing;
arena *present = &standing;

void *mix_alloc(size_t size) {
  block *made = size < SIZE_MAX - sizeof *made ? calloc(1, sizeof *made + size) : NULL;
  if (!made) abort();
  made->next = present->blocks;
  present->blocks = made;
  return made->bytes;
}

void arena_free(arena *of) {
  while (of->blocks) {
    block *next = of->blocks->next;
    free(of->blocks);
    of->blocks = next;
  }
}

// ---- values

mix_value mix_undefined(void) { return (mix_value){.kind = MIX_UNDEFINED}; }
mix_value mix_null(void) { return (mix_value){.kind = MIX_NULL}; }
mix_value mix_bool(bool boolean) { return (mix_value){.kind = MIX_BOOL, .boolean = boolean}; }
mix_value mix_int(int64_t integer) { return (mix_value){.kind = MIX_INT, .integer = integer}; }
mix_value mix_float(double number) { return (mix_value){.kind = MIX_FLOAT, .number = number}; }
mix_value mix_text(const char *text) { return mix_string(text, strlen(text)); }

mix_value mix_string(const char *bytes, size_t length) {
  return (mix_value){.kind = MIX_STRING, .bytes = bytes, .length = length};
}

mix_value mix_binary(const void *bytes, size_t length) {
  return (mix_value){.kind = MIX_BINARY, .bytes = bytes, .length = length};
}

mix_value mix_array(mix_value *items, size_t count) {
  return (mix_value){.kind = MIX_ARRAY, .items = items, .count = count};
}

mix_value mix_map(mix_value *keys_and_values, size_t count) {
  return (mix_value){.kind = MIX_MAP, .items = keys_and_values, .count = 2 * count};
}

mix_value mix_case(const char *name) {
  mix_value *items = mix_alloc(sizeof *items);
  items[0] = mix_text(name);
  return (mix_value){.kind = MIX_CASE, .items = items, .count = 1};
}

mix_value mix_case_of(const char *name, mix_value argument) {
  mix_value *items = mix_alloc(2 * sizeof *items);
  items[0] = mix_text(name);
  items[1] = argument;
  return (mix_value){.kind = MIX_CASE, .items = items, .count = 2};
}

mix_value mix_handle(uint64_t handle) { return (mix_value){.kind = MIX_HANDLE, .handle = handle}; }

mix_value mix_stream(mix_next next, void *state) {
  return (mix_value){.kind = MIX_STREAM, .next = next, .state = state};
}

mix_value mix_failure(const char *code, const char *message) {
  return (mix_value){.kind = MIX_FAILURE, .code = code, .message = message};
}

bool mix_is_number(const mix_value *value, double *number) {
  if (value->kind == MIX_INT) *number = (double)value->integer;
  else if (value->kind == MIX_FLOAT) *number = value->number;
  else return false;
  return true;
}

const mix_value *mix_get(const mix_value *map, const char *key) {
  size_t length = strlen(key);
  for (size_t at = 0; map->kind == MIX_MAP && at < map->count; at += 2) {
    const mix_value *own = &map->items[at];
    if (own->length == length && memcmp(own->bytes, key, length) == 0) return &map->items[at + 1];
  }
  return NULL;
}

// ---- reading

typedef struct {
  const uint8_t *at, *end;
} reader;

static bool take(reader *from, size_t size, const uint8_t **bytes) {
  if ((size_t)(from->end - from->at) < size) return false;
  *bytes = from->at;
  from->at += size;
  return true;
}

static bool big_endian(reader *from, size_t size, uint64_t *number) {
  const uint8_t *bytes;
  if (!take(from, size, &bytes)) return false;
  *number = 0;
  for (size_t at = 0; at < size; at++) *number = *number << 8 | bytes[at];
  return true;
}

static bool read_value(reader *from, mix_value *value, int depth);

static bool read_bytes(reader *from, mix_kind kind, uint64_t length, mix_value *value) {
  const uint8_t *bytes;
  if (length > SIZE_MAX || !take(from, (size_t)length, &bytes)) return false;
  *value = (mix_value){.kind = kind, .bytes = (const char *)bytes, .length = (size_t)length};
  return true;
}

// Every item has a byte at least, so a count beyond what is left is no count.
static bool read_items(reader *from, mix_kind kind, uint64_t count, mix_value *value, int depth) {
  if (count > (uint64_t)(from->end - from->at)) return false;
  mix_value *items = mix_alloc((size_t)count * sizeof *items);
  for (size_t at = 0; at < count; at++) {
    if (!read_value(from, &items[at], depth)) return false;
    if (kind == MIX_MAP && at % 2 == 0 && items[at].kind != MIX_STRING) return false;
  }
  *value = (mix_value){.kind = kind, .items = items, .count = (size_t)count};
  return true;
}

static bool read_extension(reader *from, uint64_t size, mix_value *value, int depth) {
  uint64_t type;
  if (!big_endian(from, 1, &type) || size > (uint64_t)(from->end - from->at)) return false;
  const uint8_t *end = from->at + size;
  switch (type) {
  case UNDEFINED:
    from->at = end;
    *value = mix_undefined();
    return true;
  case REF:
    return read_bytes(from, MIX_REF, size, value);
  case CASE: {
    reader inner = {from->at, end};
    mix_value *items = mix_alloc(2 * sizeof *items);
    if (!read_value(&inner, &items[0], depth) || items[0].kind != MIX_STRING) return false;
    bool argument = inner.at < inner.end;
    if (argument && (!read_value(&inner, &items[1], depth) || inner.at < inner.end)) return false;
    *value = (mix_value){.kind = MIX_CASE, .items = items, .count = argument ? 2 : 1};
    from->at = end;
    return true;
  }
  case HANDLE: {
    uint64_t handle;
    if (size != 8 || !big_endian(from, 8, &handle)) return false;
    *value = mix_handle(handle);
    return true;
  }
  default:
    if (!read_bytes(from, MIX_OTHER, size, value)) return false;
    value->type = (int8_t)type;
    return true;
  }
}

static bool read_number(reader *from, uint8_t marker, mix_value *value) {
  uint64_t bits;
  size_t size = marker < 0xcc ? (size_t)4 << (marker - 0xca) : (size_t)1 << ((marker - 0xcc) & 3);
  if (!big_endian(from, size, &bits)) return false;
  switch (marker) {
  case 0xca: {
    uint32_t half = (uint32_t)bits;
    float number;
    memcpy(&number, &half, sizeof number);
    *value = mix_float(number);
    return true;
  }
  case 0xcb: {
    double number;
    memcpy(&number, &bits, sizeof number);
    *value = mix_float(number);
    return true;
  }
  case 0xcf:
    *value = bits > INT64_MAX ? mix_float((double)bits) : mix_int((int64_t)bits);
    return true;
  case 0xd0:
    *value = mix_int((int8_t)bits);
    return true;
  case 0xd1:
    *value = mix_int((int16_t)bits);
    return true;
  case 0xd2:
    *value = mix_int((int32_t)bits);
    return true;
  default:
    *value = mix_int((int64_t)bits);
    return true;
  }
}

static bool read_value(reader *from, mix_value *value, int depth) {
  uint64_t first, size;
  if (depth > DEEPEST || !big_endian(from, 1, &first)) return false;
  uint8_t marker = (uint8_t)first;
  *value = mix_null();
  if (marker < 0x80) return *value = mix_int(marker), true;
  if (marker < 0x90) return read_items(from, MIX_MAP, 2 * (marker & 15), value, depth + 1);
  if (marker < 0xa0) return read_items(from, MIX_ARRAY, marker & 15, value, depth + 1);
  if (marker < 0xc0) return read_bytes(from, MIX_STRING, marker & 31, value);
  if (marker >= 0xe0) return *value = mix_int((int8_t)marker), true;
  switch (marker) {
  case 0xc0:
    return true;
  case 0xc2:
  case 0xc3:
    return *value = mix_bool(marker == 0xc3), true;
  case 0xc4:
  case 0xc5:
  case 0xc6:
    return big_endian(from, (size_t)1 << (marker - 0xc4), &size) && read_bytes(from, MIX_BINARY, size, value);
  case 0xc7:
  case 0xc8:
  case 0xc9:
    return big_endian(from, (size_t)1 << (marker - 0xc7), &size) && read_extension(from, size, value, depth + 1);
  case 0xd4:
  case 0xd5:
  case 0xd6:
  case 0xd7:
  case 0xd8:
    return read_extension(from, (uint64_t)1 << (marker - 0xd4), value, depth + 1);
  case 0xd9:
  case 0xda:
  case 0xdb:
    return big_endian(from, (size_t)1 << (marker - 0xd9), &size) && read_bytes(from, MIX_STRING, size, value);
  case 0xdc:
  case 0xdd:
    return big_endian(from, (size_t)2 << (marker - 0xdc), &size) && read_items(from, MIX_ARRAY, size, value, depth + 1);
  case 0xde:
  case 0xdf:
    return big_endian(from, (size_t)2 << (marker - 0xde), &size) && read_items(from, MIX_MAP, 2 * size, value, depth + 1);
  case 0xc1:
    return false;
  default: // 0xca to 0xd3
    return read_number(from, marker, value);
  }
}

bool wire_decode(const uint8_t *bytes, size_t length, mix_value *value) {
  reader from = {bytes, bytes + length};
  return read_value(&from, value, 0) && from.at == from.end;
}

// ---- writing

static void append(wire_buffer *out, const void *bytes, size_t length) {
  if (out->room - out->length < length) {
    size_t room = 2 * out->room + length;
    uint8_t *grown = room >= length ? realloc(out->bytes, room) : NULL;
    if (!grown) abort();
    out->bytes = grown;
    out->room = room;
  }
  if (length) memcpy(out->bytes + out->length, bytes, length);
  out->length += length;
}

void wire_put(wire_buffer *out, uint8_t byte) { append(out, &byte, 1); }

static void put_big_endian(wire_buffer *out, int size, uint64_t number) {
  for (int shift = 8 * (size - 1); shift >= 0; shift -= 8) wire_put(out, (uint8_t)(number >> shift));
}

// A length with its marker: in the marker itself below `limit`, else in 1, 2 or 4 bytes.
static bool put_head(wire_buffer *out, uint64_t length, uint8_t small, uint64_t limit, uint8_t one, uint8_t two, uint8_t four) {
  if (length < limit) wire_put(out, small | (uint8_t)length);
  else if (length <= UINT8_MAX && one) wire_put(out, one), put_big_endian(out, 1, length);
  else if (length <= UINT16_MAX) wire_put(out, two), put_big_endian(out, 2, length);
  else if (length <= UINT32_MAX) wire_put(out, four), put_big_endian(out, 4, length);
  else return false;
  return true;
}

static bool put_extension(wire_buffer *out, int8_t type, const void *bytes, size_t length) {
  if (!put_head(out, length, 0, 0, 0xc7, 0xc8, 0xc9)) return false;
  wire_put(out, (uint8_t)type);
  append(out, bytes, length);
  return true;
}

static int by_key(const void *a, const void *b) {
  const mix_value *left = a, *right = b;
  size_t least = left->length < right->length ? left->length : right->length;
  int order = least ? memcmp(left->bytes, right->bytes, least) : 0;
  return order ? order : (left->length > right->length) - (left->length < right->length);
}

// Appends a value; gives why it has no wire form, or null.
static const char *put_value(wire_buffer *out, const mix_value *value, int depth);

static const char *const too_large = "the result is too large";

// Keys stand in the order of their bytes, each once.
static const char *put_map(wire_buffer *out, const mix_value *map, int depth) {
  size_t count = map->count / 2;
  mix_value(*entries)[2] = mix_alloc(count * sizeof *entries);
  if (count) memcpy(entries, map->items, count * sizeof *entries);
  for (size_t at = 0; at < count; at++)
    if (entries[at][0].kind != MIX_STRING) return "a key of a map is no string";
  qsort(entries, count, sizeof *entries, by_key);
  if (!put_head(out, count, 0x80, 16, 0, 0xde, 0xdf)) return too_large;
  for (size_t at = 0; at < count; at++) {
    if (at && by_key(entries[at - 1], entries[at]) == 0) return "a map has a key twice";
    const char *why = put_value(out, &entries[at][0], depth);
    if (!why) why = put_value(out, &entries[at][1], depth);
    if (why) return why;
  }
  return NULL;
}

static const char *put_array(wire_buffer *out, const mix_value *array, int depth) {
  if (!put_head(out, array->count, 0x90, 16, 0, 0xdc, 0xdd)) return too_large;
  for (size_t at = 0; at < array->count; at++) {
    if (array->items[at].kind == MIX_UNDEFINED) return "an array has no undefined items";
    const char *why = put_value(out, &array->items[at], depth);
    if (why) return why;
  }
  return NULL;
}

// What a case can be called: `some`, `calendar.date`.
static bool is_case_name(const mix_value *name) {
  if (name->kind != MIX_STRING || name->length < 1 || name->length > 256) return false;
  for (size_t at = 0; at < name->length; at++) {
    unsigned char c = (unsigned char)name->bytes[at];
    bool begins = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
    if (!begins && (at == 0 || !(c == '.' || (c >= '0' && c <= '9')))) return false;
  }
  return true;
}

static const char *put_case(wire_buffer *out, const mix_value *value, int depth) {
  wire_buffer inner = {0};
  const char *why = NULL;
  if (value->count < 1 || !is_case_name(&value->items[0]))
    return "the name of a case is of letters, digits, _, $ and ., no digit and no . first, and at most 256 long";
  for (size_t at = 0; !why && at < value->count; at++) why = put_value(&inner, &value->items[at], depth);
  if (!why && !put_extension(out, CASE, inner.bytes, inner.length)) why = too_large;
  free(inner.bytes);
  return why;
}

static const char *put_value(wire_buffer *out, const mix_value *value, int depth) {
  bool holds_others = value->kind == MIX_ARRAY || value->kind == MIX_MAP || value->kind == MIX_CASE;
  if (holds_others && depth >= DEEPEST) return "the result is nested more than 128 levels deep";
  bool good = true;
  switch (value->kind) {
  case MIX_UNDEFINED:
    good = put_extension(out, UNDEFINED, NULL, 0);
    break;
  case MIX_NULL:
    wire_put(out, 0xc0);
    break;
  case MIX_BOOL:
    wire_put(out, value->boolean ? 0xc3 : 0xc2);
    break;
  case MIX_INT:
    if (value->integer >= 0 && value->integer < 128) wire_put(out, (uint8_t)value->integer);
    else wire_put(out, 0xd3), put_big_endian(out, 8, (uint64_t)value->integer);
    break;
  case MIX_FLOAT: {
    uint64_t bits;
    memcpy(&bits, &value->number, sizeof bits);
    wire_put(out, 0xcb), put_big_endian(out, 8, bits);
    break;
  }
  case MIX_STRING:
    good = put_head(out, value->length, 0xa0, 32, 0xd9, 0xda, 0xdb);
    if (good) append(out, value->bytes, value->length);
    break;
  case MIX_BINARY:
    good = put_head(out, value->length, 0, 0, 0xc4, 0xc5, 0xc6);
    if (good) append(out, value->bytes, value->length);
    break;
  case MIX_REF:
    good = put_extension(out, REF, value->bytes, value->length);
    break;
  case MIX_HANDLE:
    wire_put(out, 0xd7), wire_put(out, HANDLE), put_big_endian(out, 8, value->handle);
    break;
  case MIX_OTHER:
    good = put_extension(out, value->type, value->bytes, value->length);
    break;
  case MIX_ARRAY:
    return put_array(out, value, depth + 1);
  case MIX_MAP:
    return put_map(out, value, depth + 1);
  case MIX_CASE:
    return put_case(out, value, depth + 1);
  case MIX_FAILURE:
    return "a failure is no part of a value";
  case MIX_STREAM:
    return "a stream is no part of a value, and the row of a function that gives one says `true`: it may wait";
  }
  return good ? NULL : too_large;
}

const char *wire_encode(wire_buffer *out, const mix_value *value) { return put_value(out, value, 0); }
