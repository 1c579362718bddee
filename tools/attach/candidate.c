/* SPDX-License-Identifier: MIT */
#include "tools/attach/candidate.h"

#include "tools/state/process_maps.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CANDIDATE_ERROR g_quark_from_static_string("heapprof-candidate")

static bool refuse(GError **error, int pid, const char *format, ...) __attribute__((format(printf, 3, 4)));

static bool refuse(GError **error, int pid, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  g_autofree char *what = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_set_error(error, CANDIDATE_ERROR, EPERM, "process %d %s; it was not touched", pid, what);
  return false;
}

static char *field(int pid, const char *name)
{
  g_autofree char *proc = g_strdup_printf("/proc/%d", pid);
  char *value = process_status_field(proc, name);
  return value != NULL ? g_strstrip(value) : NULL;
}

/* Of the file that it executes. */
static char *name_of_file(int pid)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/exe", pid);
  g_autofree char *file = g_file_read_link(path, NULL);
  if (file == NULL)
    return NULL;
  char *deleted = g_str_has_suffix(file, " (deleted)") ? file + strlen(file) - strlen(" (deleted)") : NULL;
  if (deleted != NULL)
    *deleted = '\0';
  return g_path_get_basename(file);
}

/* The kernel keeps the begin of the name that it was executed by, as long as it sets no other. */
static bool is_begun_by(const char *name, const char *kept)
{
  enum { KEPT_MAX = 15 };
  return strcmp(name, kept) == 0 || (strlen(kept) == KEPT_MAX && g_str_has_prefix(name, kept));
}

/* By which it was called: it may be a link to a file of another name. Some write more behind it, as what they do. NULL:
 * it has written something else there. */
static char *name_of_call(int pid, const char *kept)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", pid), *called = NULL;
  if (kept == NULL || !g_file_get_contents(path, &called, NULL, NULL))
    return NULL;
  char *name = g_path_get_basename(called);
  if (is_begun_by(name, kept))
    return name;
  g_free(name);
  called[strcspn(called, ": ")] = '\0';
  name = g_path_get_basename(called);
  if (is_begun_by(name, kept))
    return name;
  g_free(name);
  return NULL;
}

char *candidate_name(int pid)
{
  g_autofree char *kept = field(pid, "Name");
  char *name = name_of_call(pid, kept);
  if (name == NULL)
    name = name_of_file(pid);
  return name != NULL ? name : g_steal_pointer(&kept);
}

static bool is_number(const char *text)
{
  return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0' && strlen(text) < 10;
}

static bool has_name(int pid, const char *name)
{
  g_autofree char *called = candidate_name(pid), *file = name_of_file(pid), *kept = field(pid, "Name");
  return g_strcmp0(called, name) == 0 || g_strcmp0(file, name) == 0 || g_strcmp0(kept, name) == 0;
}

static int compare_numbers(const void *a, const void *b)
{
  return *(const int *)a - *(const int *)b;
}

static GArray *find_by_name(const char *name)
{
  GArray *found = g_array_new(FALSE, FALSE, sizeof(int));
  GDir *folder = g_dir_open("/proc", 0, NULL);
  for (const char *entry; folder != NULL && (entry = g_dir_read_name(folder)) != NULL;) {
    int pid = is_number(entry) ? atoi(entry) : 0;
    if (pid != 0 && pid != getpid() && has_name(pid, name))
      g_array_append_val(found, pid);
  }
  if (folder != NULL)
    g_dir_close(folder);
  g_array_sort(found, compare_numbers);
  return found;
}

bool candidate_find(const char *operand, int *pid, GError **error)
{
  if (is_number(operand) && atoi(operand) > 0) {
    *pid = atoi(operand);
    return true;
  }
  g_autoptr(GArray) found = find_by_name(operand);
  if (found->len == 1) {
    *pid = g_array_index(found, int, 0);
    return true;
  }
  if (found->len == 0) {
    g_set_error(error, CANDIDATE_ERROR, ESRCH, "'%s' is neither the number of a process nor the name of one that runs",
                operand);
    return false;
  }
  g_autoptr(GString) pids = g_string_new("");
  for (guint i = 0; i < found->len; i++)
    g_string_append_printf(pids, "%s%d", i > 0 ? ", " : "", g_array_index(found, int, i));
  g_set_error(error, CANDIDATE_ERROR, EINVAL, "'%s' is the name of %u processes (%s): which one?", operand, found->len,
              pids->str);
  return false;
}

/* The first may end before the process does. Then /proc/self and /proc/PID tell nothing of the program: neither the
 * library nor who reads its state knows it by these. */
static bool has_other_threads(int pid)
{
  g_autofree char *count = field(pid, "Threads");
  return count != NULL && atoi(count) > 1;
}

static bool check_state(int pid, GError **error)
{
  g_autofree char *state = field(pid, "State"), *tracer = field(pid, "TracerPid");
  if (state == NULL)
    return refuse(error, pid, "is not running");
  if (strchr("ZX", state[0]) != NULL)
    return refuse(error, pid, "%s",
                  has_other_threads(pid)
                      ? "goes on without its first thread, by which the kernel tells what it executes"
                      : "has ended, and its parent has not taken note of that yet");
  if (g_strcmp0(tracer, "0") != 0)
    return refuse(error, pid, "is traced by process %s already", tracer);
  if (strchr("Tt", state[0]) != NULL)
    return refuse(error, pid, "is stopped: kill -CONT %d lets it go on", pid);
  return true;
}

static char *user_name(uid_t user)
{
  const struct passwd *entry = getpwuid(user);
  return entry != NULL ? g_strdup(entry->pw_name) : g_strdup_printf("user %u", (unsigned)user);
}

static bool check_user(int pid, GError **error)
{
  g_autofree char *users = field(pid, "Uid"), *maps = g_strdup_printf("/proc/%d/maps", pid);
  unsigned real = 0, effective = 0, saved = 0;
  struct stat status;
  if (users == NULL || sscanf(users, "%u %u %u", &real, &effective, &saved) != 3 || stat(maps, &status) != 0)
    return refuse(error, pid, "is not running");
  if (real != effective || real != saved)
    return refuse(error, pid, "runs with raised privileges");
  if (geteuid() != 0 && real != geteuid()) {
    g_autofree char *name = user_name(real);
    return refuse(error, pid, "belongs to %s: only they, or root, may attach", name);
  }
  if (status.st_uid != real)
    return refuse(error, pid,
                  "has asked the kernel that nobody looks into it, or has changed its user (PR_SET_DUMPABLE)");
  return true;
}

static bool check_thread(int pid, const char *thread, GError **error)
{
  g_autofree char *proc = g_strdup_printf("/proc/%d/task/%s", pid, thread);
  g_autofree char *mode = process_status_field(proc, "Seccomp");
  g_autofree char *features = process_status_field(proc, "x86_Thread_features");
  if (mode != NULL && strcmp(g_strstrip(mode), "0") != 0)
    return refuse(error, pid, "has a filter of system calls (seccomp), which may end it for what it does not expect");
  if (features != NULL && strstr(features, "shstk") != NULL)
    return refuse(error, pid, "has a shadow stack, on which no call can be led astray");
  return true;
}

/* Each thread has its own. */
static bool check_filters(int pid, GError **error)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/task", pid);
  GDir *folder = g_dir_open(path, 0, NULL);
  const char *thread;
  bool is_good = folder != NULL || refuse(error, pid, "is not running");
  while (folder != NULL && is_good && (thread = g_dir_read_name(folder)) != NULL)
    is_good = check_thread(pid, thread, error);
  if (folder != NULL)
    g_dir_close(folder);
  return is_good;
}

/* Is it one for us, with the dynamic linker of glibc? */
static bool check_program(int pid, GError **error)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/exe", pid), *maps_path = g_strdup_printf("/proc/%d/maps", pid);
  g_autofree char *maps = NULL;
  unsigned char start[EI_NIDENT] = "";
  int file = open(path, O_RDONLY | O_CLOEXEC);
  bool is_read = file >= 0 && read(file, start, sizeof start) == sizeof start;
  if (file >= 0)
    close(file);
  if (!is_read || !g_file_get_contents(maps_path, &maps, NULL, NULL))
    return refuse(error, pid, "can't be looked into: %s", g_strerror(errno));
  if (start[EI_CLASS] != ELFCLASS64)
    return refuse(error, pid, "is a 32-bit program");
  bool has_linker = strstr(maps, "/ld-linux") != NULL || strstr(maps, "/ld-2.") != NULL;
  if (!has_linker && strstr(maps, "musl") != NULL)
    return refuse(error, pid, "has another C library than glibc");
  if (!has_linker)
    return refuse(error, pid, "is linked statically: there is nobody who could open a library");
  if (strstr(maps, "/libc.so.6") == NULL && strstr(maps, "/libc-2.") != NULL)
    return refuse(error, pid, "has a glibc older than 2.35");
  if (strstr(maps, "/libc.so.6") == NULL)
    return refuse(error, pid, "has another C library than glibc");
  return true;
}

bool candidate_check(int pid, GError **error)
{
  if (pid == getpid())
    return refuse(error, pid, "is this one");
  return check_state(pid, error) && check_user(pid, error) && check_filters(pid, error) && check_program(pid, error);
}

/* What the kernel allows of memory, and what of it is in use. */
struct memory_limit {
  const char *name; /* in /proc/PID/limits */
  const char *used, *option;
};

/* Not by prlimit, which needs a right of its own for processes of others. UINT64_MAX: any. */
static uint64_t allowed_bytes(const char *limits, const char *name)
{
  const char *line = strstr(limits, name);
  const char *value = line != NULL ? line + strlen(name) : "";
  value += strspn(value, " ");
  return g_ascii_isdigit(value[0]) ? g_ascii_strtoull(value, NULL, 10) : UINT64_MAX;
}

static uint64_t used_bytes(int pid, const char *name)
{
  g_autofree char *text = field(pid, name);
  return text != NULL ? g_ascii_strtoull(text, NULL, 10) << 10 : 0;
}

static bool check_limit(int pid, const char *limits, const struct memory_limit *limit, GError **error)
{
  enum { LEAST_MIB = 64 }; /* ten times what the library takes at first */
  uint64_t used = used_bytes(pid, limit->used);
  uint64_t allowed = allowed_bytes(limits, limit->name), left = allowed > used ? allowed - used : 0;
  return left >> 20 >= LEAST_MIB ||
         refuse(error, pid, "may have only %u MiB more of memory (ulimit %s), of which the library would take some",
                (unsigned)(left >> 20), limit->option);
}

/* Who has locked some may have asked that all is that comes (mlockall), which is told nowhere. */
static bool is_locked_by_limit(int pid)
{
  enum { MAY_LOCK_ANY = 14 }; /* CAP_IPC_LOCK */
  g_autofree char *rights = field(pid, "CapEff");
  bool may_lock_any = rights != NULL && (g_ascii_strtoull(rights, NULL, 16) >> MAY_LOCK_ANY & 1) != 0;
  return !may_lock_any && used_bytes(pid, "VmLck") > 0;
}

bool candidate_check_memory(int pid, GError **error)
{
  static const struct memory_limit addresses = {"Max address space", "VmSize", "-v"};
  static const struct memory_limit data = {"Max data size", "VmData", "-d"};
  static const struct memory_limit locked = {"Max locked memory", "VmLck", "-l"};
  g_autofree char *path = g_strdup_printf("/proc/%d/limits", pid), *limits = NULL;
  if (!g_file_get_contents(path, &limits, NULL, NULL))
    return refuse(error, pid, "is not running");
  return check_limit(pid, limits, &addresses, error) && check_limit(pid, limits, &data, error) &&
         (!is_locked_by_limit(pid) || check_limit(pid, limits, &locked, error));
}

void candidate_explain(int pid, int number, const char *yama, GError **error)
{
  g_autofree char *scope = NULL;
  if (number == EPERM && g_file_get_contents(yama, &scope, NULL, NULL) && atoi(scope) > 0) {
    (void)refuse(error, pid, "may be traced only by %s here (kernel.yama.ptrace_scope is %d)%s",
                 atoi(scope) == 1   ? "who started it, or root"
                 : atoi(scope) == 2 ? "root"
                                    : "nobody",
                 atoi(scope), atoi(scope) == 1 ? ": sudo heapprof attach does it" : "");
    return;
  }
  (void)refuse(error, pid, "may not be traced: %s", g_strerror(number));
}

bool candidate_shares_files(int pid)
{
  struct stat theirs, ours;
  g_autofree char *root = g_strdup_printf("/proc/%d/root", pid), *mounts = g_strdup_printf("/proc/%d/ns/mnt", pid);
  return stat(root, &theirs) == 0 && stat("/", &ours) == 0 && theirs.st_ino == ours.st_ino &&
         theirs.st_dev == ours.st_dev && stat(mounts, &theirs) == 0 && stat("/proc/self/ns/mnt", &ours) == 0 &&
         theirs.st_ino == ours.st_ino;
}

char *candidate_variable(int pid, const char *name)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/environ", pid), *all = NULL;
  gsize bytes = 0, length = strlen(name);
  if (!g_file_get_contents(path, &all, &bytes, NULL))
    return NULL;
  for (const char *entry = all; entry < all + bytes; entry += strlen(entry) + 1)
    if (strncmp(entry, name, length) == 0 && entry[length] == '=')
      return g_strdup(entry + length + 1);
  return NULL;
}
