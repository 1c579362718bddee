/* SPDX-License-Identifier: MIT */
#include "tools/serve/recorded_answer.h"

#include "tools/filter/plumbing.h"
#include "tools/heap/load.h"
#include "tools/heap/save.h"
#include "tools/live/live_page.h"
#include "tools/scrape/served.h"
#include "tools/serve/go_text.h"
#include "tools/serve/pages.h"
#include "tools/source/recorded_program.h"
#include "tools/source/source.h"
#include "tools/views/heap_json.h"

#include <string.h>

enum { STATUS_NOT_FOUND = 404, AS_GO = 4 };

static GBytes *bytes_of(GString *text)
{
  return text != NULL ? g_string_free_to_bytes(text) : NULL;
}

/* --- what heapprof-record gives --- */

/* Of one that can be listed, what was asked for is not there. */
static GByteArray *output_of(const char *path, const char *what, const char *process, const char *at, GError **error)
{
  g_autoptr(GError) problem = NULL;
  g_autofree char *of = g_strconcat("--process=", process, NULL), *then = g_strconcat("--at=", at, NULL);
  const char *options[4] = {what}, **next = options + 1;
  if (process[0] != '\0')
    *next++ = of;
  if (at[0] != '\0')
    *next++ = then;
  GByteArray *bytes = recorded_program_output(options, path, &problem);
  if (bytes != NULL)
    return bytes;
  struct recorded_list *list = recorded_list_read(path, error);
  if (list != NULL)
    g_set_error(error, SERVED_ERROR, STATUS_NOT_FOUND, "%s", problem->message);
  recorded_list_free(list);
  return NULL;
}

static struct heap *heap_at(const char *path, const char *process, const char *at, GError **error)
{
  g_autofree char *name = g_path_get_basename(path);
  g_autoptr(GByteArray) bytes = output_of(path, "--output=-", process, at, error);
  struct heap *heap = bytes != NULL ? load_bytes(bytes->data, bytes->len, name, error) : NULL;
  if (heap != NULL)
    source_drop_frames(heap);
  return heap;
}

/* --- profiles --- */

static GBytes *profile(const char *path, const struct order *order, GError **error)
{
  struct heap *heap = heap_at(path, order->process, order->kind == ORDER_PEAK ? "largest" : order->at, error);
  if (heap == NULL)
    return NULL;
  heap_keep_types(heap, AS_GO);
  heap->default_type = heap_text(heap, order->kind == ORDER_ALLOCS ? "alloc_space" : "");
  GBytes *bytes = order->wants_text ? bytes_of(go_text(heap)) : save_bytes(heap, error);
  heap_free(heap);
  return bytes;
}

/* --- the page --- */

static struct heap *heap_at_ms(const char *path, const struct order *order, int64_t time_ms, GError **error)
{
  enum { MS_OF_SECOND = 1000 };
  g_autofree char *at =
      g_strdup_printf("unix:%" G_GINT64_FORMAT ".%03d", time_ms / MS_OF_SECOND, (int)(time_ms % MS_OF_SECOND));
  struct heap *heap = heap_at(path, order->process, time_ms > 0 ? at : "", error);
  if (heap != NULL)
    plumbing_mark(heap, NULL);
  return heap;
}

static GBytes *json_of(const struct heap *heap, const struct heap *base, GError **error)
{
  struct page_start start = {.type = heap_find_type(heap, "inuse_space")};
  return bytes_of(heap_json(heap, base, NULL, start, error));
}

static GBytes *page_heap(const char *path, const struct order *order, GError **error)
{
  struct heap *heap = heap_at_ms(path, order, order->to_ms, error);
  GBytes *json = heap != NULL ? json_of(heap, NULL, error) : NULL;
  heap_free(heap);
  return json;
}

static GBytes *page_change(const char *path, const struct order *order, GError **error)
{
  struct heap *base = heap_at_ms(path, order, MIN(order->from_ms, order->to_ms), error),
              *heap = base != NULL ? heap_at_ms(path, order, MAX(order->from_ms, order->to_ms), error) : NULL;
  GBytes *json = heap != NULL ? json_of(heap, base, error) : NULL;
  heap_free(base);
  heap_free(heap);
  return json;
}

/* `null` where nothing came after what the page has already. */
static GBytes *page_timeline(const char *path, const struct recorded_process *process, const struct order *order,
                             GError **error)
{
  static const char nothing[] = "null";
  if (process->last_ms <= order->from_ms)
    return g_bytes_new_static(nothing, sizeof nothing - 1);
  g_autofree char *id = g_strdup_printf("id:%" G_GINT64_FORMAT, process->id);
  GByteArray *bytes = output_of(path, "--timeline", id, "", error);
  return bytes != NULL ? g_byte_array_free_to_bytes(bytes) : NULL;
}

static GBytes *answer_of_process(const char *path, const struct recorded_process *process, const struct order *order,
                                 GError **error)
{
  switch (order->kind) {
  case ORDER_FIND: return g_bytes_new_static("yes", strlen("yes"));
  case ORDER_INDEX: return bytes_of(pages_recorded_index(process));
  case ORDER_CMDLINE: return g_bytes_new(process->command, strlen(process->command));
  case ORDER_PAGE: return live_page_of_recorded(process->id);
  default: return page_timeline(path, process, order, error);
  }
}

/* What needs the list, and nothing else or more. */
static GBytes *answer_by_list(const char *path, const struct order *order, GError **error)
{
  GBytes *bytes = NULL;
  struct recorded_list *list = recorded_list_read(path, error);
  const struct recorded_process *process = NULL;
  if (list != NULL && order->kind == ORDER_LIST)
    bytes = bytes_of(pages_recorded_list(list));
  else if (list != NULL && (process = recorded_list_find(list, order->process, error)) != NULL)
    bytes = answer_of_process(path, process, order, error);
  recorded_list_free(list);
  return bytes;
}

GBytes *recorded_answer(const char *path, const struct order *order, GError **error)
{
  switch (order->kind) {
  case ORDER_HEAP:
  case ORDER_ALLOCS:
  case ORDER_PEAK: return profile(path, order, error);
  case ORDER_LIVE_HEAP: return page_heap(path, order, error);
  case ORDER_LIVE_CHANGE: return page_change(path, order, error);
  default: return answer_by_list(path, order, error);
  }
}
