/* SPDX-License-Identifier: MIT */
#include "tools/live/pulse.h"

#include "tools/live/moment.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void pulses_append(GByteArray *bytes, const struct pulse *pulse, const void *moment)
{
  g_byte_array_append(bytes, (const guint8 *)pulse, sizeof *pulse);
  if (pulse->moment_bytes > 0)
    g_byte_array_append(bytes, moment, pulse->moment_bytes);
}

/* 0: it has ended meanwhile. */
static double resident_bytes(int pid)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/statm", pid), *text = NULL;
  long total_pages, pages;
  if (!g_file_get_contents(path, &text, NULL, NULL) || sscanf(text, "%ld %ld", &total_pages, &pages) != 2)
    return 0;
  return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

static double total(const struct heap *heap, uint32_t type)
{
  double sum = 0;
  for (uint32_t i = 0; i < heap->samples->len; i++)
    sum += (double)heap_values(heap, i)[type];
  return sum;
}

/* Sums are those of the moment: what owners have adds up to them. */
static void append_target(GByteArray *bytes, const struct target *target)
{
  struct heap *heap = target_read(target, REGION_NOW, "serve", NULL);
  if (heap == NULL) /* it has ended meanwhile */
    return;
  g_autoptr(GBytes) moment = moment_of(heap);
  gsize size = g_bytes_get_size(moment);
  struct pulse pulse = {.time_unix_ns = heap->time_unix_ns,
                        .created_unix_ns = target->summary.created_unix_ns,
                        .in_use_bytes = total(heap, MOMENT_IN_USE),
                        .allocated_bytes = total(heap, MOMENT_ALLOCATED),
                        .resident_bytes = resident_bytes(target->pid),
                        .pid = target->pid,
                        .moment_bytes = size <= PULSE_MOMENT_BYTES_MAX ? (uint32_t)size : 0};
  pulses_append(bytes, &pulse, g_bytes_get_data(moment, NULL));
  heap_free(heap);
}

int64_t pulses_cpu_us(void)
{
  struct timespec time;
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return (int64_t)time.tv_sec * G_USEC_PER_SEC + time.tv_nsec / 1000;
}

GBytes *pulses_of(const GPtrArray *targets, int64_t start_cpu_us)
{
  GByteArray *bytes = g_byte_array_new();
  g_byte_array_set_size(bytes, sizeof start_cpu_us);
  for (guint i = 0; i < targets->len; i++)
    append_target(bytes, g_ptr_array_index(targets, i));
  int64_t took_us = pulses_cpu_us() - start_cpu_us;
  memcpy(bytes->data, &took_us, sizeof took_us);
  return g_byte_array_free_to_bytes(bytes);
}

struct pulse_reader pulses_begin_kept(GBytes *bytes)
{
  gsize size;
  const char *at = g_bytes_get_data(bytes, &size);
  return (struct pulse_reader){at, size};
}

struct pulse_reader pulses_begin(GBytes *bytes, int64_t *took_us)
{
  struct pulse_reader reader = pulses_begin_kept(bytes);
  *took_us = 0;
  if (reader.left < sizeof *took_us)
    return (struct pulse_reader){.left = 0};
  memcpy(took_us, reader.at, sizeof *took_us);
  reader.at += sizeof *took_us;
  reader.left -= sizeof *took_us;
  return reader;
}

static double sound(double value)
{
  return isfinite(value) && value > 0 ? value : 0;
}

bool pulses_next(struct pulse_reader *reader, struct pulse *pulse, const void **moment)
{
  if (reader->left < sizeof *pulse)
    return false;
  memcpy(pulse, reader->at, sizeof *pulse);
  if (pulse->moment_bytes > reader->left - sizeof *pulse)
    return false;
  *moment = reader->at + sizeof *pulse;
  reader->at += sizeof *pulse + pulse->moment_bytes;
  reader->left -= sizeof *pulse + pulse->moment_bytes;
  pulse->time_unix_ns = CLAMP(pulse->time_unix_ns, 0, PULSE_TIME_MAX);
  pulse->in_use_bytes = sound(pulse->in_use_bytes);
  pulse->allocated_bytes = sound(pulse->allocated_bytes);
  pulse->resident_bytes = sound(pulse->resident_bytes);
  return true;
}
