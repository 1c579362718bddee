/* SPDX-License-Identifier: MIT */
/* S4: general-dynamic TLS, of more than 64 bytes. */
#define MINI_TLS __attribute__((tls_model("global-dynamic")))
#include "mini_shim.h"
static __thread MINI_TLS volatile char more[64];
__attribute__((constructor)) static void use(void)
{
  more[1]++;
}
