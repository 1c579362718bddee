/* SPDX-License-Identifier: MIT */
/* http/: the server of heapprof-serve, which libmicrohttpd is linked into alone.
 *
 * The server: one thread that waits for connections, workers and signals, and never for any one of them.
 *
 * Signals: SIGTERM, SIGINT and SIGHUP end it. Failure: an exit status, after a message.
 */
#ifndef HEAPPROF_SERVE_H
#define HEAPPROF_SERVE_H

#include <stdbool.h>

struct serve_options {
  const char *listen;       /* as listener.h has it */
  const char *token_file;   /* NULL: none */
  bool has_no_auth;         /* other machines may ask without a token */
  unsigned sites;           /* of each process, in its metrics */
  unsigned history_seconds; /* between the values that are remembered; 0: none are */
  const char *user;         /* NULL: stay who we are */
  const char *const *hosts; /* names that the server may be asked by, and NULL */
  char *const *operands;    /* processes, and NULL */
  const char *recording;    /* a file that is served instead, with its whole path; or NULL */
};

int serve_run(const struct serve_options *options);

#endif
