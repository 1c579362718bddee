/* SPDX-License-Identifier: MIT */
/* A program that is run in our place, as if we were not there: it stays in our process group and on our terminal, has
 * our standard streams, and the signal dispositions and mask that we were started with. Signals that others send to us
 * reach it; those that the terminal sends to all of us it gets by itself. When it is stopped, so are we.
 *
 * Threads: from the only one. Memory: none but the stack. One child at a time.
 */
#ifndef HEAPPROF_CHILD_H
#define HEAPPROF_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct child_program {
  const char *path; /* has a slash */
  bool is_text;     /* without a first line that says otherwise it is for the shell */
  char *const *arguments, *const *environment;
};

/* Call first: from now on processes of ours can be waited for, whatever we were started with. */
void child_prepare(void);

/* Starts the program; all signals to us are held back from now on. Descriptors 0 and 1 are closed in us, so that pipes
 * end when the program says so. 0: *number is why it could not be executed. */
pid_t child_start(const struct child_program *program, int *number);

/* Becomes the program: does not return but for failure, which is the result. */
int child_become(const struct child_program *program);

struct child_end {
  int wait_status;
  uint64_t resident_bytes; /* the most that it, or a process that it waited for, had in memory at a time */
};

/* Passes signals on until the program has ended. `idle` is called about as often as that, and when some other process
 * of ours has changed its state. */
struct child_end child_wait(pid_t program, int idle_ms, void (*idle)(void *context), void *context);

/* Waits for one of `signals`, which are held back, and for SIGCHLD. The number; 0 after so many milliseconds. The keys
 * that stop a program work meanwhile. */
int child_wait_for_signal(const sigset_t *signals, int milliseconds);

#endif
