/* SPDX-License-Identifier: MIT */
/* An executable or library, opened to look up places in its code: itself, and the file that its debug information is
 * in.
 *
 * Debug information is looked for in the file, by build id and .gnu_debuglink in the usual directories, and by
 * debuginfod if $DEBUGINFOD_URLS is set; that of dwz and split units is found from there. A file that is gone or was
 * replaced is looked for in the process that still runs it, then by its build id. Files are hostile input as far as
 * libdw takes it: see symbol_worker.h.
 *
 * Threads: one at a time per process. Memory: the object's.
 */
#ifndef HEAPPROF_OBJECT_FILE_H
#define HEAPPROF_OBJECT_FILE_H

#include <elfutils/libdwfl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct object_source {
  const char *root, *path; /* the file is at the one followed by the other */
  const char *build_id;    /* lowercase hex, "" if unknown */
  uint64_t code_offset;    /* in the file: where the first mapping of its code starts */
  const char *proc;        /* "/proc/PID" of a process that runs it now; NULL: none */
  uint64_t start, limit;   /* of the first mapping of its code there */
  uid_t owner;             /* of whom all this is (owner_rights.h), for symbol_worker.h; 0: root, or nobody else */
  bool wants_debug;        /* look for debug information */
  int64_t until_us; /* of the monotonic clock: whoever looks is ended then; 0: when it has been silent for long */
  /* While debuginfod downloads, if not NULL. */
  void (*downloads)(uint64_t done, uint64_t total, void *context);
  void *context;
};

struct object_file {
  Dwfl *dwfl;
  Dwfl_Module *module;
  Elf *elf;
  GElf_Addr elf_bias;    /* libdwfl's address minus the address in the ELF file */
  Dwarf *dwarf;          /* NULL: no debug information */
  Dwarf_Addr dwarf_bias; /* libdwfl's address minus that in `dwarf` */
  uint64_t code_offset;
  bool is_trusted; /* only root or we could have written it */
};

#define OBJECT_FILE_ERROR g_quark_from_static_string("heapprof-object-file")

enum object_file_error { OBJECT_FILE_UNUSABLE };

/* NULL and *error: it cannot be read, it is no ELF file, or its build id is another. */
struct object_file *object_file_open(const struct object_source *source, GError **error);
void object_file_close(struct object_file *object);

/* The address in the ELF file of the byte at `offset` in the file, as the program headers map it. */
bool object_file_address(const struct object_file *object, uint64_t offset, uint64_t *address);

#endif
