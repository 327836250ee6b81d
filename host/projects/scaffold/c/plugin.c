// The functions of plugin PROJECT_NAME.
#include "mix.h"

#include <math.h>
#include <string.h>

static mix_value shout(const mix_value *args) {
  if (args[0].kind != MIX_STRING) return mix_failure("ERR_EXPECTED_STRING", "shout takes a string");
  size_t length = args[0].length;
  char *text = mix_alloc(length + 1);
  for (size_t at = 0; at < length; at++) {
    char byte = args[0].bytes[at];
    text[at] = byte >= 'a' && byte <= 'z' ? byte - 'a' + 'A' : byte;
  }
  text[length] = '!';
  return mix_string(text, length + 1);
}

static mix_value twice(const mix_value *args) {
  double number;
  if (!mix_is_number(&args[0], &number)) return mix_failure("ERR_EXPECTED_NUMBER", "twice takes a number");
  if (fabs(number) > 1e6) return mix_failure("ERR_RANGE", "the number is too large");
  return mix_float(2 * number);
}

// What is left of the text.
typedef struct {
  const char *at, *end;
} rest;

static bool is_space(char byte) {
  return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static bool next_word(void *state, mix_value *item) {
  rest *left = state;
  while (left->at < left->end && is_space(*left->at)) left->at++;
  const char *word = left->at;
  while (left->at < left->end && !is_space(*left->at)) left->at++;
  *item = mix_string(word, (size_t)(left->at - word));
  return left->at > word;
}

static mix_value words(const mix_value *args) {
  if (args[0].kind != MIX_STRING) return mix_failure("ERR_EXPECTED_STRING", "words takes a string");
  rest *left = mix_alloc(sizeof *left);
  left->at = args[0].bytes;
  left->end = left->at + args[0].length;
  return mix_stream(next_word, left);
}

// What the plugin cannot do without: "http", "http:HOST", "folder", "env:NAME". Its operator has to grant it.
const char *const mix_needs[] = {NULL};

const mix_function mix_functions[] = {
  {"$PROJECT_NAME_shout", 1, false,
   "A text with its letters a to z in capitals, and an exclamation mark.\n\nType: string -> string", shout},
  {"$PROJECT_NAME_twice", 1, false, "Twice a number of at most a million.\n\nType: number -> number", twice},
  {"$PROJECT_NAME_words", 1, true, "The words of a text, one by one.\n\nType: string -> stream(string)", words},
};
const size_t mix_function_count = sizeof mix_functions / sizeof *mix_functions;
