/* SPDX-License-Identifier: MIT */
#include "tools/state/region_summary.h"

#include <string.h>

static void copy_text(char *to, const char *from, size_t room)
{
  memcpy(to, from, room);
  to[room] = '\0';
}

static void read_uncovered(const struct region_header *header, struct region_summary *summary)
{
  summary->uncovered_objects = atomic_load_explicit(&header->uncovered_objects, memory_order_relaxed);
  for (unsigned i = 0; i < UNCOVERED_NAMES; i++)
    if (atomic_load_explicit(&header->uncovered_names[i].state, memory_order_relaxed) == UNCOVERED_IS_WHOLE)
      copy_text(summary->uncovered_names[i], header->uncovered_names[i].text, UNCOVERED_NAME_BYTES);
}

static void read_end(const struct region_header *header, struct region_summary *summary)
{
  uint32_t end = atomic_load_explicit(&header->end, memory_order_relaxed);
  summary->has_ended = (end & REGION_HAS_ENDED) != 0;
  summary->exit_status = (int)(end & 0xff);
  summary->resident_bytes = atomic_load_explicit(&header->resident_bytes, memory_order_relaxed);
  summary->resident_most_bytes = atomic_load_explicit(&header->resident_most_bytes, memory_order_relaxed);
}

/* A file says what it likes: no range goes around the end of memory. */
static void read_places(const struct region_header *header, struct region_summary *summary)
{
  for (unsigned i = 0; i < SEEN_PLACES; i++)
    summary->seen[i] = atomic_load_explicit(&header->seen[i], memory_order_relaxed);
  for (unsigned i = 0; i < OWN_RANGES; i++) {
    uint64_t bytes = atomic_load_explicit(&header->own_ranges[i].bytes, memory_order_relaxed),
             start = atomic_load_explicit(&header->own_ranges[i].start, memory_order_relaxed);
    summary->own_starts[i] = start;
    summary->own_limits[i] = start + MIN(bytes, UINT64_MAX - start);
  }
  for (unsigned i = 0; i < ALLOCATOR_COUNTERS; i++)
    summary->allocator_counters[i] = atomic_load_explicit(&header->allocator_counters[i], memory_order_relaxed);
}

static void read_header(const struct region_log *log, struct region_summary *summary)
{
  const struct region_header *header = &log->header;
  summary->pid = (int)header->pid;
  summary->parent_pid = (int)header->parent_pid;
  summary->origin_pid = (int)header->origin_pid;
  summary->origin_unix_ns = header->origin_unix_ns;
  summary->created_unix_ns = header->created_unix_ns;
  summary->created_boot_ns = header->created_boot_ns;
  summary->pid_namespace = header->pid_namespace;
  summary->sample_interval_bytes = header->sample_interval_bytes;
  summary->depth = header->depth;
  copy_text(summary->program, header->program, sizeof header->program);
  copy_text(summary->allocator, header->allocator, sizeof header->allocator);
  summary->hooks = header->hooks;
  summary->attachments = atomic_load_explicit(&header->attachments, memory_order_relaxed);
  copy_text(summary->command, header->command, sizeof header->command);
  read_end(header, summary);
  summary->stacks = atomic_load_explicit(&header->stacks, memory_order_relaxed);
  summary->exact_units = atomic_load_explicit(&header->exact_units, memory_order_relaxed);
  summary->own_bytes = atomic_load_explicit(&header->own_bytes, memory_order_relaxed);
  uint64_t log_end = atomic_load_explicit(&header->log_end, memory_order_relaxed);
  summary->own_unused_bytes = MIN(region_unused_bytes(header->first_segment_bytes, log_end), summary->own_bytes);
  for (unsigned i = 0; i < REGION_LOSSES; i++)
    summary->lost[i] = atomic_load_explicit(&header->lost[i], memory_order_relaxed);
  summary->lost_samples = summary->lost[LOSS_live_table] + summary->lost[LOSS_region];
  read_uncovered(header, summary);
  read_places(header, summary);
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

/* Of the units that were allocated. A sum that somebody made up may be anything. */
static uint64_t told_by_stacks(const struct region_summary *summary)
{
  double units = summary->allocated_bytes + summary->allocated_objects;
  return units < 0x1p63 ? (uint64_t)(units + 0.5) : 0;
}

const char *region_summary_since(const struct region_summary *summary)
{
  if (summary->attachments == 0)
    return NULL;
  return summary->attachments == 1 ? REGION_SINCE_ATTACH : REGION_SINCE_ATTACHES;
}

double region_summary_rounding(const struct stack_record *stack)
{
  uint32_t share_q16 = atomic_load_explicit(&stack->rounding_q16, memory_order_relaxed);
  return share_q16 > 0 ? (share_q16 - 1) * 0x1p-16 : 0;
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

void region_summary_read(struct region_log *log, struct region_summary *summary)
{
  *summary = (struct region_summary){0};
  read_header(log, summary);
  g_autoptr(GArray) pcs = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  struct peak_moments moments = peak_moments(&log->header);
  const struct stack_record *stack;
  while ((stack = region_log_next_stack(log, pcs)) != NULL) {
    struct stack_sums sums = tally_read(&stack->allocated, &stack->freed);
    add_stack(summary, &sums);
    summary->rounding_bytes += (double)sums.in_use.bytes_q4 / 16 * region_summary_rounding(stack);
    summary->peak_bytes += (double)peak_read(stack, &moments).bytes_q4 / 16;
  }
  if (summary->sample_interval_bytes == 1)
    summary->exact_units += told_by_stacks(summary);
  if (peak_is_now(&moments, summary->in_use_bytes, summary->peak_bytes))
    summary->peak_bytes = summary->in_use_bytes;
  /* Never goes back; and a total that has just passed the peak may be read before it. */
  if (moments.is_whole)
    summary->peak_bytes = MAX((double)moments.peaks[0] / 16, summary->in_use_bytes);
  summary->sampling_ns = sampling_ns(&log->header, summary->samples);
  summary->cpu_ns = atomic_load_explicit(&log->header.cpu_ns, memory_order_relaxed);
  int64_t inherited = (int64_t)atomic_load_explicit(&log->header.inherited_bytes_q4, memory_order_relaxed);
  summary->inherited_bytes = (double)MAX(inherited, 0) / 16;
  summary->file_bytes = log->end;
}
