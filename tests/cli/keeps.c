/* SPDX-License-Identifier: MIT */
/* Keeps argv[1] blocks of 1,000 bytes; has one of argv[2] bytes for a moment; then does what argv[3] says. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef BLOCK_BYTES
#define BLOCK_BYTES 1000
#endif

static void *volatile last;

__attribute__((noinline)) static void keep(size_t bytes)
{
  last = memset(malloc(bytes), 1, bytes);
}

__attribute__((noinline)) static void spike(size_t bytes)
{
  last = memset(malloc(bytes), 1, bytes);
  free(last);
}

int main(int count, char **arguments)
{
  const char *then = count > 3 ? arguments[3] : "";
  for (int left = atoi(arguments[1]); left > 0; left--)
    keep(BLOCK_BYTES);
  spike((size_t)atoi(arguments[2]));
  if (strcmp(then, "fork") == 0 && fork() == 0)
    _exit(0);
  if (strcmp(then, "fork and keep") == 0 && fork() == 0) {
    keep(3000);
    _exit(0);
  }
  if (strcmp(then, "exec") == 0)
    execl(arguments[0], arguments[0], "0", "0", (char *)0);
  while (wait(NULL) > 0)
    continue;
  if (strcmp(then, "abort") == 0)
    abort();
  return strcmp(then, "fail") == 0 ? 7 : 0;
}
