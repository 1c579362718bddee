/* SPDX-License-Identifier: MIT */
/* Of heapprof: it becomes heapprof-push. */
#include "tools/cmd/push_program.h"

#include "tools/programs/become.h"
#include "tools/terminal/say.h"

int push_program(const struct cmd_line *line, const struct push_options *options)
{
  (void)options;
#ifdef HEAPPROF_PUSH
  return become("heapprof-push", line->words);
#else
  (void)line;
  say("this heapprof was built --without-push");
  return EXIT_FAILED;
#endif
}
