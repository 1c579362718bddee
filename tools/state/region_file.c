/* SPDX-License-Identifier: MIT */
#include "tools/state/region_file.h"

#include "tools/state/mapped_file.h"
#include "tools/state/region_heap.h"
#include "tools/state/region_log.h"

#include <string.h>

/* What REGION_SEGMENTS can hold. */
static const size_t region_bytes_max = (size_t)REGION_FIRST_SEGMENT_BYTES << (REGION_SEGMENTS - 1);

struct region_file {
  struct mapped_file *bytes;
  uint64_t cpu_ns; /* 0: as the header says */
};

static struct region_file *of_mapped(struct mapped_file *bytes)
{
  struct region_file *file = g_new0(struct region_file, 1);
  file->bytes = bytes;
  return file;
}

void region_file_close(struct region_file *file)
{
  if (file == NULL)
    return;
  mapped_file_close(file->bytes);
  g_free(file);
}

static bool begin_once(struct region_file *file, struct region_log *log, size_t *size, GError **error)
{
  const uint8_t *bytes = mapped_file_begin(file->bytes, region_bytes_max, size, error);
  if (bytes == NULL)
    return false;
  if (region_log_open(log, bytes, *size, mapped_file_name(file->bytes), error))
    return true;
  (void)mapped_file_end(file->bytes, NULL);
  return false;
}

/* Begins to read: the header is good. Ends with mapped_file_end if true. The log may have grown since the file was mapped: then
 * so has the file. */
static bool begin(struct region_file *file, struct region_log *log, GError **error)
{
  size_t size = 0, before;
  do {
    if (size > 0 && !mapped_file_end(file->bytes, error))
      return false;
    before = size;
    if (!begin_once(file, log, &size, error))
      return false;
  } while (!log->is_whole && size > before);
  return true;
}

static bool end(struct region_file *file, const struct region_log *log, GError **error)
{
  if (!mapped_file_end(file->bytes, error))
    return false;
  if (region_log_is_hostile(log))
    g_set_error(error, REGION_FILE_ERROR, REGION_ERROR_UNUSABLE,
                "%s is a damaged state file: it is full of records that are none", mapped_file_name(file->bytes));
  return !region_log_is_hostile(log);
}

/* Opening tells whether it is a region at all. */
static struct region_file *checked(struct region_file *file, GError **error)
{
  struct region_log log;
  if (begin(file, &log, error) && mapped_file_end(file->bytes, error))
    return file;
  region_file_close(file);
  return NULL;
}

struct region_file *region_file_open(const char *path, uid_t owner, GError **error)
{
  struct mapped_file *bytes = mapped_file_open(path, owner, error);
  return bytes != NULL ? checked(of_mapped(bytes), error) : NULL;
}

struct region_file *region_file_of_bytes(const void *bytes, size_t size, const char *name, GError **error)
{
  return checked(of_mapped(mapped_file_of_bytes(bytes, size, name)), error);
}

void region_file_set_cpu_ns(struct region_file *file, uint64_t cpu_ns)
{
  file->cpu_ns = cpu_ns;
}

const struct stat *region_file_status(const struct region_file *file)
{
  return mapped_file_status(file->bytes);
}

/* The summary. */

static void copy_text(char *to, const char *from, size_t room)
{
  memcpy(to, from, room);
  to[room] = '\0';
}

static void read_header(const struct region_log *log, struct region_summary *summary)
{
  const struct region_header *header = region_log_header(log);
  summary->pid = (int)header->pid;
  summary->parent_pid = (int)header->parent_pid;
  summary->created_unix_ns = header->created_unix_ns;
  summary->sample_interval_bytes = header->sample_interval_bytes;
  summary->depth = header->depth;
  copy_text(summary->program, header->program, sizeof header->program);
  copy_text(summary->allocator, header->allocator, sizeof header->allocator);
  summary->stacks = atomic_load_explicit(&header->stacks, memory_order_relaxed);
  summary->exact_units = atomic_load_explicit(&header->exact_units, memory_order_relaxed);
  summary->own_bytes = atomic_load_explicit(&header->own_bytes, memory_order_relaxed);
  for (unsigned i = 0; i < REGION_LOSSES; i++)
    summary->lost[i] = atomic_load_explicit(&header->lost[i], memory_order_relaxed);
  summary->lost_samples = summary->lost[LOSS_live_table] + summary->lost[LOSS_region];
  summary->is_whole = log->is_whole;
}

static void add_stack(struct region_summary *summary, const struct stack_sums *sums)
{
  summary->samples += sums->allocated.samples;
  summary->in_use_bytes += (double)sums->in_use.bytes_q4 / 16;
  summary->in_use_objects += (double)sums->in_use.objects_q16 / 65536;
  summary->allocated_bytes += (double)sums->allocated.bytes_q4 / 16;
  summary->allocated_objects += (double)sums->allocated.objects_q16 / 65536;
  summary->in_use_bytes_variance += region_log_variance(sums->in_use.variance_bytes);
}

static uint64_t sampling_ns(const struct region_header *header, uint64_t samples)
{
  double timed = (double)atomic_load_explicit(&header->timed_samples, memory_order_relaxed);
  double ticks = (double)atomic_load_explicit(&header->timed_ticks, memory_order_relaxed);
  double ticks_per_second = (double)atomic_load_explicit(&header->ticks_per_second, memory_order_relaxed);
  if (timed == 0 || ticks_per_second == 0)
    return 0;
  double look_ups = (double)atomic_load_explicit(&header->look_up_ticks, memory_order_relaxed);
  double ns = (ticks / timed * (double)samples + look_ups) / ticks_per_second * 1e9;
  return ns < 1e18 ? (uint64_t)ns : 0;
}

static void summarize(struct region_log *log, struct region_summary *summary)
{
  *summary = (struct region_summary){0};
  read_header(log, summary);
  g_autoptr(GArray) pcs = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  const struct stack_record *stack;
  while ((stack = region_log_next_stack(log, pcs)) != NULL) {
    struct stack_sums sums = region_log_sums(stack);
    add_stack(summary, &sums);
  }
  summary->sampling_ns = sampling_ns(region_log_header(log), summary->samples);
  summary->cpu_ns = atomic_load_explicit(&region_log_header(log)->cpu_ns, memory_order_relaxed);
  int64_t peak = (int64_t)atomic_load_explicit(&region_log_header(log)->peak_bytes_q4, memory_order_relaxed);
  summary->peak_bytes = MAX((double)peak / 16, summary->in_use_bytes);
}

bool region_file_summarize(struct region_file *file, struct region_summary *summary, GError **error)
{
  struct region_log log;
  if (!begin(file, &log, error))
    return false;
  summarize(&log, summary);
  summary->file_bytes = log.end;
  return end(file, &log, error);
}

/* The heap. */

struct heap *region_file_read(struct region_file *file, enum region_moment moment, const char *reason, GError **error)
{
  struct region_log log;
  struct region_summary summary;
  if (!begin(file, &log, error))
    return NULL;
  summarize(&log, &summary);
  if (file->cpu_ns != 0)
    summary.cpu_ns = file->cpu_ns;
  struct heap *heap = region_heap_of_log(&log, &summary, moment, reason, mapped_file_name(file->bytes));
  if (end(file, &log, error))
    return heap;
  heap_free(heap);
  return NULL;
}
