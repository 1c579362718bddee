/* SPDX-License-Identifier: MIT */
/* Judging files by their first bytes: real programs, crafted ones, damaged ones. (What happens when they are run is
 * tested in tests/cli/test_run_programs.py.) */
#include "tools/run/program_file.h"

#include "tools/run/elf_facts.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *folder;

static int make_folder(void **state)
{
  (void)state;
  folder = g_dir_make_tmp("program_file.XXXXXX", NULL);
  return folder == NULL;
}

static int remove_folder(void **state)
{
  (void)state;
  g_autoptr(GDir) directory = g_dir_open(folder, 0, NULL);
  const char *name;
  while ((name = g_dir_read_name(directory)) != NULL) {
    g_autofree char *path = g_build_filename(folder, name, NULL);
    g_remove(path);
  }
  g_rmdir(folder);
  g_free(folder);
  return 0;
}

/* An executable file; the path is to be freed. */
static char *file_of(const char *name, const void *bytes, size_t size)
{
  char *path = g_build_filename(folder, name, NULL);
  assert_true(g_file_set_contents(path, bytes, (gssize)size, NULL));
  assert_int_equal(chmod(path, 0755), 0);
  return path;
}

static void assert_judged(const char *path, enum program_kind kind, const char *reason, const char *file)
{
  struct program_verdict verdict;
  program_file_judge(path, &verdict);
  assert_int_equal(verdict.kind, kind);
  assert_string_equal(verdict.file, file);
  if (reason == NULL)
    assert_null(verdict.reason);
  else
    assert_string_equal(verdict.reason, reason);
  program_verdict_clear(&verdict);
}

static void assert_script(const char *text, const char *file)
{
  g_autofree char *path = file_of("script", text, strlen(text));
  struct program_verdict verdict;
  program_file_judge(path, &verdict);
  assert_string_equal(verdict.file, file);
  assert_true(verdict.is_text);
  program_verdict_clear(&verdict);
}

/* A program with a header and, with an interpreter, one program header. */
struct crafted {
  Elf64_Ehdr header;
  Elf64_Phdr program;
  char interpreter[64];
};

static struct crafted crafted_of(const char *interpreter)
{
  struct crafted elf = {.header = {.e_type = ET_DYN,
                                   .e_machine = EM_X86_64,
                                   .e_version = EV_CURRENT,
                                   .e_phoff = sizeof(Elf64_Ehdr),
                                   .e_ehsize = sizeof(Elf64_Ehdr),
                                   .e_phentsize = sizeof(Elf64_Phdr),
                                   .e_phnum = interpreter != NULL}};
  memcpy(elf.header.e_ident, (char[]){0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT, 0}, 8);
  if (interpreter != NULL) {
    elf.program = (Elf64_Phdr){
        .p_type = PT_INTERP, .p_offset = offsetof(struct crafted, interpreter), .p_filesz = strlen(interpreter) + 1};
    g_strlcpy(elf.interpreter, interpreter, sizeof elf.interpreter);
  }
  return elf;
}

static void assert_crafted(const struct crafted *elf, enum program_kind kind, const char *reason)
{
  g_autofree char *path = file_of("program", elf, sizeof *elf);
  assert_judged(path, kind, reason, path);
}

static const char GLIBC[] = "/lib64/ld-linux-x86-64.so.2";

static void real_programs(void **state)
{
  (void)state;
  assert_judged("/bin/ls", PROGRAM_PROFILED, NULL, "/bin/ls");
  assert_judged("/lib64/ld-linux-x86-64.so.2", PROGRAM_PROFILED, NULL, "/lib64/ld-linux-x86-64.so.2");
}

static void kinds(void **state)
{
  (void)state;
  struct crafted elf = crafted_of(GLIBC);
  assert_crafted(&elf, PROGRAM_PROFILED, NULL);
  elf = crafted_of("/nix/store/0123-glibc/lib/ld-linux-x86-64.so.2");
  assert_crafted(&elf, PROGRAM_PROFILED, NULL);
  elf = crafted_of(NULL);
  assert_crafted(&elf, PROGRAM_STATIC, "is statically linked, without libheapprof.a");
  elf = crafted_of("/lib/ld-musl-x86_64.so.1");
  assert_crafted(&elf, PROGRAM_PROFILED, NULL);
  elf = crafted_of("/lib/ld64-uClibc.so.0");
  assert_crafted(&elf, PROGRAM_OTHER_LIBC, "is made for another C library (/lib/ld64-uClibc.so.0)");
  elf = crafted_of("");
  assert_crafted(&elf, PROGRAM_OTHER_LIBC, "is made for another C library ()");
}

static void machines(void **state)
{
  (void)state;
  struct crafted elf = crafted_of(GLIBC);
  elf.header.e_machine = EM_AARCH64;
  assert_crafted(&elf, PROGRAM_OTHER_MACHINE, "is a program for another machine");
  elf = crafted_of(GLIBC);
  elf.header.e_ident[EI_DATA] = ELFDATA2MSB;
  assert_crafted(&elf, PROGRAM_OTHER_MACHINE, "is a program for another machine");
  Elf32_Ehdr small = {.e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT, .e_ehsize = sizeof small};
  memcpy(small.e_ident, (char[]){0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT, 0}, 8);
  g_autofree char *path = file_of("small", &small, sizeof small);
  assert_judged(path, PROGRAM_OTHER_MACHINE, "is a 32-bit program", path);
}

static void preloads(void **state)
{
  (void)state;
  assert_true(program_kind_bears_preload(PROGRAM_PROFILED));
  assert_true(program_kind_bears_preload(PROGRAM_STATIC));
  assert_true(program_kind_bears_preload(PROGRAM_OWN_MALLOC));
  assert_false(program_kind_bears_preload(PROGRAM_OTHER_MACHINE));
  assert_false(program_kind_bears_preload(PROGRAM_OTHER_LIBC));
  assert_false(program_kind_bears_preload(PROGRAM_SHARED_ASAN));
  assert_false(program_kind_bears_preload(PROGRAM_PRIVILEGED));
}

static void scripts(void **state)
{
  (void)state;
  assert_script("", "/bin/sh");
  assert_script("echo\n", "/bin/sh");
  assert_script("#!", "/bin/sh");
  assert_script("#!   \n", "/bin/sh");
  assert_script("#!/bin/ls", "/bin/ls");
  assert_script("#! /bin/ls -l -a\n", "/bin/ls");
  assert_script("#!/bin/ls\t-l\n", "/bin/ls");
  assert_script("#!/nowhere/x\n", "/nowhere/x");
}

static void scripts_of_env(void **state)
{
  (void)state;
  g_autofree char *ls = NULL;
  int number;
  assert_non_null(ls = program_file_find("ls", &number));
  assert_script("#!/usr/bin/env ls\n", ls);
  assert_script("#!/usr/bin/env -S ls -l\n", ls);
  assert_script("#!/usr/bin/env -Sls -l\n", ls);
  assert_script("#!/usr/bin/env -S A=1 ls\n", ls);
  assert_script("#!/usr/bin/env -i\n", "/usr/bin/env");
  assert_script("#!/usr/bin/env\n", "/usr/bin/env");
  assert_script("#!/usr/bin/env no-such-program\n", "/usr/bin/env");
}

static void script_of_itself(void **state)
{
  (void)state;
  g_autofree char *path = g_build_filename(folder, "loop", NULL), *text = g_strconcat("#!", path, "\n", NULL);
  g_free(file_of("loop", text, strlen(text)));
  assert_judged(path, PROGRAM_PROFILED, NULL, path); /* Linux will refuse it */
}

static void search_path(void **state)
{
  (void)state;
  int number;
  g_autofree char *own = file_of("own", "x", 1), *locked = file_of("locked", "x", 1);
  g_autofree char *saved = g_strdup(g_getenv("PATH")), *path = g_strconcat("/nowhere:", folder, NULL);
  assert_int_equal(chmod(locked, 0644), 0);
  assert_true(g_setenv("PATH", path, TRUE));
  g_autofree char *found = program_file_find("own", &number);
  assert_string_equal(found, own);
  assert_null(program_file_find("locked", &number));
  assert_int_equal(number, EACCES);
  assert_null(program_file_find("nothing", &number));
  assert_int_equal(number, ENOENT);
  assert_null(program_file_find("", &number));
  assert_int_equal(number, ENOENT);
  assert_null(program_file_find(folder, &number)); /* a directory */
  assert_int_equal(number, EACCES);
  assert_true(g_setenv("PATH", saved, TRUE));
}

/* Whatever the bytes are, judging ends; a real program is cut everywhere and changed at random. */
static void damaged(void **state)
{
  (void)state;
  g_autofree char *bytes = NULL;
  gsize size;
  assert_true(g_file_get_contents("/bin/true", &bytes, &size, NULL));
  g_autofree char *path = NULL;
  struct program_verdict verdict;
  for (gsize cut = 0; cut < size; cut += 1 + cut / 8) {
    g_free(path);
    path = file_of("cut", bytes, cut);
    program_file_judge(path, &verdict);
    program_verdict_clear(&verdict);
  }
  g_autoptr(GRand) random = g_rand_new_with_seed(1);
  for (int round = 0; round < 300; round++) {
    g_autofree char *copy = g_memdup2(bytes, size);
    for (int i = 0; i < 30; i++) /* headers matter most: they are at both ends */
      copy[g_rand_boolean(random) ? (gsize)g_rand_int_range(random, 4, 1024)
                                  : size - 1 - (gsize)g_rand_int_range(random, 0, 2048)] = (char)g_rand_int(random);
    g_free(path);
    path = file_of("changed", copy, size);
    program_file_judge(path, &verdict);
    assert_non_null(verdict.file);
    program_verdict_clear(&verdict);
  }
}

static void facts_of_a_library(void **state)
{
  (void)state;
  struct elf_facts facts;
  int descriptor = open("/lib/x86_64-linux-gnu/libc.so.6", O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    skip();
  elf_facts_read(descriptor, &facts);
  close(descriptor);
  assert_true(facts.is_elf && facts.is_for_us);
  assert_string_equal(facts.soname, "libc.so.6");
  assert_true(elf_facts_needs(&facts, "ld-linux"));
  assert_false(elf_facts_needs(&facts, "libasan"));
  assert_true(elf_facts_defines(&facts, "malloc"));
  assert_false(elf_facts_defines(&facts, "__tls_get_addr")); /* asked for, not given */
  elf_facts_clear(&facts);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(real_programs),      cmocka_unit_test(kinds),       cmocka_unit_test(machines),
      cmocka_unit_test(preloads),           cmocka_unit_test(scripts),     cmocka_unit_test(scripts_of_env),
      cmocka_unit_test(script_of_itself),   cmocka_unit_test(search_path), cmocka_unit_test(damaged),
      cmocka_unit_test(facts_of_a_library),
  };
  return cmocka_run_group_tests_name("program_file", tests, make_folder, remove_folder);
}
