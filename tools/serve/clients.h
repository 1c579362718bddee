/* SPDX-License-Identifier: MIT */
/* Who asks again and again for what was allocated since the last time, and the marks of that time. Those who have not
 * asked for longest are forgotten first: they get all since the start of the process once, and their answer says so.
 */
#ifndef HEAPPROF_CLIENTS_H
#define HEAPPROF_CLIENTS_H

#include "tools/serve/parcel.h"

enum { CLIENTS_MAX = 64, CLIENTS_BYTES_MAX = 16 << 20 };

struct clients;

struct clients *clients_new(void);
void clients_free(struct clients *clients);

/* NULL: it never asked, or was forgotten. Held until the client is put again: hold it to keep it. */
struct parcel *clients_get(const struct clients *clients, const char *name);

/* Its marks are these now, which are held. */
void clients_put(struct clients *clients, const char *name, struct parcel *marks);

#endif
