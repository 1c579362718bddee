/* SPDX-License-Identifier: MIT */
#include "tools/symbols/object_file.h"

#include "core/build_id.h"

#include <dlfcn.h>
#include <elfutils/debuginfod.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEBUG_DIRECTORY "/usr/lib/debug"

enum { BUILD_ID_BYTES_MAX = 64 };

/* Beside the file, and in the directories of debug information. */
static char *search_path;

static const Dwfl_Callbacks callbacks = {
    .find_elf = dwfl_build_id_find_elf,
    .find_debuginfo = dwfl_standard_find_debuginfo,
    .section_address = dwfl_offline_section_address,
    .debuginfo_path = &search_path,
};

static void set_search_path(const char *root)
{
  g_free(search_path);
  if (root[0] == '\0' || strchr(root, ':') != NULL)
    search_path = g_strdup(":.debug:" DEBUG_DIRECTORY);
  else
    search_path = g_strdup_printf(":.debug:%s" DEBUG_DIRECTORY ":" DEBUG_DIRECTORY, root);
}

/* --- downloads --- */

static const struct object_source *downloading;

static int report_download(debuginfod_client *client, long done, long total)
{
  (void)client;
  uint64_t bytes = (uint64_t)MAX(done, 0), of_bytes = (uint64_t)MAX(total, 0);
  downloading->downloads(bytes, MAX(of_bytes, bytes + 1), downloading->context);
  return 0; /* go on */
}

/* libdw loads the library of debuginfod when it makes a client; it is too large to be loaded for nothing. */
static void watch_downloads(Dwfl *dwfl, const struct object_source *source)
{
  const char *servers = getenv("DEBUGINFOD_URLS");
  if (source->downloads == NULL || servers == NULL || servers[0] == '\0')
    return;
  debuginfod_client *client = dwfl_get_debuginfod_client(dwfl);
  void *library = client != NULL ? dlopen("libdebuginfod.so.1", RTLD_LAZY | RTLD_NOLOAD) : NULL;
  if (library == NULL)
    return;
  void (*set_progress)(debuginfod_client *, debuginfod_progressfn_t) = NULL;
  *(void **)&set_progress = dlsym(library, "debuginfod_set_progressfn");
  downloading = source;
  if (set_progress != NULL)
    set_progress(client, report_download);
}

/* --- the file of that name --- */

/* Opens nothing that blocks, and nothing but a regular file: the path is somebody else's hint. */
static int open_regular(const char *path, bool *is_trusted, GError **error)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    g_set_error_literal(error, OBJECT_FILE_ERROR, OBJECT_FILE_UNUSABLE, g_strerror(errno));
    return -1;
  }
  struct stat status;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
    *is_trusted = (status.st_uid == 0 || status.st_uid == geteuid()) && (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
    return fd;
  }
  g_set_error_literal(error, OBJECT_FILE_ERROR, OBJECT_FILE_UNUSABLE, "not a regular file");
  close(fd);
  return -1;
}

static bool report_path(struct object_file *object, const char *path, GError **error)
{
  int fd = open_regular(path, &object->is_trusted, error);
  if (fd < 0)
    return false;
  dwfl_report_begin(object->dwfl);
  object->module = dwfl_report_elf(object->dwfl, path, path, fd, 0, false);
  if (object->module == NULL) { /* else it is theirs */
    close(fd);
    g_set_error_literal(error, OBJECT_FILE_ERROR, OBJECT_FILE_UNUSABLE, "not an ELF file");
  }
  dwfl_report_end(object->dwfl, NULL, NULL);
  return object->module != NULL;
}

/* --- the file of that build id --- */

static size_t parse_build_id(const char *hex, unsigned char *bytes)
{
  size_t length = strlen(hex) / 2;
  if (length == 0 || length > BUILD_ID_BYTES_MAX || strlen(hex) % 2 != 0)
    return 0;
  for (size_t i = 0; i < length; i++) {
    int high = g_ascii_xdigit_value(hex[2 * i]), low = g_ascii_xdigit_value(hex[2 * i + 1]);
    if (high < 0 || low < 0)
      return 0;
    bytes[i] = (unsigned char)(high * 16 + low);
  }
  return length;
}

/* libdwfl looks in the directories of debug information and asks debuginfod. */
static bool report_build_id(struct object_file *object, const char *build_id)
{
  unsigned char bytes[BUILD_ID_BYTES_MAX];
  size_t length = parse_build_id(build_id, bytes);
  if (length == 0)
    return false;
  dwfl_report_begin(object->dwfl);
  object->module = dwfl_report_module(object->dwfl, build_id, 0, (GElf_Addr)1 << 62);
  if (object->module != NULL && dwfl_module_report_build_id(object->module, bytes, (int)length, 0) != 0)
    object->module = NULL;
  dwfl_report_end(object->dwfl, NULL, NULL);
  return object->module != NULL;
}

/* --- either --- */

/* Ours is asked first: libdwfl does not see an id in a note that ends without its padding. */
static bool find_build_id(Elf *elf, struct build_id *id)
{
  size_t count;
  if (elf_getphdrnum(elf, &count) != 0)
    return false;
  for (size_t i = 0; i < count; i++) {
    GElf_Phdr header;
    if (gelf_getphdr(elf, (int)i, &header) == NULL || header.p_type != PT_NOTE)
      continue;
    const Elf_Data *notes = elf_getdata_rawchunk(elf, (int64_t)header.p_offset, header.p_filesz, ELF_T_BYTE);
    if (notes != NULL && notes->d_buf != NULL && build_id_find(notes->d_buf, notes->d_size, header.p_align, id))
      return true;
  }
  return false;
}

static char *build_id_hex(const struct object_file *object)
{
  struct build_id id;
  const unsigned char *bytes = id.bytes;
  GElf_Addr address;
  int length = find_build_id(object->elf, &id) ? (int)id.size : dwfl_module_build_id(object->module, &bytes, &address);
  GString *hex = g_string_new(NULL);
  for (int i = 0; i < length; i++)
    g_string_append_printf(hex, "%02x", bytes[i]);
  return g_string_free(hex, FALSE);
}

static bool check_build_id(const struct object_file *object, const char *expected, GError **error)
{
  g_autofree char *hex = build_id_hex(object);
  if (expected[0] == '\0' || strcmp(expected, hex) == 0)
    return true;
  g_set_error_literal(error, OBJECT_FILE_ERROR, OBJECT_FILE_UNUSABLE, "the file changed since the profile was taken");
  return false;
}

static bool read_module(struct object_file *object, const struct object_source *source, GError **error)
{
  object->elf = dwfl_module_getelf(object->module, &object->elf_bias);
  GElf_Ehdr header;
  if (object->elf == NULL || gelf_getehdr(object->elf, &header) == NULL ||
      (header.e_type != ET_EXEC && header.e_type != ET_DYN)) {
    g_set_error_literal(error, OBJECT_FILE_ERROR, OBJECT_FILE_UNUSABLE, "not an executable or shared library");
    return false;
  }
  if (!check_build_id(object, source->build_id, error))
    return false;
  if (source->wants_debug)
    object->dwarf = dwfl_module_getdwarf(object->module, &object->dwarf_bias);
  return true;
}

static struct object_file *new_object(const struct object_source *source)
{
  struct object_file *object = g_new0(struct object_file, 1);
  object->dwfl = dwfl_begin(&callbacks);
  object->code_offset = source->code_offset;
  watch_downloads(object->dwfl, source);
  return object;
}

static struct object_file *open_path(const struct object_source *source, const char *path, GError **error)
{
  struct object_file *object = new_object(source);
  if (report_path(object, path, error) && read_module(object, source, error))
    return object;
  object_file_close(object);
  return NULL;
}

static struct object_file *open_build_id(const struct object_source *source)
{
  struct object_file *object = new_object(source);
  if (report_build_id(object, source->build_id) && read_module(object, source, NULL))
    return object;
  object_file_close(object);
  return NULL;
}

/* The file with the debug information alone: it has the program headers too. */
static struct object_file *open_debug_file(const struct object_source *source, const char *root)
{
  unsigned char bytes[BUILD_ID_BYTES_MAX];
  if (parse_build_id(source->build_id, bytes) < 2)
    return NULL;
  g_autofree char *path =
      g_strdup_printf("%s" DEBUG_DIRECTORY "/.build-id/%.2s/%s.debug", root, source->build_id, source->build_id + 2);
  return open_path(source, path, NULL);
}

/* The image that runs: the kernel has it under two names as long as the process lives, the second for root only. */
static struct object_file *open_running(const struct object_source *source)
{
  if (source->proc == NULL || source->build_id[0] == '\0')
    return NULL;
  g_autofree char *program = g_strconcat(source->proc, "/exe", NULL);
  struct object_file *object = open_path(source, program, NULL);
  if (object != NULL)
    return object;
  g_autofree char *mapped =
      g_strdup_printf("%s/map_files/%" PRIx64 "-%" PRIx64, source->proc, source->start, source->limit);
  return open_path(source, mapped, NULL);
}

struct object_file *object_file_open(const struct object_source *source, GError **error)
{
  set_search_path(source->root);
  g_autofree char *path = g_strconcat(source->root, source->path, NULL);
  GError *reason = NULL;
  struct object_file *object = open_path(source, path, &reason);
  if (object == NULL)
    object = open_running(source);
  if (object == NULL && source->wants_debug)
    object = open_build_id(source);
  if (object == NULL && source->wants_debug && source->root[0] != '\0')
    object = open_debug_file(source, source->root);
  if (object == NULL && source->wants_debug)
    object = open_debug_file(source, "");
  if (object == NULL) {
    g_propagate_error(error, reason);
    return NULL;
  }
  g_clear_error(&reason);
  return object;
}

void object_file_close(struct object_file *object)
{
  if (object == NULL)
    return;
  dwfl_end(object->dwfl);
  g_free(object);
}

/* --- addresses --- */

static bool get_segment(Elf *elf, size_t index, GElf_Phdr *header)
{
  return gelf_getphdr(elf, (int)index, header) != NULL && header->p_type == PT_LOAD;
}

/* In a file of debug information alone the segments are empty. What is mapped from `code_offset` on is then its one
 * segment of code. */
static bool address_in_empty_segment(const struct object_file *object, size_t count, uint64_t offset, uint64_t *address)
{
  GElf_Phdr header, code = {.p_filesz = 0};
  size_t code_segments = 0;
  for (size_t i = 0; i < count; i++)
    if (get_segment(object->elf, i, &header) && (header.p_flags & PF_X) != 0) {
      code = header;
      code_segments++;
    }
  if (code_segments != 1 || code.p_filesz != 0 || code.p_align == 0 || offset < object->code_offset)
    return false;
  *address = code.p_vaddr / code.p_align * code.p_align + (offset - object->code_offset);
  return *address - code.p_vaddr < code.p_memsz;
}

bool object_file_address(const struct object_file *object, uint64_t offset, uint64_t *address)
{
  size_t count;
  if (elf_getphdrnum(object->elf, &count) != 0)
    return false;
  bool is_found = false, is_code = false;
  for (size_t i = 0; i < count && !is_code; i++) {
    GElf_Phdr header;
    if (!get_segment(object->elf, i, &header) || offset < header.p_offset ||
        offset - header.p_offset >= header.p_filesz)
      continue;
    is_code = (header.p_flags & PF_X) != 0;
    if (!is_found || is_code)
      *address = offset - header.p_offset + header.p_vaddr;
    is_found = true;
  }
  return is_code || address_in_empty_segment(object, count, offset, address) || is_found;
}
