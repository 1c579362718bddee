/* SPDX-License-Identifier: MIT */
/* Requests to one server, one after the other over one connection, which is kept. Answers of redirection are not
 * followed: they would take profiles, and who we are, to somebody else. Secrets are read anew for each request, so
 * they may change.
 *
 * Threads: that of its owner; libcurl looks names up in one of its own. Failure: NULL or false and *error; of a
 * request: its answer. A URL that cannot be one is of G_OPTION_ERROR.
 */
#ifndef HEAPPROF_POST_H
#define HEAPPROF_POST_H

#include "tools/push/verdict.h"

#include <curl/curl.h>
#include <glib.h>
#include <stdbool.h>

struct post_options {
  const char *url, *tenant, *token_file, *password_file, *ca_file; /* all but the URL may be NULL */
};

struct post_answer {
  enum verdict verdict;
  bool may_be_its_fault; /* VERDICT_LATER: perhaps what was sent is what the server cannot bear */
  guint64 asked_seconds; /* to wait; 0: it does not say */
  char *problem;         /* a line to print, unless it was taken; to be freed */
};

struct post;

struct post *post_new(const struct post_options *options, GError **error);
void post_free(struct post *post);

/* With memory of `body`. */
void post_begin(struct post *post, GByteArray *body);

/* True: there is an answer to the request that was begun. */
bool post_end(struct post *post, struct post_answer *answer);

/* Waits until the request can go on, or one of these descriptors can be read, or so many milliseconds. */
void post_wait(struct post *post, struct curl_waitfd *others, unsigned count, int milliseconds);

#endif
