/* SPDX-License-Identifier: MIT */
#include "tools/run/program_file.h"

#include "core/arch/arch.h"
#include "tools/run/elf_facts.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

enum {
  SCRIPT_LEVELS = 4,       /* as many as Linux follows */
  SCRIPT_LINE_BYTES = 256, /* as much of a script as Linux looks at */
};

/* Finding. */

static bool is_executable_file(const char *path, int *number)
{
  struct stat status;
  if (stat(path, &status) != 0) {
    *number = errno == EACCES ? EACCES : *number;
    return false;
  }
  if (S_ISREG(status.st_mode) && faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
    return true;
  *number = EACCES;
  return false;
}

static char *find_in(const char *folder, const char *command, int *number)
{
  char *candidate = g_build_filename(folder[0] != '\0' ? folder : ".", command, NULL);
  if (!is_executable_file(candidate, number))
    g_clear_pointer(&candidate, g_free);
  return candidate;
}

char *program_file_find(const char *command, int *number)
{
  *number = ENOENT;
  if (command[0] == '\0')
    return NULL;
  if (strchr(command, '/') != NULL)
    return is_executable_file(command, number) ? g_strdup(command) : NULL;
  const char *path = g_getenv("PATH");
  g_auto(GStrv) folders = g_strsplit(path != NULL ? path : "/bin:/usr/bin", ":", -1);
  char *found = folders[0] == NULL ? find_in("", command, number) : NULL;
  for (char **folder = folders; *folder != NULL && found == NULL; folder++)
    found = find_in(*folder, command, number);
  return found;
}

/* Scripts. */

/* The program that `env`, with these words behind it, runs: the first that is neither option nor assignment. NULL:
 * none, or options are in the way. */
static const char *program_of_env(char **words)
{
  for (; *words != NULL; words++) {
    if ((*words)[0] == '\0' || strcmp(*words, "-S") == 0 || strcmp(*words, "--split-string") == 0)
      continue;
    if (g_str_has_prefix(*words, "-S"))
      return *words + 2;
    if ((*words)[0] == '-')
      return NULL;
    if (strchr(*words, '=') == NULL)
      return *words;
  }
  return NULL;
}

/* The program that the first line of a script names. A text without one is for the shell. To be freed. */
static char *interpreter_of(const char *line)
{
  if (!g_str_has_prefix(line, "#!"))
    return g_strdup("/bin/sh");
  g_autofree char *first = g_strndup(line + 2, strcspn(line + 2, "\n"));
  g_auto(GStrv) words = g_strsplit_set(g_strstrip(first), " \t", -1);
  if (words[0] == NULL)
    return g_strdup("/bin/sh");
  g_autofree char *name = g_path_get_basename(words[0]);
  const char *behind_env = strcmp(name, "env") == 0 ? program_of_env(words + 1) : NULL;
  int number;
  char *found = behind_env != NULL ? program_file_find(behind_env, &number) : NULL;
  return found != NULL ? found : g_strdup(words[0]);
}

/* Programs. */

/* Will the dynamic linker find AT_SECURE set? The rules are those of Linux: ids that differ from those of the caller,
 * or capabilities gained by one who is not root. */
static const char *gains_privileges(int descriptor)
{
  struct stat status;
  struct statvfs file_system;
  if (fstat(descriptor, &status) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ||
      (fstatvfs(descriptor, &file_system) == 0 && (file_system.f_flag & ST_NOSUID) != 0))
    return NULL;
  if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid())
    return "is setuid";
  if ((status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) && status.st_gid != getgid())
    return "is setgid";
  if (getuid() != 0 && fgetxattr(descriptor, "security.capability", NULL, 0) > 0)
    return "has file capabilities";
  return NULL;
}

/* The dynamic linker itself may be called, with a program to load. */
static bool is_dynamic_linker(const struct elf_facts *facts)
{
  return facts->soname != NULL && g_str_has_prefix(facts->soname, "ld-linux");
}

static bool is_known_linker(const char *interpreter)
{
  g_autofree char *name = g_path_get_basename(interpreter);
  return strcmp(name, ARCH_DYNAMIC_LINKER) == 0 || strcmp(name, ARCH_MUSL_LINKER) == 0;
}

static void decide(struct program_verdict *verdict, enum program_kind kind, const char *reason)
{
  verdict->kind = kind;
  verdict->reason = g_strdup(reason);
}

static void judge_elf(const struct elf_facts *facts, const char *privileges, struct program_verdict *verdict)
{
  if (!facts->is_for_us)
    decide(verdict, PROGRAM_OTHER_MACHINE,
           facts->class == ELFCLASS32 ? "is a 32-bit program" : "is a program for another machine");
  else if (facts->interpreter != NULL && !is_known_linker(facts->interpreter)) {
    g_autofree char *reason = g_strdup_printf("is made for another C library (%s)", facts->interpreter);
    decide(verdict, PROGRAM_OTHER_LIBC, reason);
  } else if (elf_facts_needs(facts, "libasan.so") || elf_facts_needs(facts, "libclang_rt.asan"))
    decide(verdict, PROGRAM_SHARED_ASAN, "is built with AddressSanitizer");
  else if (privileges != NULL) {
    g_autofree char *reason = g_strdup_printf("runs with raised privileges (it %s)", privileges);
    decide(verdict, PROGRAM_PRIVILEGED, reason);
  } else if (facts->interpreter == NULL && facts->has_library)
    decide(verdict, PROGRAM_LINKED, "is statically linked, with libheapprof.a");
  else if (facts->interpreter == NULL && !is_dynamic_linker(facts))
    decide(verdict, PROGRAM_STATIC, "is statically linked, without libheapprof.a");
  else if (elf_facts_defines(facts, "__sanitizer_get_allocated_size") || elf_facts_needs(facts, "libtsan.so") ||
           elf_facts_needs(facts, "liblsan.so") || elf_facts_needs(facts, "libhwasan.so"))
    decide(verdict, PROGRAM_SANITIZED, "is built with a sanitizer, which has an allocator of its own");
  else if (elf_facts_defines(facts, "malloc"))
    decide(verdict, PROGRAM_OWN_MALLOC, "brings its own malloc");
}

/* A shared allocator's by names that only it has. In an executable they get hooks, in a library none. */
static const char *find_unseen(const struct elf_facts *facts)
{
  static const char *const names[] = {"mi_malloc",         "mi_calloc",    "mi_realloc",     "mi_zalloc",
                                      "mi_malloc_aligned", "mi_new",       "mi_heap_malloc", "mi_heap_calloc",
                                      "je_malloc",         "je_calloc",    "je_realloc",     "je_mallocx",
                                      "_rjem_malloc",      "_rjem_calloc", "_rjem_mallocx",  "tc_malloc",
                                      "tc_calloc",         "tc_realloc",   "tc_new"};
  for (size_t i = 0; i < G_N_ELEMENTS(names); i++)
    if (elf_facts_calls(facts, names[i]))
      return names[i];
  return NULL;
}

/* Judges the file; returns the interpreter that decides instead, if it is a script. To be freed. */
static char *judge_one(const char *path, struct program_verdict *verdict)
{
  char line[SCRIPT_LINE_BYTES + 1];
  int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0)
    return NULL; /* may be run, may not be read */
  struct elf_facts facts;
  elf_facts_read(descriptor, &facts);
  char *interpreter = NULL;
  if (facts.is_elf) {
    judge_elf(&facts, gains_privileges(descriptor), verdict);
    verdict->unseen = find_unseen(&facts);
  } else {
    ssize_t size = pread(descriptor, line, sizeof line - 1, 0);
    line[size > 0 ? size : 0] = '\0';
    interpreter = interpreter_of(line);
  }
  elf_facts_clear(&facts);
  close(descriptor);
  return interpreter;
}

void program_file_judge(const char *path, struct program_verdict *verdict)
{
  *verdict = (struct program_verdict){.kind = PROGRAM_PROFILED, .file = g_strdup(path)};
  for (int level = 0; level <= SCRIPT_LEVELS; level++) {
    char *interpreter = judge_one(verdict->file, verdict);
    if (interpreter == NULL)
      return;
    verdict->is_text = true;
    g_free(verdict->file);
    verdict->file = interpreter;
  }
}

void program_verdict_clear(struct program_verdict *verdict)
{
  g_free(verdict->file);
  g_free(verdict->reason);
}

bool program_kind_bears_preload(enum program_kind kind)
{
  return kind == PROGRAM_PROFILED || kind == PROGRAM_STATIC || kind == PROGRAM_LINKED || kind == PROGRAM_OWN_MALLOC ||
         kind == PROGRAM_SANITIZED;
}
