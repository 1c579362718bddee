/* SPDX-License-Identifier: MIT */
/* Who may ask. A token, where there is one, in "Authorization: Bearer TOKEN", or as the password of "Basic", which is
 * what pprof sends for http://user:TOKEN@host/. And the name that the server was asked by: a page of somebody else in
 * this machine's browser can make its own name lead here (DNS rebinding), but it cannot choose what the browser sends
 * as Host.
 */
#ifndef HEAPPROF_ACCESS_H
#define HEAPPROF_ACCESS_H

#include <glib.h>
#include <stdbool.h>

struct access {
  char *token_digest;  /* NULL: none is needed */
  GPtrArray *hosts;    /* char *: names that may be asked for, besides localhost and any address */
  bool takes_any_host; /* a socket in the file system */
};

enum access_verdict { ACCESS_GRANTED, ACCESS_NO_TOKEN, ACCESS_FOREIGN_HOST };

void access_init(struct access *access);
void access_clear(struct access *access);

/* The first line of the file. False and *error: it cannot be read, is too short, or others may write it. */
bool access_read_token(struct access *access, const char *path, GError **error);

/* Headers as they came; NULL: there was none. */
enum access_verdict access_check(const struct access *access, const char *host, const char *authorization);

#endif
