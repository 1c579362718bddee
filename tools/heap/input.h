/* SPDX-License-Identifier: MIT */
/* The bytes of a file that is said to be a profile: read whole, inflated, limited in size; and what a file is instead.
 *
 * Failure: NULL and *error, which says what the file is instead of a profile.
 */
#ifndef HEAPPROF_INPUT_H
#define HEAPPROF_INPUT_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define INPUT_ERROR g_quark_from_static_string("heapprof-input")

enum { INPUT_STATE_MAGIC_BYTES = 8 };

/* Everything in the file ("-": standard input), as it is stored. NULL and *error: cannot be read, a directory,
 * empty, or more than limit_bytes. */
GByteArray *input_read(const char *path, size_t limit_bytes, GError **error);

/* What the bytes of one or more gzip members inflate to. However well they are packed, no more than limit_bytes of
 * memory are used: more is an error. */
GByteArray *input_inflate(const uint8_t *bytes, size_t size, size_t limit_bytes, const char *name, GError **error);
bool input_is_gzip(const uint8_t *bytes, size_t size);

/* "an HTML page": what these bytes are, judged by how they begin. NULL: nothing known, perhaps a profile. */
const char *input_kind(const uint8_t *bytes, size_t size);

/* Do they begin as the state of a process does? */
bool input_is_state(const uint8_t *bytes, size_t size);

#endif
