/* SPDX-License-Identifier: MIT */
/* S7: is there a heap when main begins, before anything of the program has asked for memory? */
#include "hz_victim.h"
#include <fcntl.h>
#include <unistd.h>

static char maps[1 << 16];

int main(void)
{
  size_t length = 0;
  ssize_t got;
  int fd = open("/proc/self/maps", O_RDONLY);
  while (length < sizeof maps - 1 && (got = read(fd, maps + length, sizeof maps - 1 - length)) > 0)
    length += (size_t)got;
  close(fd);
  REQUIRE(strstr(maps, "[stack]") != NULL);
  const char *line = strstr(maps, "[heap]") != NULL ? "a heap\n" : "no heap\n";
  REQUIRE(write(STDOUT_FILENO, line, strlen(line)) == (ssize_t)strlen(line));
  void *volatile first = malloc(100);
  free(first);
  return 0;
}
