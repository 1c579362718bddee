/* SPDX-License-Identifier: MIT */
/* A request, from its first line to the last byte of its answer. Where the answer has to be worked out, the connection
 * sleeps until a worker is done, or its client goes.
 *
 * Threads: that of the default main context. Memory: an exchange is libmicrohttpd's to end.
 */
#ifndef HEAPPROF_EXCHANGE_H
#define HEAPPROF_EXCHANGE_H

#include "tools/http/service.h"

#include <microhttpd.h>

/* As libmicrohttpd calls them: a connection came or went, a request line is there, more of the request is, it is over.
 * The first argument is the service. */
void exchange_connection(void *service, struct MHD_Connection *connection, void **socket_context,
                         enum MHD_ConnectionNotificationCode what);
void *exchange_begin(void *service, const char *uri, struct MHD_Connection *connection);
enum MHD_Result exchange_step(void *service, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **request);
void exchange_end(void *service, struct MHD_Connection *connection, void **request,
                  enum MHD_RequestTerminationCode how);

#endif
