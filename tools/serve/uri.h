/* SPDX-License-Identifier: MIT */
/* serve/: what a heap server is asked for, who may ask, and what is answered. One thread; a failure is an answer to who
 * asked, and the server goes on.
 *
 * What a request names: a path and a query. Both may be anything.
 *
 * Memory: texts that are returned are new ones (g_free).
 */
#ifndef HEAPPROF_URI_H
#define HEAPPROF_URI_H

#include <stdbool.h>

/* The path as Go cleans it, "/a/b/", not decoded: no empty element, no "." and ".."; a slash at the end stays. */
char *uri_path(const char *uri);

/* What is behind the first "?", or "". Points into the uri. */
const char *uri_query(const char *uri);

/* One element of a path, decoded; NULL: it holds NUL, or a % that is no escape. */
char *uri_decoded(const char *element);

/* The first value of a key, decoded; NULL: there is none. As Go, it skips parts that are not sound. */
char *uri_value(const char *query, const char *key);

/* A value as Go's Atoi would give it to net/http/pprof: 0 where there is none or it is no number. */
long uri_number(const char *query, const char *key);

#endif
