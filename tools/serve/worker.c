/* SPDX-License-Identifier: MIT */
#include "tools/serve/worker.h"

#include "tools/heap/save.h"
#include "tools/live/live_page.h"
#include "tools/live/pulse.h"
#include "tools/scrape/marks.h"
#include "tools/scrape/served.h"
#include "tools/scrape/served_heap.h"
#include "tools/serve/go_text.h"
#include "tools/serve/live_answer.h"
#include "tools/serve/metrics.h"
#include "tools/serve/order.h"
#include "tools/serve/pages.h"
#include "tools/serve/recorded_answer.h"
#include "tools/serve/symbol_answer.h"
#include "tools/terminal/say.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  STATUS_OK = 200,
  STATUS_GONE = 404,
  STATUS_BROKEN = 500,
  INPUT_BYTES_MAX = 1 << 20,
  SHOWN_BYTES_MAX = 16 << 20,
  PAST_BYTES_MAX = 64 << 20,
  MARKS_BYTES_MAX = 512 << 20,  /* of more stacks than a profile can have */
  RESIDENT_PAGES_MAX = 8 << 10, /* of 4 KiB; where more stays after an order a fresh worker takes over */
};

/* What an order comes to: bytes, or NULL and *error. */

static GBytes *bytes_of(GString *text)
{
  return text != NULL ? g_string_free_to_bytes(text) : NULL;
}

static bool is_delta(const struct order *order)
{
  return order->kind == ORDER_HEAP_DELTA || order->kind == ORDER_ALLOCS_DELTA;
}

/* Leaves in the heap what was allocated since the marks in the parcel, and in *marks those of now. */
static void make_delta(struct heap *heap, const struct parcel *input, GBytes **marks)
{
  g_autoptr(GBytes) then = input != NULL ? parcel_bytes(input, MARKS_BYTES_MAX) : NULL;
  g_autoptr(GArray) keys = stack_keys_of(heap);
  *marks = marks_of(heap, keys);
  marks_subtract(heap, keys, then);
}

static GBytes *bytes_of_heap(struct heap *heap, const struct target *target, const struct order *order, GError **error)
{
  bool shows_allocated = order->kind == ORDER_ALLOCS || order->kind == ORDER_ALLOCS_DELTA;
  served_heap_finish(heap, target);
  heap->default_type = heap_text(heap, shows_allocated ? "alloc_space" : "");
  return order->wants_text ? bytes_of(go_text(heap)) : save_bytes(heap, error);
}

static GBytes *marks_of_now(const struct heap *heap)
{
  g_autoptr(GArray) keys = stack_keys_of(heap);
  return marks_of(heap, keys);
}

static GBytes *profile(const struct target *target, const struct order *order, const struct parcel *input,
                       GBytes **marks, GError **error)
{
  struct heap *heap = served_heap_read(target, order->kind == ORDER_PEAK ? REGION_PEAK : REGION_NOW, "serve", error);
  if (heap == NULL)
    return NULL;
  if (is_delta(order))
    make_delta(heap, input, marks);
  GBytes *bytes = order->kind == ORDER_MARKS ? marks_of_now(heap) : bytes_of_heap(heap, target, order, error);
  heap_free(heap);
  return bytes;
}

/* The arguments with NUL between, as the process has them now. */
static GBytes *command_line(const struct target *target, GError **error)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", target->pid);
  char *text;
  gsize size;
  if (!g_file_get_contents(path, &text, &size, error))
    return NULL;
  while (size > 0 && text[size - 1] == '\0')
    size--;
  return g_bytes_new_take(text, size);
}

static GBytes *symbols(const struct target *target, const struct parcel *input, GError **error)
{
  g_autoptr(GBytes) text = input != NULL ? parcel_bytes(input, INPUT_BYTES_MAX) : g_bytes_new(NULL, 0);
  if (text != NULL)
    return bytes_of(symbol_answer(target, g_bytes_get_data(text, NULL), g_bytes_get_size(text), error));
  g_set_error(error, SERVED_ERROR, STATUS_BROKEN, "the addresses cannot be read");
  return NULL;
}

/* NULL: there is none. */
static GBytes *past_of(const struct parcel *input)
{
  return input != NULL ? parcel_bytes(input, PAST_BYTES_MAX) : NULL;
}

static GBytes *live_answer(const struct target *target, const struct order *order, const struct parcel *input,
                           GError **error)
{
  g_autoptr(GBytes) past = past_of(input);
  if (order->kind == ORDER_LIVE_HEAP)
    return bytes_of(live_answer_heap(target, error));
  if (order->kind == ORDER_LIVE_TIMELINE)
    return bytes_of(live_answer_timeline(target, past, order->interval_seconds, error));
  if (past != NULL)
    return bytes_of(live_answer_change(target, past, error));
  g_set_error(error, SERVED_ERROR, STATUS_BROKEN, "what is remembered cannot be read");
  return NULL;
}

static GBytes *answer_of_target(const struct target *target, const struct order *order, const struct parcel *input,
                                GBytes **marks, GError **error)
{
  switch (order->kind) {
  case ORDER_FIND: return g_bytes_new_static("yes", strlen("yes"));
  case ORDER_INDEX: return bytes_of(pages_index(target));
  case ORDER_CMDLINE: return command_line(target, error);
  case ORDER_SYMBOL: return symbols(target, input, error);
  case ORDER_PAGE: return live_page_of(target->pid);
  case ORDER_LIVE_HEAP:
  case ORDER_LIVE_TIMELINE:
  case ORDER_LIVE_CHANGE: return live_answer(target, order, input, error);
  default: return profile(target, order, input, marks, error);
  }
}

static GBytes *metrics(struct served *served, const struct order *order, const struct parcel *input, GBytes **marks)
{
  g_autoptr(GBytes) text = input != NULL ? parcel_bytes(input, SHOWN_BYTES_MAX) : NULL;
  struct sites_shown *shown =
      text != NULL ? sites_shown_of(g_bytes_get_data(text, NULL), g_bytes_get_size(text)) : sites_shown_of("", 0);
  GBytes *bytes = bytes_of(metrics_of(served_all(served), order->wants_open_metrics, order->sites, shown));
  *marks = bytes_of(sites_shown_text(shown));
  sites_shown_free(shown);
  return bytes;
}

static GBytes *list(struct served *served, const struct parcel *input)
{
  g_autoptr(GBytes) past = past_of(input), none = g_bytes_new(NULL, 0);
  return bytes_of(pages_list(served_all(served), past != NULL ? past : none));
}

static GBytes *missing(struct served *served)
{
  GString *text = g_string_new(NULL);
  g_autoptr(GPtrArray) lines = served_missing(served);
  for (guint i = 0; i < lines->len; i++)
    g_string_append_printf(text, "%s\n", (const char *)g_ptr_array_index(lines, i));
  return bytes_of(text);
}

static GBytes *pulses(struct served *served)
{
  int64_t start_cpu_us = pulses_cpu_us();
  return pulses_of(served_all(served), start_cpu_us);
}

static GBytes *answer(struct served *served, const struct order *order, const struct parcel *input, GBytes **marks,
                      GError **error)
{
  if (order->kind == ORDER_LIST)
    return list(served, input);
  if (order->kind == ORDER_MISSING)
    return missing(served);
  if (order->kind == ORDER_PULSE)
    return pulses(served);
  if (order->kind == ORDER_METRICS)
    return metrics(served, order, input, marks);
  struct target *target = served_find(served, order->process, error);
  if (target == NULL)
    return NULL;
  GBytes *bytes = answer_of_target(target, order, input, marks, error);
  if ((bytes == NULL || order->kind == ORDER_CMDLINE) &&
      !target_runs(target)) { /* whatever was read, or could not be */
    g_clear_pointer(&bytes, g_bytes_unref);
    g_clear_error(error);
    g_set_error(error, SERVED_ERROR, STATUS_GONE, "process %d has ended", target->pid);
  }
  target_free(target);
  return bytes;
}

static struct parcel *parcel_of(GBytes *bytes)
{
  return bytes != NULL ? parcel_of_bytes(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)) : NULL;
}

static void carry_out(struct served *served, const char *recording, const struct order *order,
                      const struct parcel *input, struct outcome *outcome)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) marks = NULL;
  g_autoptr(GBytes) bytes =
      recording != NULL ? recorded_answer(recording, order, &error) : answer(served, order, input, &marks, &error);
  memset(outcome, 0, sizeof *outcome);
  outcome->status = STATUS_OK;
  outcome->body = parcel_of(bytes);
  if (outcome->body != NULL) {
    outcome->marks = parcel_of(marks);
    return;
  }
  outcome->status = error != NULL && error->domain == SERVED_ERROR ? (unsigned)error->code : STATUS_BROKEN;
  g_autofree char *problem = printable(error != NULL ? error->message : g_strerror(errno)); /* it may name files */
  g_strlcpy(outcome->problem, problem, sizeof outcome->problem);
}

/* The process. */

static bool is_too_large(void)
{
  g_autofree char *text = NULL;
  long total_pages, resident_pages;
  return g_file_get_contents("/proc/self/statm", &text, NULL, NULL) &&
         sscanf(text, "%ld %ld", &total_pages, &resident_pages) == 2 && resident_pages > RESIDENT_PAGES_MAX;
}

static void work(const struct worker_source *source, int socket)
{
  struct served *served = served_new(source->operands);
  struct order order;
  struct parcel *input;
  bool goes_on = true;
  while (goes_on && order_receive(socket, &order, &input)) {
    struct outcome outcome;
    order.process[sizeof order.process - 1] = order.at[sizeof order.at - 1] = '\0';
    carry_out(served, source->recording, &order, input, &outcome);
    goes_on = outcome_send(socket, &outcome);
    outcome_clear(&outcome);
    parcel_release(input);
    (void)malloc_trim(0);
    goes_on = goes_on && !is_too_large();
  }
  served_free(served);
}

/* Nothing of the server's but this socket. */
static void set_apart(int *socket)
{
  enum { SOCKET = STDERR_FILENO + 1 };
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < SIGRTMIN; number++)
    (void)signal(number, SIG_DFL);
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGINT, SIG_IGN); /* of a terminal: the server ends us */
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)prctl(PR_SET_NAME, "heapprof-worker");
  if (*socket != SOCKET)
    (void)dup3(*socket, SOCKET, O_CLOEXEC);
  (void)close_range(SOCKET + 1, ~0U, 0);
  *socket = SOCKET;
}

pid_t worker_start(const struct worker_source *source, int *socket)
{
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return -1;
  pid_t parent = getpid(), child = fork();
  if (child == 0) {
    set_apart(&ends[1]);
    if (getppid() == parent)
      work(source, ends[1]);
    _exit(0);
  }
  int number = errno;
  (void)close(ends[1]);
  if (child < 0)
    (void)close(ends[0]);
  *socket = ends[0];
  errno = number;
  return child;
}
