/* SPDX-License-Identifier: MIT */
#include "tools/source/source.h"

#include "core/comments.h"
#include "tools/heap/input.h"
#include "tools/heap/load.h"
#include "tools/source/process_heap.h"
#include "tools/source/recorded_moment.h"
#include "tools/state/target_names.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Expressions are input: one that backtracks for ever is given up. */
#define MATCH_LIMIT "(*LIMIT_MATCH=10000)"

/* Opening. */

bool source_is_pid(const char *argument, int *pid)
{
  return target_names_is_pid(argument, pid);
}

bool source_is_state_file(const char *path)
{
  uint8_t start[INPUT_STATE_MAGIC_BYTES];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return false;
  ssize_t size = pread(fd, start, sizeof start, 0); /* of a pipe: fails, and takes nothing from it */
  (void)close(fd);
  return size > 0 && input_is_state(start, (size_t)size);
}

uid_t source_owner(const char *path)
{
  struct stat status;
  return stat(path, &status) == 0 ? status.st_uid : geteuid();
}

static bool has_lines(const struct heap *heap)
{
  for (uint32_t i = 0; i < heap->lines->len; i++)
    if (g_array_index(heap->lines, struct heap_line, i).line > 0)
      return true;
  return false;
}

static bool has_all_names(const struct heap *heap)
{
  for (uint32_t i = 0; i < heap->locations->len; i++)
    if (heap_location(heap, i)->line_count == 0)
      return false;
  return true;
}

/* `pid`: of a living process; 0: it is none. `owner`: whose process it was. */
static void add_symbols(struct heap *heap, enum symbols_detail detail, const char *root, int pid, uid_t owner)
{
  bool lacks_lines = detail == SYMBOLS_LINES && !has_lines(heap);
  if (has_all_names(heap) && !lacks_lines)
    return;
  struct symbols_options options = {.detail = detail,
                                    .root = root,
                                    .pid = pid,
                                    .replaces = lacks_lines,
                                    .shows_progress = true,
                                    .may_download = detail == SYMBOLS_LINES};
  process_heap_add_names(heap, &options, owner, false);
}

static struct target *find_by_number(const char *argument, int pid, GError **error)
{
  g_autoptr(GError) problem = NULL;
  struct target *target = target_find(pid, &problem);
  if (problem != NULL)
    g_set_error(error, problem->domain, problem->code, access(argument, F_OK) == 0 ? "%s; ./%s is the file" : "%s",
                problem->message, argument);
  return target;
}

static struct target *find_by_name(const char *argument, GError **error)
{
  g_autoptr(GError) problem = NULL;
  struct target *target = target_names_find(argument, &problem);
  if (problem != NULL)
    g_propagate_error(error, g_steal_pointer(&problem));
  else if (target == NULL && !recorded_moment_is(argument) && access(argument, F_OK) != 0 && errno == ENOENT)
    g_set_error(error, REGION_ERROR, REGION_ERROR_UNUSABLE,
                "'%s' is neither the name of a process that is profiled nor a file; heapprof ls lists processes",
                argument);
  return target;
}

struct target *source_find_process(const char *argument, GError **error)
{
  int pid;
  if (source_is_pid(argument, &pid))
    return find_by_number(argument, pid, error);
  return target_names_may_be(argument) ? find_by_name(argument, error) : NULL;
}

bool source_exists(const char *argument)
{
  struct target *target = source_find_process(argument, NULL);
  bool exists =
      target != NULL || strcmp(argument, "-") == 0 || access(argument, F_OK) == 0 || recorded_moment_is(argument);
  target_free(target);
  return exists;
}

static struct heap *open_process(const struct target *target, enum region_moment moment, enum symbols_detail detail,
                                 GError **error)
{
  struct heap *heap = process_heap_of_target(target, moment, "read", error);
  if (heap != NULL)
    add_symbols(heap, detail, target->root, target->is_alive ? target->pid : 0, target->owner);
  return heap;
}

/* What is to be of mappings, and is not: NULL and *error. */
static struct heap *check_profile(struct heap *heap, enum region_moment moment, GError **error)
{
  if (heap == NULL || moment != REGION_MAPPED || heap_comment(heap, COMMENT_memory) != NULL)
    return heap;
  g_set_error(error, REGION_ERROR, REGION_ERROR_UNUSABLE,
              "%s is the profile of a heap, which knows nothing of mappings: --mmap takes a process while it runs with "
              "HEAPPROF_MMAP=yes, a state file, or what heapprof dump --mmap wrote",
              heap->name);
  heap_free(heap);
  return NULL;
}

static struct heap *open_file(const char *path, enum region_moment moment, enum symbols_detail detail, GError **error)
{
  uid_t owner = source_owner(path);
  struct heap *heap = source_is_state_file(path) ? process_heap_of_file(path, moment, error)
                      : recorded_moment_is(path) ? check_profile(recorded_moment_read(path, error), moment, error)
                                                 : check_profile(load_file(path, error), moment, error);
  if (heap != NULL)
    add_symbols(heap, detail, NULL, 0, owner);
  return heap;
}

static struct heap *open_moment(const char *argument, enum region_moment moment, enum symbols_detail detail,
                                GError **error)
{
  g_autoptr(GError) problem = NULL;
  struct target *target = source_find_process(argument, &problem);
  struct heap *heap = target != NULL    ? open_process(target, moment, detail, error)
                      : problem == NULL ? open_file(argument, moment, detail, error)
                                        : NULL;
  if (problem != NULL)
    g_propagate_error(error, g_steal_pointer(&problem));
  target_free(target);
  if (heap != NULL)
    source_drop_frames(heap);
  return heap;
}

struct heap *source_open(const char *argument, enum symbols_detail detail, GError **error)
{
  return open_moment(argument, REGION_NOW, detail, error);
}

struct heap *source_open_mapped(const char *argument, enum symbols_detail detail, GError **error)
{
  return open_moment(argument, REGION_MAPPED, detail, error);
}

struct heap *source_open_resident(const struct target *target, GHashTable *resident, enum symbols_detail detail,
                                  GError **error)
{
  struct heap *heap = target_read_resident(target, resident, "rss", error);
  if (heap == NULL)
    return NULL;
  add_symbols(heap, detail, target->root, target->is_alive ? target->pid : 0, target->owner);
  source_drop_frames(heap);
  return heap;
}

struct heap *source_open_target(const struct target *target, enum region_moment moment, enum symbols_detail detail,
                                GError **error)
{
  struct heap *heap = open_process(target, moment, detail, error);
  if (heap != NULL)
    source_drop_frames(heap);
  return heap;
}

/* Dropping. */

struct dropper {
  struct heap *heap;
  GRegex *drop, *keep; /* keep: NULL if there is none */
  uint8_t *functions;  /* by index: enum verdict */
  uint8_t *locations;  /* by index: enum fate */
  bool has_failed;
};

enum verdict { VERDICT_UNKNOWN, VERDICT_STAYS, VERDICT_GOES };

enum fate {
  FATE_STAYS,
  FATE_LAST, /* an inlined part of it goes, and what it called */
  FATE_GOES,
};

/* Length of a name with parentheses of its own that begins here, 0 if none does. */
static size_t reserved_length(const char *text)
{
  static const char *const names[] = {"(anonymous namespace)", "operator()"};
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
    if (g_str_has_prefix(text, names[i]))
      return strlen(names[i]);
  return 0;
}

/* Expressions are written for names without parameters. */
static char *name_without_parameters(const char *name)
{
  if (name[0] == '.')
    name++;
  const char *end = name;
  for (size_t reserved; *end != '\0'; end += MAX(reserved, 1)) {
    reserved = reserved_length(end);
    if (reserved == 0 && *end == '(')
      break;
  }
  return g_strndup(name, (gsize)(end - name));
}

static GRegex *compile_anchored(const char *expression)
{
  g_autofree char *anchored = g_strdup_printf(MATCH_LIMIT "^(?:%s)\\z", expression);
  return g_regex_new(anchored, G_REGEX_NO_AUTO_CAPTURE, 0, NULL);
}

static bool matches(struct dropper *dropper, const GRegex *expression, const char *name)
{
  g_autoptr(GError) error = NULL;
  bool is_match = g_regex_match_full(expression, name, -1, 0, 0, NULL, &error);
  dropper->has_failed |= error != NULL;
  return is_match;
}

static bool goes(struct dropper *dropper, uint32_t function)
{
  if (function == HEAP_NONE)
    return false;
  uint8_t *verdict = &dropper->functions[function];
  if (*verdict == VERDICT_UNKNOWN) {
    g_autofree char *name = name_without_parameters(heap_function(dropper->heap, function)->name);
    bool is_dropped = name[0] != '\0' && matches(dropper, dropper->drop, name) &&
                      (dropper->keep == NULL || !matches(dropper, dropper->keep, name));
    *verdict = is_dropped ? VERDICT_GOES : VERDICT_STAYS;
  }
  return *verdict == VERDICT_GOES;
}

/* The outermost function that is dropped takes the functions inlined into it along. */
static enum fate decide(struct dropper *dropper, const struct heap_location *location, uint32_t *lines_dropped)
{
  const struct heap_line *lines = heap_lines(dropper->heap, location);
  for (uint32_t i = location->line_count; i-- > 0;)
    if (goes(dropper, lines[i].function)) {
      *lines_dropped = i + 1;
      return i + 1 == location->line_count ? FATE_GOES : FATE_LAST;
    }
  *lines_dropped = 0;
  return FATE_STAYS;
}

/* From the root inwards: drops the first such frame below a frame of the program, and all that it called. */
static void cut_stack(const struct dropper *dropper, struct heap_sample *sample)
{
  const uint32_t *frames = heap_frames(dropper->heap, sample);
  bool in_program = false;
  for (uint32_t i = sample->frame_count; i-- > 0;) {
    enum fate fate = dropper->locations[frames[i]];
    if (fate == FATE_STAYS) {
      in_program = true;
    } else if (in_program) {
      uint32_t dropped = fate == FATE_GOES ? i + 1 : i;
      sample->first_frame += dropped;
      sample->frame_count -= dropped;
      return;
    }
  }
}

static void cut_all(struct dropper *dropper)
{
  struct heap *heap = dropper->heap;
  g_autofree uint32_t *lines_dropped = g_new0(uint32_t, heap->locations->len);
  for (uint32_t i = 0; i < heap->locations->len; i++)
    dropper->locations[i] = decide(dropper, heap_location(heap, i), &lines_dropped[i]);
  if (dropper->has_failed)
    return;
  for (uint32_t i = 0; i < heap->samples->len; i++)
    cut_stack(dropper, heap_sample(heap, i));
  for (uint32_t i = 0; i < heap->locations->len; i++)
    if (dropper->locations[i] == FATE_LAST) {
      heap_location(heap, i)->first_line += lines_dropped[i];
      heap_location(heap, i)->line_count -= lines_dropped[i];
    }
}

void source_drop_frames(struct heap *heap)
{
  if (heap->drop_frames[0] == '\0')
    return;
  struct dropper dropper = {.heap = heap, .drop = compile_anchored(heap->drop_frames)};
  bool keeps = heap->keep_frames[0] != '\0';
  if (keeps)
    dropper.keep = compile_anchored(heap->keep_frames);
  if (dropper.drop != NULL && (!keeps || dropper.keep != NULL)) {
    dropper.functions = g_new0(uint8_t, heap->functions->len);
    dropper.locations = g_new0(uint8_t, heap->locations->len);
    cut_all(&dropper);
  }
  g_clear_pointer(&dropper.drop, g_regex_unref);
  g_clear_pointer(&dropper.keep, g_regex_unref);
  g_free(dropper.functions);
  g_free(dropper.locations);
}
