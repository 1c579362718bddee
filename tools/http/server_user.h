/* SPDX-License-Identifier: MIT */
/* The user that the server becomes once it listens: root's rights are gone for good, with every group of root's, and
 * the environment is that user's, so that states and what is known of names are looked for where that user has them.
 *
 * Failure: false and *error; then the process must end.
 */
#ifndef HEAPPROF_SERVER_USER_H
#define HEAPPROF_SERVER_USER_H

#include <glib.h>
#include <pwd.h>
#include <stdbool.h>

/* NULL and *error: there is none of that name, or we are not root. */
const struct passwd *server_user_find(const char *name, GError **error);

bool server_user_become(const struct passwd *user, GError **error);

#endif
