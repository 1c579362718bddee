/* SPDX-License-Identifier: MIT */
/* Preloaded into the command: as soon as a profile is stored, somebody moves the directory SWAPPED away, and puts a link to it in its
 * place. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int fsync(int fd)
{
  char away[4096];
  const char *swapped = getenv("SWAPPED");
  (void)snprintf(away, sizeof away, "%s.away", swapped);
  if (rename(swapped, away) != 0 || symlink(away, swapped) != 0)
    abort();
  return fdatasync(fd);
}
