/* SPDX-License-Identifier: MIT */
#include "tools/push/patience.h"

void patience_end(struct patience *patience)
{
  *patience = (struct patience){.failures = 0};
}

void patience_lose(struct patience *patience, gint64 now_us, guint64 asked_seconds)
{
  gint64 longest_us = G_USEC_PER_SEC << MIN(patience->failures, 6);
  longest_us = MIN(longest_us, PATIENCE_SECONDS_MAX * (gint64)G_USEC_PER_SEC);
  gint64 wait_us = (gint64)((double)longest_us * g_random_double_range(0.5, 1));
  patience->failures++;
  patience->until_us = now_us + MAX(wait_us, (gint64)MIN(asked_seconds, PATIENCE_ASKED_SECONDS_MAX) * G_USEC_PER_SEC);
}
