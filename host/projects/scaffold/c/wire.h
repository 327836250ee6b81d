// Between values and their wire form (MessagePack).
#ifndef WIRE_H
#define WIRE_H

#include "mix.h"

// The memory of calls, a list of blocks that is freed at once.
typedef struct block block;
typedef struct {
  block *blocks;
} arena;

// Where mix_alloc takes its memory from.
extern arena *present;

void arena_free(arena *of);

// The value in the bytes; false if they are none. The bytes must live as long as the value.
bool wire_decode(const uint8_t *bytes, size_t length, mix_value *value);

typedef struct {
  uint8_t *bytes; // of malloc
  size_t length, room;
} wire_buffer;

// Appends a value; gives why it has no wire form, or null.
const char *wire_encode(wire_buffer *out, const mix_value *value);
// Appends one byte.
void wire_put(wire_buffer *out, uint8_t byte);

#endif
