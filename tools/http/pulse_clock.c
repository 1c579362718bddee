/* SPDX-License-Identifier: MIT */
#include "tools/http/pulse_clock.h"

enum { STATUS_OK = 200, PULSE_BYTES_MAX = 256 << 20, SHARE = 100, ALL = -1 };

struct pulse_clock {
  struct workers *workers;
  struct history *history;
  unsigned interval_seconds;
  guint timer;
  int past_pid; /* of `past`, or ALL */
  struct parcel *past;
};

static gboolean order_pulse(gpointer data);

/* After what it took `cpu_us` to find out. */
static void wait_for_next(struct pulse_clock *clock, int64_t cpu_us)
{
  int64_t wait_ms =
      MAX((int64_t)clock->interval_seconds * 1000, CLAMP(cpu_us, 0, G_USEC_PER_SEC * 3600LL) * SHARE / 1000);
  clock->timer = g_timeout_add((guint)MIN(wait_ms, (int64_t)HISTORY_SECONDS * 1000), order_pulse, clock);
}

static void take_pulses(const struct outcome *outcome, void *context)
{
  struct pulse_clock *clock = context;
  int64_t cpu_us = 0;
  g_autoptr(GBytes) bytes = outcome->status == STATUS_OK ? parcel_bytes(outcome->body, PULSE_BYTES_MAX) : NULL;
  if (bytes != NULL) {
    struct pulse_reader reader = pulses_begin(bytes, &cpu_us);
    history_take(clock->history, &reader);
    parcel_release(clock->past);
    clock->past = NULL;
  }
  wait_for_next(clock, cpu_us);
}

static gboolean order_pulse(gpointer data)
{
  struct pulse_clock *clock = data;
  struct order order;
  clock->timer = 0;
  (void)order_init(&order, ORDER_PULSE, "/"); /* no process is called so: it waits for no other order */
  workers_order(clock->workers, &order, NULL, take_pulses, clock);
  return G_SOURCE_REMOVE;
}

struct pulse_clock *pulse_clock_new(struct workers *workers, unsigned interval_seconds)
{
  struct pulse_clock *clock = g_new0(struct pulse_clock, 1);
  clock->workers = workers;
  clock->history = history_new();
  clock->interval_seconds = interval_seconds;
  if (interval_seconds > 0)
    clock->timer = g_idle_add(order_pulse, clock);
  return clock;
}

void pulse_clock_free(struct pulse_clock *clock)
{
  g_clear_handle_id(&clock->timer, g_source_remove);
  workers_cancel(clock->workers, clock);
  parcel_release(clock->past);
  history_free(clock->history);
  g_free(clock);
}

unsigned pulse_clock_interval(const struct pulse_clock *clock)
{
  return clock->interval_seconds;
}

static struct parcel *parcel_of(GBytes *bytes)
{
  struct parcel *parcel =
      bytes != NULL ? parcel_of_bytes(g_bytes_get_data(bytes, NULL), g_bytes_get_size(bytes)) : NULL;
  g_clear_pointer(&bytes, g_bytes_unref);
  return parcel;
}

/* Takes the bytes. */
static struct parcel *keep_past(struct pulse_clock *clock, int pid, GBytes *bytes)
{
  parcel_release(clock->past);
  clock->past = parcel_of(bytes);
  clock->past_pid = pid;
  return parcel_hold(clock->past);
}

struct parcel *pulse_clock_past(struct pulse_clock *clock, int pid)
{
  if (clock->past != NULL && clock->past_pid == pid)
    return parcel_hold(clock->past);
  return keep_past(clock, pid, history_of(clock->history, pid));
}

struct parcel *pulse_clock_past_of_all(struct pulse_clock *clock)
{
  if (clock->past != NULL && clock->past_pid == ALL)
    return parcel_hold(clock->past);
  return keep_past(clock, ALL, history_of_all(clock->history));
}

struct parcel *pulse_clock_pair(struct pulse_clock *clock, int pid, int64_t from_unix_ns, int64_t to_unix_ns)
{
  return parcel_of(history_pair(clock->history, pid, from_unix_ns, to_unix_ns));
}
