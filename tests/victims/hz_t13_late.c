/* SPDX-License-Identifier: MIT */
/* Its only thread counts, in a register and in memory, so that one that is led back in time is found out. It answers
 * each line with another one. */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OFTEN = 1 << 12 };

/* Two, as somebody may be led back to between a look at one and what is written there. */
static volatile unsigned long kept, kept_again;

/* It has been going on until now. */
static bool answer(bool *is_over)
{
  struct pollfd input = {.fd = 0, .events = POLLIN};
  char text[16];
  if (poll(&input, 1, 0) == 0)
    return true;
  ssize_t bytes = read(0, text, sizeof text);
  *is_over = bytes <= 0 || memchr(text, 'e', (size_t)bytes) != NULL;
  return *is_over || write(1, "counts\n", 7) == 7;
}

int main(void)
{
  bool is_over = false, is_right = write(1, "ready\n", 6) == 6;
  for (unsigned long n = 0; is_right && !is_over; n++) {
    is_right = kept == n;
    kept = n + 1;
    is_right = is_right && kept_again == n;
    kept_again = n + 1;
    if (is_right && n % OFTEN == 0)
      is_right = answer(&is_over);
  }
  return is_right ? 0 : 1;
}
