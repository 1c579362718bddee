/* SPDX-License-Identifier: MIT */
/* What `heapprof recording` prints: heapprof-record is executed, which alone knows SQLite, and which meets what a
 * hostile recording may do. It ends when we do.
 *
 * Failure: NULL and *error, the line that it said.
 */
#ifndef HEAPPROF_RECORDED_PROGRAM_H
#define HEAPPROF_RECORDED_PROGRAM_H

#include <glib.h>

/* `options`: ends with NULL. */
GByteArray *recorded_program_output(const char *const *options, const char *path, GError **error);

#endif
