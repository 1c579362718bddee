/* SPDX-License-Identifier: MIT */
/* attach/: a process that has been running gets the library, or its hooks taken off, by ptrace. Nothing that the
 * process says is believed but for what its own thread then does with it. One thread; failures are false or NULL and
 * *error, one line that names the process.
 *
 * The moments at which a kill of this command must not harm the process: a test kills it at each.
 */
#ifndef HEAPPROF_MOMENTS_H
#define HEAPPROF_MOMENTS_H

/* Here the process is about to be changed, or just was. HEAPPROF_ATTACH_DIE_AT=N ends this command, by SIGKILL, at the
 * N-th. */
void moment_passes(void);

#endif
