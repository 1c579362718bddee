/* SPDX-License-Identifier: MIT */
/* What the command tells the shell. `heapprof run` ends with the status of the program instead. */
#ifndef HEAPPROF_EXIT_STATUS_H
#define HEAPPROF_EXIT_STATUS_H

enum {
  EXIT_OK = 0,
  EXIT_FAILED = 1, /* something could not be done, after a message */
  EXIT_USAGE = 2,  /* the command line is wrong */
  EXIT_LIMIT = 3,  /* a limit that was set is broken */
};

#endif
