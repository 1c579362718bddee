/* SPDX-License-Identifier: MIT */
/* The layout of the state file, for its writer and its readers (docs/region-format.md): a header, then records of
 * stacks and modules. Nothing of how a process maps it. What changes here is a new REGION_VERSION.
 *
 * Threads: fields say who writes them; what is not atomic is constant once others can see it.
 */
#ifndef HEAPPROF_REGION_FORMAT_H
#define HEAPPROF_REGION_FORMAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REGION_MAGIC "HEAPPROF"

/* Allocators of the executable that have hooks at the entries of their functions, and, further up, those that have not
 * because these could not be changed. */
enum region_hooks {
  REGION_HOOKS_OWN = 1, /* the one that the program calls by the usual names */
  REGION_HOOKS_JE = 2,
  REGION_HOOKS_RJEM = 4,
  REGION_HOOKS_TC = 8,
  REGION_HOOKS_MI = 16,
  REGION_HOOKS_UNEXPORTED = 32, /* usual names, which only the executable's own code uses */
  REGION_HOOKS_REFUSED_SHIFT = 16,
};

/* What people read of a process that was attached to once, or again after it was detached from. */
#define REGION_SINCE_ATTACH "attach; what was allocated before is not in use here"
#define REGION_SINCE_ATTACHES REGION_SINCE_ATTACH ", what was freed while it was detached still is"

enum {
  REGION_VERSION = 2,
  REGION_HEADER_BYTES = 2976,
  REGION_FIRST_SEGMENT_BYTES = 16 << 10, /* each page costs a process 2.5 us, if it needs it or not */
  REGION_SEGMENTS = 16,                  /* 512 MiB in all */
  REGION_GRANULE_BYTES = 16,
  REGION_LOSSES = 16,
  HALVES = 2,
  UNCOVERED_NAMES = 6,
  UNCOVERED_NAME_BYTES = 60,
  MODULE_BUILD_ID_MAX = 32,
  COMMAND_BYTES = 1024,
  SEEN_PLACES = 64,
  SEEN_REACH = 8,
  SEEN_AREA_BITS = 21,
  OWN_RANGES = 16,
  ALLOCATOR_COUNTERS = 6,
};

/* An object that allocates past the profiler (interpose/uncovered.h). Writer: the thread that claims it. */
struct uncovered_name {
  _Atomic uint32_t state; /* the text counts when it is UNCOVERED_IS_WHOLE */
  char text[UNCOVERED_NAME_BYTES];
};

/* See core/peak.h. */
struct half_total {
  _Atomic uint64_t in_use_bytes_q4; /* estimated, in 1/16 bytes; below 0 counts as 0; may be too high: lanes/spares.h */
  _Atomic uint64_t peak_bytes_q4;   /* the highest value that ever had; with PEAK_IS_OVER, something was freed since */
};

/* What the shim has mapped. Writer: the thread that claims it. */
struct own_range {
  _Atomic uint64_t start;
  _Atomic uint64_t bytes; /* 0: not yet */
};

/* What the allocator says of itself, in bytes, in the words of jemalloc's "stats". */
enum allocator_counter {
  COUNTER_allocated,
  COUNTER_active,
  COUNTER_metadata,
  COUNTER_resident,
  COUNTER_mapped,
  COUNTER_retained,
};

enum { UNCOVERED_IS_EMPTY, UNCOVERED_IS_WRITTEN, UNCOVERED_IS_WHOLE };

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
  uint32_t hooks; /* enum region_hooks; others are not known here */
  char program[64];
  char allocator[256]; /* path of the object that provides malloc */

  /* Writers: any thread of the owner. */
  _Atomic uint64_t log_end;  /* first byte never reserved */
  _Atomic uint64_t file_end; /* the log goes on in private memory behind this; 0: there is no file */
  /* Bytes allocated, plus one for each allocation, within one interval per thread; with an interval of 1, only what no
   * tally of a stack tells. */
  _Atomic uint64_t exact_units;
  _Atomic uint64_t lost[REGION_LOSSES]; /* by enum loss */
  _Atomic uint64_t own_bytes;           /* mapped by the shim beyond its own image */
  _Atomic uint64_t timed_samples;       /* samples that were timed ... */
  _Atomic uint64_t timed_ticks;         /* ... and how many ticks of the machine's clock they took */
  _Atomic uint64_t ticks_per_second;
  _Atomic uint64_t stacks;
  uint64_t reserved_too;
  /* By the owner: how often somebody attached to it; 0: it was started with the library. */
  _Atomic uint64_t attachments;
  _Atomic uint64_t look_up_ticks; /* time spent in frees of samples, estimated from some of them */
  _Atomic uint64_t cpu_ns;        /* processor time of the process, when it last wrote a profile or was asked */

  /* By the owner before the file gets readable: the inode of the namespace that pid counts in; 0: not known. */
  uint64_t pid_namespace;

  /* By the owner before the file gets readable: when, by CLOCK_BOOTTIME, which nobody sets. */
  uint64_t created_boot_ns;

  /* Any thread of the owner. */
  _Atomic uint64_t uncovered_objects; /* of different names, as long as there is room for these */
  struct uncovered_name uncovered_names[UNCOVERED_NAMES];

  /* By the owner before the file gets readable: which process all that a forked child has goes back to: the first one
   * after exec, by `pid` and `created_unix_ns` of its region. 0: this is it. */
  uint64_t origin_unix_ns;
  uint32_t origin_pid;

  /* By the owner, when its end is seen: REGION_HAS_ENDED and the status; 0: it runs, or was killed. */
  _Atomic uint32_t end;

  /* By who writes a profile, and at the end; 0: not known. */
  _Atomic uint64_t resident_bytes;
  _Atomic uint64_t resident_most_bytes;

  /* Any thread of the owner: how many estimated bytes in use, in 1/16, a forked child has from its parent. */
  _Atomic uint64_t inherited_bytes_q4;

  /* By the owner before the file gets readable: its arguments, with spaces between them. */
  char command[COMMAND_BYTES];
  uint64_t reserved_as_well[5];

  /* Any thread of the owner. What the samples of each half stand for, over all stacks; with an interval of 1, the first
   * is of all samples. */
  struct half_total halves[HALVES];

  /* Any thread of the owner: addresses of samples, each the latest of an area of 2 MiB. Whoever adds up
   * resident memory from outside learns from them which mappings are the allocator's. */
  _Atomic uint64_t seen[SEEN_PLACES];

  /* Any thread of the owner: the first mappings of the shim; own_range_count: how many there are, also where there is
   * no room for them. */
  _Atomic uint64_t own_range_count;
  struct own_range own_ranges[OWN_RANGES];

  /* By who writes a profile where the allocator may be asked; 0 all: not known. */
  _Atomic uint64_t allocator_counters[ALLOCATOR_COUNTERS];
};

/* What every header has. Of one that ends between here and the end of the structure the rest counts as 0. */
#define REGION_HEADER_LEAST_BYTES offsetof(struct region_header, seen)

/* Where the address of a sample is kept: there, or in one of the next places. */
static inline unsigned region_seen_place(uint64_t address)
{
  enum { HASH_BITS = 32, PLACE_BITS = 6 };
  _Static_assert(SEEN_PLACES == 1 << PLACE_BITS, "a place for every value of the hash");
  return (uint32_t)(address >> SEEN_AREA_BITS) * 0x9e3779b1u >> (HASH_BITS - PLACE_BITS);
}

/* Of addresses in one area the latest is kept. */
static inline bool region_is_seen_together(uint64_t one, uint64_t other)
{
  return (one ^ other) >> SEEN_AREA_BITS == 0;
}

#define REGION_HAS_ENDED 0x100u

/* What is reserved behind the end of the log, where nothing was written yet: segments double, each in the last quarter
 * of those before. */
static inline uint64_t region_unused_bytes(uint64_t first_segment_bytes, uint64_t log_end)
{
  uint64_t reserved = first_segment_bytes;
  for (unsigned segment = 1; segment < REGION_SEGMENTS && reserved - reserved / 4 < log_end; segment++)
    reserved *= 2;
  return reserved > log_end ? reserved - log_end : 0;
}

/* Records. */

enum region_record_type {
  REGION_RECORD_STACK = 1,
  REGION_RECORD_MODULE = 2,
  REGION_RECORD_MAPPED = 3, /* a struct stack_record, of what was mapped there */
  REGION_RECORD_RANGES = 4,
};

/* Every record starts with this. `tag` is stored last: a record without it was never finished. A reader also checks
 * `hash`, so that the inside of an unfinished record cannot pass for one. */
struct region_record {
  _Atomic uint32_t tag;     /* REGION_RECORD_TAG | type */
  uint32_t size_bytes;      /* with this header, a multiple of REGION_GRANULE_BYTES */
  uint32_t constant_offset; /* the part of the record that never changes once published: ... */
  uint32_t constant_words;  /* ... so many 64-bit words from that offset on */
  uint64_t hash;            /* region_hash_words of that part */
};

#define REGION_RECORD_TAG 0x48500000u

/* The hash of records: xor, multiply, shift, a word at a time. Not meant to withstand an attacker. */
static inline uint64_t region_hash_words(const uint64_t *words, size_t count)
{
  uint64_t hash = 0xcbf29ce484222325u ^ count;
  for (size_t i = 0; i < count; i++)
    hash = (hash ^ words[i]) * 0x9fb21c651e98df25u, hash ^= hash >> 29;
  return hash;
}

/* Stacks. */

/* Sums over the samples of one kind of event. Every field only grows. Writers: any thread of the owner. */
struct tally {
  _Atomic uint64_t begun;       /* events whose sums may be partly in */
  _Atomic uint64_t objects_q16; /* estimated objects, in 1/65536 */
  _Atomic uint64_t bytes_q4;    /* estimated bytes, in 1/16 */
  _Atomic double variance_objects;
  _Atomic double variance_bytes; /* bytes squared */
  _Atomic uint64_t ended;        /* events whose sums are all in; equal to begun: the sums agree with each other */
};

/* What a stack held at a peak (core/peak.h). There are two of each: while one is written, by a thread that may stand
 * still for long, the other one serves. Writers: any thread of the owner that claims it. */
struct peak {
  _Atomic uint64_t stamp; /* peak_bytes_q4 of the peak it is of; with PEAK_IS_WRITTEN, not whole yet */
  _Atomic uint64_t objects_q16;
  _Atomic uint64_t bytes_q4;
  _Atomic double variance_bytes;
};

enum { PEAK_SLOTS = 2 };
#define PEAK_IS_WRITTEN (1ull << 63)
#define PEAK_IS_OVER (1ull << 62)

/* What the samples of one half stand for in one stack. Writers: any thread of the owner. With an interval of 1, only
 * the peaks of the first are used. */
struct stack_half {
  _Atomic uint64_t bytes_q4; /* in use */
  _Atomic double variance_bytes;
  struct peak peaks[PEAK_SLOTS]; /* of the other half; with an interval of 1, of all samples */
};

enum stack_flag {
  STACK_TRUNCATED = 1,      /* the outermost frames are missing */
  STACK_FRAME_POINTERS = 2, /* some frame was found by its frame pointer alone */
  STACK_TABLE_FULL = 4,     /* stands for all stacks that found no room */
  STACK_INHERITED = 8,      /* of a forked child: what the parent allocated */
  STACK_MAPPED = 16,        /* in a REGION_RECORD_MAPPED: it mapped memory itself */
  STACK_RESERVED = 32,      /* the same, with no access to it */
  STACK_CUT_SHIFT = 8,      /* with STACK_TRUNCATED: why, from here on (core/cuts.h) */
  STACK_CUT_MASK = 0xff00,
  STACK_OWN = 0x10000, /* what some threads counted apart, of a stack that has another record, too (core/lanes) */
};

struct stack_record {
  struct region_record record;
  uint32_t flags; /* enum stack_flag; constant */
  /* What the allocator gave beyond what was asked for, as a share of that: 1 + 65536 times the mean of some samples; 0:
   * not known. Any thread of the owner; an update may get lost. */
  _Atomic uint32_t rounding_q16;
  struct tally allocated;
  struct tally freed;
  struct stack_half halves[HALVES];
  uint64_t pcs[]; /* innermost first, record.constant_words of them; each inside the calling instruction */
};

/* Modules. */

/* One executable segment of a loaded object. Addresses are those that stacks hold: where the object lay when it
 * was first recorded, or, if another one had been recorded there, a range that no process uses. */
struct module_record {
  struct region_record record;
  _Atomic uint32_t is_unloaded; /* at the moment; writer: the owner, under modules_lock */
  uint32_t reserved;
  /* From here on constant. */
  uint64_t start; /* page-aligned */
  uint64_t limit;
  uint64_t file_offset; /* of `start` */
  uint64_t bias;        /* address minus the address in the ELF file */
  uint32_t is_main;
  uint32_t build_id_bytes;
  uint8_t build_id[MODULE_BUILD_ID_MAX];
  char path[]; /* terminated, padded to whole words */
};

/* Mapped ranges. */

/* A range in one word: its first page, how many there are, and whether some thread is changing it; 0: none. Of pages of
 * 4 KiB, whatever the machine's are. */
enum { RANGE_PAGE_SHIFT = 12, RANGE_START_SHIFT = 28, RANGE_PAGES_MAX = (1 << 27) - 1, RANGE_START_BITS = 36 };
#define RANGE_IS_BUSY 1ull

static inline uint64_t range_word(uint64_t first_page, uint64_t pages)
{
  return first_page << RANGE_START_SHIFT | pages << 1;
}

static inline uint64_t range_first(uint64_t word)
{
  return word >> RANGE_START_SHIFT;
}

static inline uint64_t range_pages(uint64_t word)
{
  return word >> 1 & RANGE_PAGES_MAX;
}

/* One of the table's (core/mappings/mapping_table.h). Writer: the thread that has made it busy there. `range` is 0
 * while `stack` changes. */
struct mapped_range {
  _Atomic uint64_t range;
  _Atomic uint64_t stack; /* granule of the REGION_RECORD_MAPPED */
};

enum { RANGES_IN_RECORD = 64 };

struct ranges_record {
  struct region_record record;
  uint32_t count; /* constant: RANGES_IN_RECORD */
  uint32_t reserved;
  struct mapped_range ranges[];
};

#endif
