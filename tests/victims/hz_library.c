/* SPDX-License-Identifier: MIT */
/* A library the victim is linked with: initialised before a preloaded library's constructor, torn down after its
 * destructor. What it does there is up to the victim, which defines these two (-rdynamic). */
void hz_library_constructor(int argc, char **argv) __attribute__((weak));
void hz_library_destructor(void) __attribute__((weak));

__attribute__((constructor)) static void construct(int argc, char **argv)
{
  if (hz_library_constructor)
    hz_library_constructor(argc, argv);
}

__attribute__((destructor)) static void destroy(void)
{
  if (hz_library_destructor)
    hz_library_destructor();
}

void hz_library_needed(void);
void hz_library_needed(void) {}
