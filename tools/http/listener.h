/* SPDX-License-Identifier: MIT */
/* Where the server listens: "127.0.0.1:6060", "[::1]:6060", "localhost:6060", ":6060", "unix:/run/heapprof.sock".
 *
 * The socket in the file system is its user's alone (0600); one that nobody answers at is replaced.
 *
 * Failure: false and *error, which names what was given; of G_OPTION_ERROR where that is no address.
 */
#ifndef HEAPPROF_LISTENER_H
#define HEAPPROF_LISTENER_H

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

struct listener {
  int fd;
  bool is_unix;
  bool is_local; /* only this machine reaches it */
  char *path;    /* of a socket in the file system, else NULL */
  char *shown;   /* "http://127.0.0.1:6060/" */
};

bool listener_open(const char *address, struct listener *listener, GError **error);

/* Gives the socket in the file system to a user. */
bool listener_give_to(const struct listener *listener, uid_t user, GError **error);

/* Removes the socket in the file system. The descriptor is left to whoever accepts from it. */
void listener_close(struct listener *listener);

#endif
