/* SPDX-License-Identifier: MIT */
/* Requests of Pyroscope's public push API, push.v1.PusherService/Push, as far as we need them:
 *
 *   PushRequest { repeated Series series = 1; }
 *   Series { repeated Label labels = 1; repeated Sample samples = 2; }
 *   Label { string name = 1; string value = 2; }
 *   Sample { bytes raw_profile = 1; string id = 2; }
 *
 * A request may hold any number of series, so it grows by what is appended.
 */
#ifndef HEAPPROF_SERIES_H
#define HEAPPROF_SERIES_H

#include <glib.h>

/* A series with one sample. */
void series_append(GByteArray *request, GTree *labels, GBytes *profile, const char *id);

/* A UUID that tells this text from others: the same each time. To be freed. */
char *series_id(const char *text);

#endif
