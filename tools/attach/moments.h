/* SPDX-License-Identifier: MIT */
/* attach/: a process that has been running gets the library, or its hooks taken off, by ptrace. Nothing that the
 * process says is believed but for what its own thread then does with it. One thread; failures are false or NULL and
 * *error, one line that names the process.
 *
 * The moments at which a kill of this command must not harm the process, and nothing may stop it: a test does so at
 * each, or lets the command be late. Besides, what a test of a refusal need not wait for.
 */
#ifndef HEAPPROF_MOMENTS_H
#define HEAPPROF_MOMENTS_H

#include <stdbool.h>

/* Here the process is about to be changed, or just was. HEAPPROF_ATTACH_DIE_AT=N ends this command, by SIGKILL, at the
 * N-th; HEAPPROF_ATTACH_STOP_AT=N tells it to stop, as Ctrl-Z does; HEAPPROF_ATTACH_HOLD_AT=N stops whoever traces at
 * once, by SIGSTOP, as one that gets no processor. */
void moment_passes(void);

/* Here all threads were looked at, and none is borrowed yet. HEAPPROF_ATTACH_HOLD_AHEAD=N: as above. */
void moment_is_ahead(void);

/* Is what was just begun not waited for? After the moment HEAPPROF_ATTACH_LATE_AT. */
bool moment_is_too_late(void);

/* Is it given up after so many looks, before the time for it is over? HEAPPROF_ATTACH_LOOKS. */
bool moment_is_last_look(int looks);

#endif
