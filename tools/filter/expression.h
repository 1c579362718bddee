/* SPDX-License-Identifier: MIT */
/* filter/: which frames and stacks of a heap are looked at, and whose memory it is, by what a person asks for. One
 * thread. What cannot be done is said, and the caller gets NULL or false.
 *
 * Regular expressions as people give them: GLib's GRegex, which is PCRE2; what pprof's RE2 understands means the same
 * here (docs/decisions.md tells where it does not). They are input: one that backtracks for ever is given up, and
 * matches nothing then.
 */
#ifndef HEAPPROF_EXPRESSION_H
#define HEAPPROF_EXPRESSION_H

#include <glib.h>
#include <stdbool.h>

/* NULL after a message that names the expression. */
GRegex *expression_compile(const char *text);
/* Of expressions that are part of this program, any of which matches a whole text; nothing is said of it. It is
 * compiled at the first call, and `compiled` keeps it. */
const GRegex *expression_of_list(GRegex **compiled, const char *const *expressions, size_t count);

/* Somewhere in the text? An expression that is given up is said once. */
bool expression_matches(const GRegex *expression, const char *text);

/* Was it given up? */
bool expression_is_given_up(const GRegex *expression);

/* As it was given. */
const char *expression_text(const GRegex *expression);

/* An option whose expression matched nothing, after a comma if there are others; `unmatched` may be NULL. */
void expression_append_unmatched(GString *unmatched, const char *option, const char *text);

#endif
