/* SPDX-License-Identifier: MIT */
#include "tools/state/region_file.h"

#include "tools/state/mapped_file.h"

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
    g_set_error(error, REGION_ERROR, REGION_ERROR_UNUSABLE,
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

bool region_file_summarize(struct region_file *file, struct region_summary *summary, GError **error)
{
  struct region_log log;
  if (!begin(file, &log, error))
    return false;
  region_summary_read(&log, summary);
  return end(file, &log, error);
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
  struct heap *heap = region_heap_of_log(&log, &summary, moment, reason, mapped_file_name(file->bytes));
  if (end(file, &log, error))
    return heap;
  heap_free(heap);
  return NULL;
}
