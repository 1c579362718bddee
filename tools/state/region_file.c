/* SPDX-License-Identifier: MIT */
#include "tools/state/region_file.h"

#include "tools/state/region_bytes.h"

/* What REGION_SEGMENTS can hold. */
static const uint64_t region_bytes_max = (uint64_t)REGION_FIRST_SEGMENT_BYTES << (REGION_SEGMENTS - 1);

struct region_file {
  struct region_bytes *bytes;
  uint64_t cpu_ns; /* 0: as the header says */
  char *command;   /* NULL: the same */
  GHashTable *resident;
};

void region_file_close(struct region_file *file)
{
  if (file == NULL)
    return;
  region_bytes_close(file->bytes);
  g_free(file->command);
  g_free(file);
}

static bool begin_once(struct region_file *file, struct region_log *log, uint64_t *size, GError **error)
{
  return region_bytes_begin(file->bytes, region_bytes_max, size, error) &&
         region_log_open(log, file->bytes, *size, error);
}

/* Begins to read: the header is good. Ends with `end` if true. The log may have grown since the size was asked for:
 * then so has the file. */
static bool begin(struct region_file *file, struct region_log *log, GError **error)
{
  uint64_t size = 0, before;
  for (;;) {
    before = size;
    if (!begin_once(file, log, &size, error))
      return false;
    if (log->is_whole || size <= before)
      return true;
    region_log_close(log);
  }
}

static bool end(struct region_file *file, struct region_log *log, GError **error)
{
  bool is_hostile = region_log_is_hostile(log);
  region_log_close(log);
  if (!region_bytes_end(file->bytes, error))
    return false;
  if (is_hostile)
    g_set_error(error, REGION_ERROR, REGION_ERROR_UNUSABLE,
                "%s is a damaged state file: most of its records are not valid", region_bytes_name(file->bytes));
  return !is_hostile;
}

/* Opening tells whether it is a region at all. */
static struct region_file *checked(struct region_bytes *bytes, GError **error)
{
  if (bytes == NULL)
    return NULL;
  struct region_log log;
  struct region_file *file = g_new0(struct region_file, 1);
  file->bytes = bytes;
  if (begin(file, &log, error) && end(file, &log, error))
    return file;
  region_file_close(file);
  return NULL;
}

struct region_file *region_file_open(const char *path, uid_t owner, GError **error)
{
  return checked(region_bytes_open(path, owner, error), error);
}

struct region_file *region_file_of_bytes(const void *bytes, size_t size, const char *name, GError **error)
{
  return checked(region_bytes_of_memory(bytes, size, name, error), error);
}

void region_file_set_cpu_ns(struct region_file *file, uint64_t cpu_ns)
{
  file->cpu_ns = cpu_ns;
}

void region_file_set_resident(struct region_file *file, GHashTable *resident)
{
  file->resident = resident;
}

void region_file_set_command(struct region_file *file, const char *command)
{
  g_free(file->command);
  file->command = g_strdup(command);
}

const struct stat *region_file_status(const struct region_file *file)
{
  return region_bytes_status(file->bytes);
}

bool region_file_summarize(struct region_file *file, struct region_summary *summary, GError **error)
{
  struct region_log log;
  if (!begin(file, &log, error))
    return false;
  region_summary_read(&log, summary);
  return end(file, &log, error);
}

bool region_file_read_halves(struct region_file *file, struct region_halves *halves, GError **error)
{
  struct region_log log;
  if (!begin(file, &log, error))
    return false;
  region_halves_read(&log, halves);
  return end(file, &log, error);
}

/* A process has thousands; a file that somebody made up may have millions. */
GArray *region_file_ranges(struct region_file *file, GError **error)
{
  enum { RANGES_MAX = 1 << 16 };
  struct region_log log;
  if (!begin(file, &log, error))
    return NULL;
  GArray *ranges = g_array_new(FALSE, FALSE, sizeof(struct region_range));
  while (ranges->len < RANGES_MAX && region_log_next_ranges(&log, ranges))
    continue;
  if (end(file, &log, error))
    return ranges;
  g_array_free(ranges, TRUE);
  return NULL;
}

struct heap *region_file_read(struct region_file *file, enum region_moment moment, const char *reason, GError **error)
{
  struct region_log log;
  struct region_summary summary;
  if (!begin(file, &log, error))
    return NULL;
  region_summary_read(&log, &summary);
  if (file->cpu_ns != 0)
    summary.cpu_ns = file->cpu_ns;
  if (file->command != NULL)
    g_strlcpy(summary.command, file->command, sizeof summary.command);
  const char *name = region_bytes_name(file->bytes);
  struct heap *heap = moment == REGION_MAPPED
                          ? region_heap_of_mappings(&log, &summary, file->resident, reason, name, error)
                          : region_heap_of_log(&log, &summary, moment, reason, name, error);
  if (end(file, &log, heap != NULL ? error : NULL))
    return heap;
  heap_free(heap);
  return NULL;
}
