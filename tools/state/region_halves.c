/* SPDX-License-Identifier: MIT */
#include "tools/state/region_halves.h"

static double bytes_of_q4(uint64_t bytes_q4)
{
  return (double)MAX((int64_t)bytes_q4, 0) / 16;
}

void region_halves_of_header(const struct region_header *header, double highest[HALVES], double now[HALVES])
{
  struct peak_moments moments = peak_moments(header);
  for (unsigned half = 0; half < HALVES; half++) {
    const struct half_total *total = &header->halves[moments.is_whole ? 0 : half];
    double share = moments.is_whole ? 1.0 / HALVES : 1;
    highest[half] = share * bytes_of_q4(moments.peaks[moments.is_whole ? 0 : half]);
    now[half] = share * bytes_of_q4(atomic_load_explicit(&total->in_use_bytes_q4, memory_order_relaxed));
  }
}

double region_halves_inherited(const struct region_header *header)
{
  return bytes_of_q4(atomic_load_explicit(&header->inherited_bytes_q4, memory_order_relaxed));
}

static void add(struct region_half *half, struct tally_sums sums, double share)
{
  half->bytes += share * bytes_of_q4(sums.bytes_q4);
  half->variance += region_log_variance(sums.variance_bytes);
}

void region_halves_read(struct region_log *log, struct region_halves *halves)
{
  *halves = (struct region_halves){.inherited_bytes = region_halves_inherited(&log->header)};
  g_autoptr(GArray) pcs = g_array_new(FALSE, FALSE, sizeof(uint64_t));
  struct peak_moments moments = region_log_moments(log);
  double share = moments.is_whole ? 1.0 / HALVES : 1;
  const struct stack_record *stack;
  while ((stack = region_log_next_stack(log, pcs)) != NULL)
    for (unsigned half = 0; half < HALVES; half++) {
      struct tally_sums now, then;
      peak_read_half(stack, half, &moments, &now, &then);
      bool is_inherited = (stack->flags & STACK_INHERITED) != 0;
      add(is_inherited ? &halves->inherited[half] : &halves->now[half], now, share);
      if (!is_inherited)
        add(&halves->then[half], then, share);
    }
  for (unsigned half = 0; half < HALVES; half++)
    halves->moments[half] = share * bytes_of_q4(moments.peaks[moments.is_whole ? 0 : half]);
}
