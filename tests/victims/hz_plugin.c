/* SPDX-License-Identifier: MIT */
/* A library to dlopen, built in variants that differ in one number, the frame size: every function of one lies at the
 * same offset as in the other, so that loaded in turn at one address they give one pc two frame layouts. */
#include <stddef.h>
#include <string.h>
#ifndef FRAME_BYTES
#define FRAME_BYTES 512
#endif
#ifdef TLS_BYTES
static __thread char tls[TLS_BYTES];
#endif

int hz_plugin_variant(void);
int hz_plugin_variant(void)
{
#ifdef TLS_BYTES
  return tls[TLS_BYTES - 1] < 100 ? ++tls[TLS_BYTES - 1] : 100;
#else
  return FRAME_BYTES;
#endif
}

void *hz_plugin_deep(int depth, void *(*alloc)(size_t));
__attribute__((noinline)) void *hz_plugin_deep(int depth, void *(*alloc)(size_t))
{
  volatile char frame[FRAME_BYTES];
  memset((char *)frame, 0x41, sizeof frame); /* what a wrong layout takes for a return address points nowhere */
  void *p = depth > 0 ? hz_plugin_deep(depth - 1, alloc) : alloc(sizeof frame);
  return frame[depth] == 0x41 ? p : NULL;
}
