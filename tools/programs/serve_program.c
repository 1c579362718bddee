/* SPDX-License-Identifier: MIT */
/* Of heapprof: it becomes heapprof-serve. */
#include "tools/cmd/serve_program.h"

#include "tools/programs/become.h"
#include "tools/terminal/say.h"

int serve_program(const struct cmd_line *line, const struct serve_options *options)
{
  (void)options;
#ifdef HEAPPROF_SERVE
  return become("heapprof-serve", line->words);
#else
  (void)line;
  say("this heapprof was built --without-serve");
  return EXIT_FAILED;
#endif
}
