/* SPDX-License-Identifier: MIT */
/* Writes a profile as gzip'd profile.proto (docs: the public pprof format).
 *
 * The message is packed piece by piece (protobuf joins repeated fields), so memory does not grow with the profile.
 * protobuf-c only packs, into buffers of the arena, and zlib gets an allocator on it: neither calls malloc.
 *
 * Threads: one at a time. Signals: safe. Stack: about 4 KiB. Failure: -errno of the writer, or -ENOMEM.
 */
#ifndef HEAPPROF_PPROF_H
#define HEAPPROF_PPROF_H

#include "core/arena.h"
#include "core/profile.h"
#include "core/writer.h"

int pprof_write(const struct profile *profile, struct writer *writer, struct arena *arena);

#endif
