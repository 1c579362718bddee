/* SPDX-License-Identifier: MIT */
/* Profiles made by anybody. */
#include "heap_checks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  check_input(data, size);
  return 0;
}
