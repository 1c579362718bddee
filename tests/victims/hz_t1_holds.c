/* SPDX-License-Identifier: MIT */
/* Its only thread is in its allocator, and holds the lock, until a line comes. */
#include <stdlib.h>

int hold_until_line(void);

int main(void)
{
  return malloc(100) != NULL && hold_until_line() && malloc(100) != NULL ? 0 : 1;
}
