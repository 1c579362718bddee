/* SPDX-License-Identifier: MIT */
/* U12: allocates where a function is bound when it is called first, by the code that chooses it: between that and main lies a frame of the
 * loader that has its caller's in rbx. With "filter" behind a seccomp filter, through which the first call of the function does not pass. */
#include "hz_filter.h"

extern size_t lazy_choice_bytes;
extern void *volatile lazy_kept;
int lazy_enter(void);

VICTIM void victim_bind(void)
{
  (void)lazy_enter();
  __asm__ volatile("" ::: "memory");
}

int main(int argc, char **argv)
{
  lazy_choice_bytes = 30000;
  if (argc > 1 && strcmp(argv[1], "filter") == 0) {
    free(malloc(2 * lazy_choice_bytes)); /* libc has its heap */
    hz_confine("prctl", &hz_strict);
  }
  victim_bind();
  REQUIRE(lazy_kept != NULL);
  free(lazy_kept);
  REQUIRE(write(STDOUT_FILENO, "ok\n", 3) == 3); /* puts asks for the kind of file first */
  return 0;
}
