/* SPDX-License-Identifier: MIT */
/* Answers as libmicrohttpd sends them, with the headers and the words of Go's net/http and net/http/pprof.
 *
 * Memory: an answer holds what it needs; answer_clear gives it back, also while it is being sent.
 */
#ifndef HEAPPROF_ANSWER_H
#define HEAPPROF_ANSWER_H

#include "tools/serve/parcel.h"

#include <microhttpd.h>
#include <stdbool.h>

struct answer {
  unsigned status;
  uint64_t size;
  struct MHD_Response *response; /* NULL: there is none yet */
  struct parcel *parcel;
};

/* A line of plain text. */
struct answer answer_text(unsigned status, const char *text);

/* What a handler of net/http/pprof says when it fails. */
struct answer answer_problem(unsigned status, const char *problem);

/* That it cannot be done now; when to ask again is in it. */
struct answer answer_busy(const char *why);

/* To another place here; a browser is shown a link. */
struct answer answer_redirect(const char *location, bool has_body);

/* A parcel of that type. `file_name`: what to call it when it is kept; NULL: it is to be shown. */
struct answer answer_parcel(struct parcel *parcel, const char *type, const char *file_name);

void answer_add_header(struct answer *answer, const char *name, const char *value);
void answer_clear(struct answer *answer);

#endif
