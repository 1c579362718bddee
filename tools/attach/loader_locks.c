/* SPDX-License-Identifier: MIT */
#include "tools/attach/loader_locks.h"

#include <string.h>

/* A mutex of glibc. */
struct lock {
  int32_t word;
  uint32_t count;
  int32_t owner;
  uint32_t users;
  int32_t kind;
  int16_t spins, elision;
  uint64_t previous, next;
};

enum { LOCKS = 3, RECURSIVE = 1, WORD_MAX = 2, COUNT_MAX = 1 << 16, PID_MAX = 1 << 22, STRUCTURE_MAX_BYTES = 64 << 10 };

_Static_assert(sizeof(struct lock) == 40, "as glibc has it");

static bool may_be_lock(const struct lock *lock)
{
  return lock->kind == RECURSIVE && lock->spins == 0 && lock->elision == 0 && lock->previous == 0 && lock->next == 0 &&
         lock->word >= 0 && lock->word <= WORD_MAX && lock->count < COUNT_MAX && lock->users < COUNT_MAX &&
         lock->owner >= 0 && lock->owner <= PID_MAX;
}

static bool are_locks(const uint8_t *bytes)
{
  struct lock locks[LOCKS];
  memcpy(locks, bytes, sizeof locks);
  for (unsigned i = 0; i < LOCKS; i++)
    if (!may_be_lock(&locks[i]))
      return false;
  return true;
}

uint64_t loader_locks_find(const struct image *loader, const struct memory *memory)
{
  const struct image_symbol *structure = image_find_symbol(loader, "_rtld_global");
  if (structure == NULL || structure->bytes < LOCKS * sizeof(struct lock) || structure->bytes > STRUCTURE_MAX_BYTES)
    return 0;
  g_autofree uint8_t *bytes = g_malloc(structure->bytes);
  if (!memory_read(memory, structure->start, bytes, structure->bytes))
    return 0;
  uint64_t found = 0;
  for (size_t at = 0; at + LOCKS * sizeof(struct lock) <= structure->bytes; at += sizeof(uint64_t)) {
    if (!are_locks(bytes + at))
      continue;
    if (found != 0)
      return 0;
    found = structure->start + at;
  }
  return found;
}

enum { OF_WALKS = 1 };

uint64_t loader_locks_of_walks(uint64_t locks)
{
  return locks + OF_WALKS * sizeof(struct lock);
}

pid_t loader_locks_holder(uint64_t locks, const struct memory *memory)
{
  struct lock both[OF_WALKS + 1];
  if (!memory_read(memory, locks, both, sizeof both))
    return 0;
  return both[0].owner != 0 ? both[0].owner : both[OF_WALKS].owner;
}
