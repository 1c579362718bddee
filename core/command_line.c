/* SPDX-License-Identifier: MIT */
#include "core/command_line.h"

#include "core/libc.h"
#include "core/region_format.h"
#include "core/sys.h"
#include "core/text.h"

#include <elf.h>

static char line[COMMAND_BYTES];
static const char *kept_from; /* NULL: the kernel's line may be another */
static size_t kept_bytes;

static char shown(char byte)
{
  return (unsigned char)byte < ' ' ? ' ' : byte;
}

void command_line_keep(char *const *arguments)
{
  struct text text = TEXT_INIT(line);
  for (unsigned i = 0; arguments[i] != NULL && !text.cut; i++) {
    text_put(&text, i > 0 ? " " : "");
    text_put(&text, arguments[i]);
  }
  for (char *c = line; *c != '\0'; c++)
    *c = shown(*c);
  bool has_one_line = libc_auxv(AT_BASE) != 0; /* and not the loader's, with the program as its argument */
  kept_from = has_one_line ? arguments[0] : NULL;
  kept_bytes = text.length + (text.cut ? 0 : 1);
}

const char *command_line(void)
{
  return line;
}

/* The arguments lie one behind the other, where /proc/self/cmdline is read from. */
bool command_line_is_unchanged(void)
{
  enum { PAGE_BYTES = 4096 };
  bool is_same = kept_from != NULL;
  for (size_t i = 0; i < kept_bytes && is_same; i++) {
    const char *byte = kept_from + i;
    if ((i == 0 || (uintptr_t)byte % PAGE_BYTES == 0) && !sys_is_readable((uintptr_t)byte & -sizeof(uintptr_t)))
      return false;
    is_same = line[i] != '\0' ? shown(*byte) == line[i] : *byte == '\0';
  }
  return is_same;
}
