/* SPDX-License-Identifier: MIT */
#ifndef HZ_HANDING_ALLOCATOR_H
#define HZ_HANDING_ALLOCATOR_H
#include <stdbool.h>
#include <stddef.h>

enum { HANDED_BYTES = 3333, HANDED_BLOCKS = 4096 };

/* Is there a freed block that the next malloc(HANDED_BYTES) will get? */
bool hz_is_offered(void) __attribute__((weak));

#endif
