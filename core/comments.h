/* SPDX-License-Identifier: MIT */
/* The keys of the comments that a profile carries: COMMENT_samples and so on. For the library, which writes them into
 * its own profiles, and for the command, which does from state files and reads them all. */
#ifndef HEAPPROF_COMMENTS_H
#define HEAPPROF_COMMENTS_H

#define COMMENT_START "# heapprof "

#define HEAPPROF_COMMENT(identifier, key, rule) static const char COMMENT_##identifier[] __attribute__((unused)) = key;
#include "core/comments.def"
#undef HEAPPROF_COMMENT

#endif
