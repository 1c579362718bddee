/* SPDX-License-Identifier: MIT */
/* `state_file PATH MIB DEPTH` writes a state file full of stacks of DEPTH frames, none of which is in two stacks: more code than any
 * program has. Prints how many stacks there are. docs/region-format.md tells the layout. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_BYTES = 4096, FIRST_SEGMENT_BYTES = 32 << 10, STACK_BYTES = 288, DEPTH_MAX = 512 };

static uint64_t hash_words(const uint64_t *words, size_t count)
{
  uint64_t hash = 0xcbf29ce484222325u ^ count;
  for (size_t i = 0; i < count; i++) {
    hash = (hash ^ words[i]) * 0x9fb21c651e98df25u;
    hash ^= hash >> 29;
  }
  return hash;
}

static void put(char *bytes, size_t at, uint64_t value, size_t size)
{
  memcpy(bytes + at, &value, size);
}

static void make_header(char *header, uint64_t size)
{
  memcpy(header, "HEAPPROF", 8);
  put(header, 8, 2, 4);
  put(header, 12, HEADER_BYTES, 4);
  put(header, 16, FIRST_SEGMENT_BYTES, 8);
  put(header, 24, 4242, 4);
  put(header, 32, 1000000000000000000u, 8);
  put(header, 40, 1, 8);
  put(header, 48, 128, 4);
  put(header, 376, size, 8);
  put(header, 384, size, 8);
}

/* One object of 100 bytes. */
static void make_stack(char *record, size_t size, uint64_t depth, uint64_t pc)
{
  uint64_t pcs[DEPTH_MAX];
  for (uint64_t i = 0; i < depth; i++)
    pcs[i] = pc + 16 * i;
  put(record, 0, 0x48500001, 4);
  put(record, 4, size, 4);
  put(record, 8, STACK_BYTES, 4);
  put(record, 12, depth, 4);
  put(record, 16, hash_words(pcs, depth), 8);
  put(record, 32, 1, 8);
  put(record, 40, 1 << 16, 8);
  put(record, 48, 100 << 4, 8);
  put(record, 72, 1, 8);
  memcpy(record + STACK_BYTES, pcs, depth * sizeof *pcs);
}

int main(int argc, char **argv)
{
  uint64_t size = argc == 4 ? strtoull(argv[2], NULL, 10) << 20 : 0, depth = size > 0 ? strtoull(argv[3], NULL, 10) : 0;
  if (size == 0 || depth == 0 || depth > DEPTH_MAX)
    return 2;
  char *bytes = calloc(size, 1);
  FILE *file = fopen(argv[1], "wb");
  if (bytes == NULL || file == NULL)
    return 1;
  make_header(bytes, size);
  size_t record_bytes = (STACK_BYTES + 8 * depth + 15) & ~(size_t)15;
  uint64_t position = HEADER_BYTES, segment = FIRST_SEGMENT_BYTES, stacks = 0;
  while (position + record_bytes <= size) {
    if (position + record_bytes > segment) { /* no record crosses the end of one */
      position = segment;
      segment *= 2;
      continue;
    }
    make_stack(bytes + position, record_bytes, depth, 0x400000 + stacks++ * depth * 16);
    position += record_bytes;
  }
  bool is_written = fwrite(bytes, 1, size, file) == size;
  printf("%llu\n", (unsigned long long)stacks);
  return fclose(file) == 0 && is_written ? 0 : 1;
}
