/* SPDX-License-Identifier: MIT */
/* What kind of program a file is: can it be profiled by a preloaded library, and does preloading do it any harm?
 *
 * Failure: a program that cannot be read is of an unknown kind, and is run as it is.
 */
#ifndef HEAPPROF_PROGRAM_FILE_H
#define HEAPPROF_PROGRAM_FILE_H

#include <stdbool.h>

enum program_kind {
  PROGRAM_PROFILED,      /* nothing speaks against it, or nothing is known */
  PROGRAM_STATIC,        /* no dynamic linker: no preloading */
  PROGRAM_LINKED,        /* the same, but it has the library inside */
  PROGRAM_OWN_MALLOC,    /* a preloaded library puts its hooks into its functions, if it can */
  PROGRAM_SANITIZED,     /* its calls do not reach a preloaded library; the runtime is in the executable */
  PROGRAM_SHARED_ASAN,   /* a runtime that ends the program if anything is preloaded */
  PROGRAM_OTHER_MACHINE, /* its dynamic linker complains of our library and goes on */
  PROGRAM_OTHER_LIBC,    /* its dynamic linker may fail on our library */
  PROGRAM_PRIVILEGED,    /* its dynamic linker takes no orders from the environment */
};

struct program_verdict {
  enum program_kind kind;
  bool is_text;       /* the program: it has an interpreter, or is for the shell */
  char *file;         /* that decided: the program itself or, of a script, its interpreter */
  char *reason;       /* goes on behind the name of the file: "is a 32-bit program"; NULL if it is profiled */
  const char *unseen; /* a function of a shared allocator that it calls, and no hook is in front of; NULL: none */
};

/* The file that execvp would run for `command`, by the same rules; with a slash. NULL: there is none, and *number is
 * ENOENT or EACCES. To be freed. */
char *program_file_find(const char *command, int *number);

/* Judges what runs when the file is executed: scripts are followed to their interpreters, `#!/usr/bin/env X` to X. */
void program_file_judge(const char *path, struct program_verdict *verdict);
void program_verdict_clear(struct program_verdict *verdict);

/* Can the environment ask for our library without doing harm? Programs that the program starts may be profiled then,
 * even if it is not. */
bool program_kind_bears_preload(enum program_kind kind);

#endif
