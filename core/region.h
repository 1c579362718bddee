/* SPDX-License-Identifier: MIT */
/* The state region: what this process knows about its heap, in memory that outlives it and that others can read.
 *
 * One sparse file, mapped shared: a header, then a log of records that are appended and never moved. The layout is described
 * in docs/region-format.md. Without a usable directory the same layout lives in private memory.
 *
 * The file is mapped in segments: the first REGION_FIRST_SEGMENT_BYTES, then pieces that each double what is there. Blocks are
 * reserved on the file system before they are touched, because touching a page of a full tmpfs raises SIGBUS.
 *
 * Threads: everything but region_create may be called from any thread at any time, signal handlers included; nothing waits
 * longer than about a millisecond. Fork: a child must call region_adopt before it writes. Failure: NULL or false, and the
 * caller counts the loss. errno is kept.
 */
#ifndef HEAPPROF_REGION_H
#define HEAPPROF_REGION_H

#include "core/config.h"
#include "core/lock.h"
#include "core/losses.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGION_MAGIC "HEAPPROF"

enum {
  REGION_VERSION = 1,
  REGION_HEADER_BYTES = 4096,
  REGION_FIRST_SEGMENT_BYTES = 32 << 10, /* 256 KiB cost every short process 0.1 ms */
  REGION_SEGMENTS = 15,                  /* 512 MiB in all */
  REGION_GRANULE_BYTES = 16,
  REGION_LOSSES = 16,
};

/* Sums over the samples of one kind of event. Every field only grows. Writers: any thread of the owner. */
struct tally {
  _Atomic uint64_t begun;       /* events whose sums may be partly in */
  _Atomic uint64_t objects_q16; /* estimated objects, in 1/65536 */
  _Atomic uint64_t bytes_q4;    /* estimated bytes, in 1/16 */
  _Atomic double variance_objects;
  _Atomic double variance_bytes; /* bytes squared */
  _Atomic uint64_t ended;        /* events whose sums are all in; equal to begun: the sums agree with each other */
};

/* What a stack held when all stacks together held the most so far (core/peak.h). Two of them a stack: while one is written, by a
 * thread that may stand still for long, the other one serves. Writers: any thread of the owner that claims it. */
struct peak {
  _Atomic uint64_t stamp; /* peak_bytes_q4 of the peak it is of; with PEAK_IS_WRITTEN, not whole yet */
  _Atomic uint64_t objects_q16;
  _Atomic uint64_t bytes_q4;
  _Atomic double variance_objects;
  _Atomic double variance_bytes;
};

enum { PEAK_SLOTS = 2 };
#define PEAK_IS_WRITTEN (1ull << 63)

struct region_header {
  /* Written by the owner before the file gets readable, constant after. */
  char magic[8];
  uint32_t version;
  uint32_t header_bytes;
  uint64_t first_segment_bytes;
  uint32_t pid;
  uint32_t parent_pid; /* of an adopted region: the process it was copied from, else 0 */
  uint64_t created_unix_ns;
  uint64_t sample_interval_bytes;
  uint32_t depth;
  uint32_t reserved;
  char program[64];
  char allocator[256]; /* path of the object that provides malloc */

  /* Writers: any thread of the owner. */
  _Atomic uint64_t log_end;     /* first byte never reserved */
  _Atomic uint64_t file_end;    /* the log goes on in private memory behind this; 0: there is no file */
  _Atomic uint64_t exact_units; /* bytes allocated, plus one for each allocation, within one interval per thread */
  _Atomic uint64_t lost[REGION_LOSSES]; /* by enum loss */
  _Atomic uint64_t own_bytes;           /* mapped by the shim beyond its own image */
  _Atomic uint64_t timed_samples;       /* samples that were timed ... */
  _Atomic uint64_t timed_ticks;         /* ... and how many ticks of the time-stamp counter they took */
  _Atomic uint64_t ticks_per_second;
  _Atomic uint64_t stacks;
  _Atomic uint64_t in_use_bytes_q4; /* of all stacks, estimated, in 1/16 bytes */
  _Atomic uint64_t peak_bytes_q4;   /* the highest value of in_use_bytes_q4 so far */
  _Atomic uint64_t look_up_ticks;   /* what frees of samples took, estimated from some of them */
  _Atomic uint64_t cpu_ns;          /* processor time of the process, when it last wrote a profile or was asked */

  uint64_t
      pid_namespace; /* inode of the one that pid counts in; 0: not known. By the owner, before the file gets readable */
};

enum region_record_type {
  REGION_RECORD_STACK = 1,
  REGION_RECORD_MODULE = 2,
};

/* Every record starts with this. `tag` is stored last: a record without it was never finished. A reader also checks `hash`,
 * so that the inside of an unfinished record cannot pass for one. */
struct region_record {
  _Atomic uint32_t tag;     /* REGION_RECORD_TAG | type */
  uint32_t size_bytes;      /* with this header, a multiple of REGION_GRANULE_BYTES */
  uint32_t constant_offset; /* the part of the record that never changes once published: ... */
  uint32_t constant_words;  /* ... so many 64-bit words from that offset on */
  uint64_t hash;            /* region_hash_words of that part */
};

#define REGION_RECORD_TAG 0x48500000u

/* Creates the region of this process. Not for hooks. False: there is not even private memory. */
bool region_create(const struct config *config, const char *program, const char *allocator);

/* Gives a forked child its own region: the parent's records, with tallies at zero. The addresses and positions of all
 * records stay as they are. Call in the child, by one thread, before it writes. False: the child has no region. */
bool region_adopt(const struct config *config);

/* Lets others read an adopted region: its tallies are right now. */
void region_announce(void);

/* At the start: removes what the program left that this process was before exec. Makes nothing. */
void region_remove_from_before_exec(const struct config *config);

/* Removes the file. The mapping stays: threads may still be counting. */
void region_remove_file(void);

/* "" without a file. */
const char *region_path(void);

/* Does the file hold the whole log, and is it still there under its name? */
bool region_is_in_file(void);

/* NULL before region_create. */
struct region_header *region_header(void);

/* Room for a record of `size_bytes`, zeroed; NULL when there is none. Fill it in, then publish. */
struct region_record *region_reserve(size_t size_bytes, uint32_t *granule);
void region_publish(struct region_record *record, enum region_record_type type, const uint64_t *constant, size_t words,
                    uint64_t hash);

/* The record at a position that region_reserve gave. */
struct region_record *region_at(uint32_t granule);

/* Visits published records in order; NULL at the end. Start with *position = 0. Reads only what is mapped, whatever the
 * sizes in the log say. */
struct region_record *region_next(uint64_t *position, enum region_record_type type);

void region_lose(enum loss loss);
void region_add_own_bytes(uint64_t bytes);

/* Taken by the fork handlers, so that no fork happens while a file is open for growth. */
extern struct lock region_growth_lock;

/* The hash of records: xor, multiply, shift, a word at a time. Not meant to withstand an attacker. */
uint64_t region_hash_words(const uint64_t *words, size_t count);

#endif
