/* SPDX-License-Identifier: MIT */
/* The entry of a function, changed so that its callers come to a hook: its first instructions become a jump there. They
 * are moved to a room nearby, where they run and then jump back behind the change; calling the room calls the function
 * as it was.
 *
 * A function is refused unless all code that it can come to, but by calls, is known, and none of that goes back into
 * what is changed. A call that has to move returns to its old place: no frame lies in the room, which no unwind
 * information tells of, so exceptions pass. That is nothing for a hardware shadow stack (arch_has_shadow_stack). A mark
 * for indirect calls (endbr64) stays the first instruction.
 *
 * Threads: one at a time. Memory: fixed. Failure: a reason, and nothing was changed.
 */
#ifndef HEAPPROF_ENTRY_H
#define HEAPPROF_ENTRY_H

#include "core/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  ENTRY_ROOM_BYTES = 64,
  ENTRY_CHANGED_MAX = 32,         /* bytes of the function */
  ENTRY_REACH_BYTES = 0x7fff0000, /* how far the room may lie from the code, and that from what it addresses */
};

/* All of the code that a function is in, as it is executed. */
struct entry_text {
  const uint8_t *code;
  size_t bytes;
  bool has_no_tables; /* what jumps to a computed address goes to another function */
};

struct entry {
  const uint8_t *function;
  uint8_t changed_at, changed_bytes; /* counted from the start of the function */
  uint8_t moved_bytes;               /* whole instructions, from there */
  uint8_t needed_bytes;              /* from there: must stay as they are where they do not change */
};

/* `bytes`: of the function, as its symbol says. NULL: it can be changed; else why not. */
HIDDEN const char *entry_read(struct entry *entry, const struct entry_text *text, const uint8_t *function,
                              size_t bytes);

/* Does the function call or jump to another one, as far as its own bytes tell? */
HIDDEN bool entry_goes_to(const struct entry_text *text, const uint8_t *function, size_t bytes, const uint8_t *other);

/* Writes the room, which will lie at `room_address`, and the changed bytes, which belong to the function from
 * `changed_at` on. False: something is too far away. */
HIDDEN bool entry_move(const struct entry *entry, const void *hook, uint8_t room[ENTRY_ROOM_BYTES],
                       uintptr_t room_address, uint8_t changed[ENTRY_CHANGED_MAX]);

/* While other threads may be anywhere in the function: only bytes of its first instruction change, so whoever is past
 * it goes on in what it was, and nobody is between two bytes that belong together. A jump that is longer than it ends
 * in the bytes that follow, as they are: these say where it leads to, but for so many bytes as the instruction has to
 * give. There lies a landing, which leads on to the hook. Prefixes that say nothing shift the jump, for other choices.
 */

enum { ENTRY_LANDING_BYTES = 16 };

/* The changed bytes are those of the jump that lie in the first instruction, and within 16 bytes that a processor reads
 * at once. */
HIDDEN const char *entry_read_first(struct entry *entry, const struct entry_text *text, const uint8_t *function,
                                    size_t bytes);

/* Where a landing may begin. */
struct entry_landing {
  uintptr_t lowest;
  size_t span;
};

HIDDEN bool entry_needs_landing(const struct entry *entry);

/* False: there are no more choices. */
HIDDEN bool entry_landing(const struct entry *entry, unsigned choice, struct entry_landing *landing);

HIDDEN void entry_put_landing(uint8_t bytes[ENTRY_LANDING_BYTES], const void *hook);

/* As entry_move; `landing`: what was chosen, if one is needed. */
HIDDEN bool entry_move_first(const struct entry *entry, const void *hook, uint8_t room[ENTRY_ROOM_BYTES],
                             uintptr_t room_address, unsigned choice, uintptr_t landing,
                             uint8_t changed[ENTRY_CHANGED_MAX]);

#endif
