/* SPDX-License-Identifier: MIT */
/* What goes into "Authorization", from a file: a command line is everybody's to read.
 *
 * Memory: to be wiped and freed, secret_free. Failure: NULL and *error.
 */
#ifndef HEAPPROF_SECRET_H
#define HEAPPROF_SECRET_H

#include <glib.h>

/* "Bearer TOKEN" of a file whose first line is a token; "Basic ..." of one whose first line is user:password. */
char *secret_bearer(const char *path, GError **error);
char *secret_basic(const char *path, GError **error);

void secret_free(char *secret); /* may be NULL */

#endif
