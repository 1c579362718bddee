/* SPDX-License-Identifier: MIT */
/* Threads of another process that are stopped and let go on. Should this command end, the kernel lets all go on.
 *
 * Failure: false: the thread is gone, or does not stop in time.
 */
#ifndef HEAPPROF_TRACING_H
#define HEAPPROF_TRACING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Of anybody at all? Tried with a child of ours. With errno. */
bool tracing_is_allowed(void);

/* Since when tracing_seize asks the kernel; 0: it does not. Also of a child, once tracing_share was called before. */
bool tracing_share(void);
uint64_t tracing_asks_since_ns(void);

/* Nothing stops yet. One that is watched is asked no more. With errno. */
bool tracing_seize(pid_t thread);

/* It stands still, as tracing_wait_stopped found it. A call that it waited in begins anew, where that may be. */
void tracing_release(pid_t thread);

/* It has not stopped yet, or for a signal, which must not get lost: it is released as soon as it has. tracing_end waits
 * for these. */
void tracing_release_later(pid_t thread);
void tracing_end(uint64_t deadline_ns);

/* As tracing_release; but it stays ours until a signal comes to it, or this command ends, which it does not notice. So
 * it is known, without another stop, that it has entered no handler since. Whoever asked before whether a signal is
 * pending knows of that as well. A few only: any other is released. */
void tracing_watch(pid_t thread);
bool tracing_watches(pid_t thread);
bool tracing_was_quiet(pid_t thread);
/* It stands still, and is ours as if it had never been watched. */
void tracing_end_watch(pid_t thread);

/* Whatever comes to a thread that is ours is seen to in time: nobody waits in any other way. */
void tracing_pause(uint64_t nanoseconds);
/* Until one of them stops, or a millisecond. */
void tracing_wait_a_little(void);

/* Asks it to stop; whatever signals come meanwhile are delivered. */
bool tracing_interrupt(pid_t thread);
bool tracing_wait_stopped(pid_t thread, uint64_t deadline_ns);
enum tracing_stop { TRACING_NOT_YET, TRACING_STOPPED, TRACING_GONE };
enum tracing_stop tracing_look_stopped(pid_t thread);

/* Lets it go on to the next system call, and waits until it is there, before it or behind it. Who gave up waiting may
 * wait again. */
bool tracing_go_on_to_call(pid_t thread);
bool tracing_wait_call(pid_t thread, uint64_t deadline_ns);

/* Lets it go on; then, again and again: whatever signals come are delivered. A moment passes. */
bool tracing_go_on(pid_t thread);
bool tracing_let_run(pid_t thread);

/* From wherever it stands, before it does anything else, to where an interruption leaves it. */
bool tracing_settle(pid_t thread, uint64_t deadline_ns);

uint64_t tracing_now_ns(void);

#endif
