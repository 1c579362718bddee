/* SPDX-License-Identifier: MIT */
/* A thread of another process that does something for us, and then goes on as if nothing had been.
 *
 * It is led away as by a signal (machine.h), by a frame on its own stack: first to map some memory, then to the stub
 * in that memory. It stays on its own stack, so that handlers find there what they expect. Whenever this command is
 * killed, the thread does what it was told to the end, and comes back by itself. What is left then is the memory, and a
 * library that nobody calls.
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
  uint64_t left; /* a room of a thread that has come back by itself; 0: none */
  uint64_t stood_ns;
  int rounds_anew; /* in which a thread was tried whose call begins anew */
};

enum {
  ROOM_BYTES = 512 << 10,
  ROOM_DATA_AT = 64 << 10, /* behind the code, which has pages of its own, however large these are */
};

/* Finds a thread that may be led away now, and holds it. False and *error: none was found in time. */
bool borrowed_take(struct borrowed *borrowed, struct places *places, uint64_t deadline_ns, GError **error);

/* Makes it do a system call. False: the thread is gone, or does not come back from it in time; then it is not held any
 * more, and comes to the end of that by itself. `result` is the kernel's. */
bool borrowed_call(struct borrowed *borrowed, long number, const uint64_t arguments[MACHINE_ARGUMENTS],
                   uint64_t *result);

/* Maps the room, with the stub's code in it. */
bool borrowed_map_room(struct borrowed *borrowed, GError **error);

/* Runs the stub, whose structure is at ROOM_DATA_AT. False and *error: the thread is gone, or the stub does not
 * end; it is not held any more. */
bool borrowed_run(struct borrowed *borrowed, GError **error);

/* Unmaps the room, and lets it go on where it was. Not an error where no thread is held. */
void borrowed_give_back(struct borrowed *borrowed);

/* Finds a thread once more where the one that was led away has come back by itself, so that the room need not stay. */
void borrowed_take_for_room(struct borrowed *borrowed, struct places *places, uint64_t deadline_ns);

/* It was not led anywhere yet, and goes on. */
void borrowed_release(struct borrowed *borrowed);

#endif
