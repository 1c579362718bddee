/* SPDX-License-Identifier: MIT */
/* A thread of another process that does something for us, and then goes on as if nothing had been.
 *
 * It is led away as by a signal (machine.h): first to map some memory, by a frame on its own stack; then, in that
 * memory, to the stub, on a stack of its own. Whenever this command is killed, the thread does what it was told to the
 * end, and comes back by itself. What is left then is the memory, and a library that nobody calls.

 */
#ifndef HEAPPROF_BORROWED_H
#define HEAPPROF_BORROWED_H

#include "core/attachment.h"
#include "tools/attach/image.h"
#include "tools/attach/machine.h"
#include "tools/attach/places.h"

struct borrowed {
  pid_t thread;
  struct memory *memory;
  struct machine_state state;
  uint64_t frame; /* on its own stack */
  uint64_t call_code, restore_code;
  uint64_t room; /* memory that was mapped; 0: none */
  uint64_t stood_ns;
};

enum {
  ROOM_BYTES = 512 << 10,
  ROOM_DATA_AT = 64 << 10, /* behind the code, which has pages of its own, however large these are */
};

/* Finds a thread that may be led away now, and holds it. False and *error: none was found in time. */
bool borrowed_take(struct borrowed *borrowed, struct places *places, GError **error);

/* Makes it do a system call. False: the thread is gone. `result` is the kernel's. */
bool borrowed_call(struct borrowed *borrowed, long number, const uint64_t arguments[MACHINE_ARGUMENTS],
                   uint64_t *result);

/* Maps the room, with the stub's code in it. */
bool borrowed_map_room(struct borrowed *borrowed, GError **error);

/* Runs the stub, whose structure is at ROOM_DATA_AT; `at_moment` when it is there. False and *error: the thread is
 * gone, or the stub does not end; then it was let go on. */
typedef void borrowed_moment(void *context);
bool borrowed_run(struct borrowed *borrowed, borrowed_moment *at_moment, void *context, GError **error);

/* Unmaps the room, and lets it go on where it was. */
void borrowed_give_back(struct borrowed *borrowed);

#endif
