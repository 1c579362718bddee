/* SPDX-License-Identifier: MIT */
/* Perf maps and dumps of generated code, made by anybody: no address gets a name that was not offered for it. */
#include "tools/symbols/jitdump.h"
#include "tools/symbols/perf_map.h"

#include "must.h"

#include <string.h>

enum { ADDRESSES = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 0x10, 0x20, ..., and the last there is. */
static struct code_names *new_names(void)
{
  uint64_t addresses[ADDRESSES];
  for (uint32_t i = 0; i < ADDRESSES - 1; i++)
    addresses[i] = 0x10 * (i + 1);
  addresses[ADDRESSES - 1] = UINT64_MAX;
  return code_names_new(addresses, ADDRESSES);
}

static void check(const struct code_names *names, const uint8_t *data, size_t size)
{
  bool is_complete = true;
  for (uint32_t i = 0; i < ADDRESSES; i++) {
    const char *name = code_names_get(names, i);
    is_complete = is_complete && name != NULL;
    MUST(name == NULL || strlen(name) <= 4096);
    MUST(name == NULL || memmem(data, size, name, strlen(name)) != NULL);
  }
  MUST(is_complete == code_names_are_complete(names));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  struct code_names *names = new_names();
  perf_map_read((const char *)data, size, names);
  check(names, data, size);
  code_names_free(names);
  names = new_names();
  (void)jitdump_read(data, size, names);
  check(names, data, size);
  code_names_free(names);
  return 0;
}
