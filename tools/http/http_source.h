/* SPDX-License-Identifier: MIT */
/* libmicrohttpd as a source of the default main context: it runs when one of its connections can go on.
 *
 * Failure: NULL.
 */
#ifndef HEAPPROF_HTTP_SOURCE_H
#define HEAPPROF_HTTP_SOURCE_H

#include "tools/http/service.h"

struct http_source;

/* Accepts from the descriptor, which is its own from now on. */
struct http_source *http_source_new(int fd, struct service *service);

/* Ends all connections. */
void http_source_free(struct http_source *http);

#endif
