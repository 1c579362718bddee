/* SPDX-License-Identifier: MIT */
#include "tools/attach/places.h"

#include "tools/attach/last_calls.h"
#include "tools/attach/machine.h"

#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What waits, or calls the program back, with none of these locks in its hands; without the underlines that names of
 * libc may begin with. */
static const char *const waiting[] = {"accept",
                                      "accept4",
                                      "bsearch",
                                      "clock_nanosleep",
                                      "connect",
                                      "epoll_pwait",
                                      "epoll_pwait2",
                                      "epoll_wait",
                                      "flock",
                                      "fsync",
                                      "ioctl",
                                      "msgrcv",
                                      "msgsnd",
                                      "nanosleep",
                                      "pause",
                                      "poll",
                                      "ppoll",
                                      "pread",
                                      "pread64",
                                      "pselect",
                                      "pthread_barrier_wait",
                                      "pthread_clockjoin_np",
                                      "pthread_cond_clockwait",
                                      "pthread_cond_timedwait",
                                      "pthread_cond_wait",
                                      "pthread_join",
                                      "pthread_mutex_clocklock",
                                      "pthread_mutex_lock",
                                      "pthread_mutex_timedlock",
                                      "pthread_rwlock_rdlock",
                                      "pthread_rwlock_wrlock",
                                      "pthread_timedjoin_np",
                                      "pthread_tryjoin_np",
                                      "pwrite",
                                      "pwrite64",
                                      "raise",
                                      "read",
                                      "readv",
                                      "recv",
                                      "recvfrom",
                                      "recvmmsg",
                                      "recvmsg",
                                      "sched_yield",
                                      "select",
                                      "sem_clockwait",
                                      "sem_timedwait",
                                      "sem_wait",
                                      "semop",
                                      "semtimedop",
                                      "send",
                                      "sendmsg",
                                      "sendto",
                                      "sigsuspend",
                                      "sigtimedwait",
                                      "sigwait",
                                      "sigwaitinfo",
                                      "sleep",
                                      "syscall",
                                      "usleep",
                                      "wait",
                                      "wait3",
                                      "wait4",
                                      "waitid",
                                      "waitpid",
                                      "write",
                                      "writev"};

/* In one of these calls even a function of libc that is not in the list (getchar, puts, getaddrinfo, system) has none
 * of these locks, as long as nothing of the loader called it. */
static const long transfers[] = {SYS_read,      SYS_write,          SYS_readv,      SYS_writev, SYS_recvfrom,
                                 SYS_recvmsg,   SYS_sendto,         SYS_sendmsg,    SYS_poll,   SYS_ppoll,
                                 SYS_select,    SYS_pselect6,       SYS_wait4,      SYS_waitid, SYS_accept,
                                 SYS_accept4,   SYS_connect,        SYS_epoll_wait, SYS_pause,  SYS_epoll_pwait,
                                 SYS_nanosleep, SYS_clock_nanosleep};

/* But for these: they hold the loader's lock while they call. */
static const char *const holding[] = {"dl_iterate_phdr", "dlopen", "dlmopen", "dlclose",
                                      "dlsym",           "dlvsym", "fork",    "vfork"};

enum kind { PROGRAM, LIBC, SIGNAL_RETURN, LOADER, ALLOCATOR };

struct frame {
  uint64_t pc; /* within the instruction that called */
  uint64_t sp;
  bool is_interrupted;
  enum kind kind;
};

struct places {
  Dwfl *dwfl;
  int pid;
  struct places_images images;
  struct last_calls *waits; /* behind functions that wait */
  GArray *frames;
  char why[200];
};

/* In the mount namespace of the process. One that was removed, as an upgrade does, is still there for who executes
 * it. */
static int open_file(const struct places *places, const char *name)
{
  g_autofree char *link = g_strdup_printf("/proc/%d/exe", places->pid), *program = g_file_read_link(link, NULL);
  g_autofree char *path = g_strdup_printf("/proc/%d/root%s", places->pid, name);
  return open(g_strcmp0(name, program) == 0 ? link : path, O_RDONLY | O_CLOEXEC);
}

static int find_file(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base, char **file_name, Elf **elf)
{
  const struct places *places = *user;
  if (name[0] != '/')
    return dwfl_linux_proc_find_elf(module, user, name, base, file_name, elf);
  int descriptor = open_file(places, name);
  if (descriptor < 0)
    return dwfl_linux_proc_find_elf(module, user, name, base, file_name, elf);
  *file_name = strdup(name);
  return descriptor;
}

static int no_debug(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base, const char *file_name,
                    const char *link, GElf_Word checksum, char **found)
{
  (void)module, (void)user, (void)name, (void)base, (void)file_name, (void)link, (void)checksum, (void)found;
  return -1;
}

static int prepare_module(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr start, void *argument)
{
  Dwarf_Addr bias;
  (void)name;
  (void)start;
  *user = argument;
  (void)dwfl_module_eh_cfi(module, &bias);
  return DWARF_CB_OK;
}

static bool is_among(const char *name, const char *const *names, size_t count)
{
  while (*name == '_')
    name++;
  for (size_t i = 0; i < count; i++)
    if (strcmp(name, names[i]) == 0)
      return true;
  return false;
}

static bool is_waiting(const char *name)
{
  return is_among(name, waiting, G_N_ELEMENTS(waiting));
}

struct places *places_open(const struct memory *memory, const struct places_images *images, GError **error)
{
  static const Dwfl_Callbacks callbacks = {.find_elf = find_file, .find_debuginfo = no_debug};
  struct places *places = g_new0(struct places, 1);
  *places = (struct places){.pid = memory->pid, .images = *images};
  places->waits = last_calls_read(memory, images->libc, is_waiting);
  places->frames = g_array_new(FALSE, FALSE, sizeof(struct frame));
  places->dwfl = dwfl_begin(&callbacks);
  if (places->dwfl != NULL && dwfl_linux_proc_report(places->dwfl, places->pid) == 0 &&
      dwfl_report_end(places->dwfl, NULL, NULL) == 0) {
    /* Other files that were removed are read from the memory of the process, once it is known. */
    bool is_known = dwfl_linux_proc_attach(places->dwfl, places->pid, true) == 0;
    (void)dwfl_getmodules(places->dwfl, prepare_module, places, 0);
    if (is_known)
      return places;
  }
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "the stacks of process %d can't be followed: %s", places->pid,
              dwfl_errmsg(-1));
  places_close(places);
  return NULL;
}

void places_close(struct places *places)
{
  if (places == NULL)
    return;
  dwfl_end(places->dwfl);
  last_calls_free(places->waits);
  g_array_free(places->frames, TRUE);
  g_free(places);
}

static enum kind kind_of(const struct places *places, uint64_t pc)
{
  if (image_holds(places->images.loader, pc))
    return LOADER;
  if (allocator_code_holds(places->images.program, pc))
    return ALLOCATOR;
  for (guint i = 0; i < places->images.allocators->len; i++)
    if (image_holds(g_ptr_array_index(places->images.allocators, i), pc))
      return ALLOCATOR;
  return image_holds(places->images.libc, pc) ? LIBC : PROGRAM;
}

static int note_frame(Dwfl_Frame *state, void *argument)
{
  enum { FRAMES_MAX = 4096 };
  struct places *places = argument;
  Dwarf_Addr pc, sp;
  bool is_interrupted;
  if (places->frames->len == FRAMES_MAX || !dwfl_frame_pc(state, &pc, &is_interrupted) ||
      dwfl_frame_reg(state, MACHINE_SP_OF_FRAME, &sp) != 0)
    return DWARF_CB_ABORT;
  struct frame frame = {is_interrupted ? pc : pc - 1, sp, is_interrupted, PROGRAM};
  frame.kind = pc == places->images.signal_return ? SIGNAL_RETURN : kind_of(places, frame.pc);
  g_array_append_val(places->frames, frame);
  return DWARF_CB_OK;
}

static const struct frame *frame_at(const struct places *places, guint i)
{
  return &g_array_index(places->frames, struct frame, i);
}

static bool has_name_among(const struct places *places, uint64_t pc, const char *const *names, size_t count)
{
  guint from = 0;
  for (const char *name; (name = image_name_at(places->images.libc, pc, &from)) != NULL;)
    if (is_among(name, names, count))
      return true;
  return false;
}

static bool is_transfer(long call)
{
  for (size_t i = 0; i < G_N_ELEMENTS(transfers); i++)
    if (transfers[i] == call)
      return true;
  return false;
}

static bool is_named_start(const struct places *places, uint64_t pc)
{
  static const char *const starting[] = {"libc_start_main"};
  return has_name_among(places, pc, starting, G_N_ELEMENTS(starting));
}

/* Frames [first, last] lie in libc, the last is of the function that the program called. */
static bool is_harmless_run(const struct places *places, guint first, guint last, long call)
{
  enum { ABOVE_MAIN = 2 }; /* what called main, or the function of a thread, and what called that */
  uint64_t pc = frame_at(places, last)->pc;
  if (last + 1 == places->frames->len || is_named_start(places, pc))
    return first > 0 && last - first < ABOVE_MAIN;
  if (has_name_among(places, pc, waiting, G_N_ELEMENTS(waiting)) || last_calls_hold(places->waits, pc))
    return true;
  return first == 0 && is_transfer(call) && !has_name_among(places, pc, holding, G_N_ELEMENTS(holding));
}

/* The first thread began in the program and then in libc, any other in two functions of libc; a coroutine in one. */
static bool reaches_begin(const struct places *places)
{
  guint count = places->frames->len;
  const struct frame *last = frame_at(places, count - 1), *before = frame_at(places, count - 2);
  bool is_first = last->kind == PROGRAM && before->kind == LIBC && is_named_start(places, before->pc);
  bool is_other = last->kind == LIBC && before->kind == LIBC;
  return is_first || is_other;
}

static bool ends_handler(const struct places *places, guint i)
{
  return frame_at(places, i)->kind == SIGNAL_RETURN || frame_at(places, i)->is_interrupted;
}

/* From where the thread began to where it is, all on one stack: no handler, no coroutine, whose stack may be an
 * array of a function that still runs. */
static const char *why_not_whole(const struct places *places)
{
  guint count = places->frames->len;
  for (guint i = 1; i < count; i++) {
    if (ends_handler(places, i))
      return "was in a handler of a signal";
    if (frame_at(places, i)->sp <= frame_at(places, i - 1)->sp)
      return "was on a stack that is not its own";
  }
  return reaches_begin(places) ? NULL : "was on a stack that is not its own";
}

static const char *refuse(struct places *places, uint64_t pc, const char *where)
{
  guint from = 0;
  const char *name = image_holds(places->images.libc, pc) ? image_name_at(places->images.libc, pc, &from) : NULL;
  (void)snprintf(places->why, sizeof places->why, "was in %s%s%s", where, name != NULL ? ", " : "",
                 name != NULL ? name : "");
  return places->why;
}

static const char *judge(struct places *places, guint first, long call)
{
  for (guint i = first; i < places->frames->len; i++) {
    enum kind kind = frame_at(places, i)->kind;
    if (kind == LOADER)
      return refuse(places, frame_at(places, i)->pc, "the dynamic linker");
    if (kind == ALLOCATOR)
      return refuse(places, frame_at(places, i)->pc, "the allocator");
    if (kind != LIBC) {
      first = i + 1;
      continue;
    }
    bool ends = i + 1 == places->frames->len || frame_at(places, i + 1)->kind != LIBC;
    if (ends && !is_harmless_run(places, first, i, call))
      return refuse(places, frame_at(places, i)->pc, "the C library");
  }
  return NULL;
}

static const char *unwind(struct places *places, pid_t thread)
{
  g_array_set_size(places->frames, 0);
  int result = dwfl_getthread_frames(places->dwfl, thread, note_frame, places);
  if (result != 0 || places->frames->len < 2)
    return places->frames->len > 0 ? refuse(places, 0, "code whose callers can't be found")
                                   : refuse(places, 0, "a place that can't be read");
  return NULL;
}

const char *places_why_not(struct places *places, pid_t thread, long call)
{
  const char *why = unwind(places, thread);
  why = why == NULL ? why_not_whole(places) : why;
  return why != NULL ? why : judge(places, 0, call);
}

const char *places_why_not_interrupted(struct places *places, pid_t thread)
{
  enum { ANY_CALL = -1 };
  const char *why = unwind(places, thread);
  if (why != NULL)
    return why;
  if (!reaches_begin(places))
    return refuse(places, 0, "code whose callers can't be found");
  for (guint i = 1; i < places->frames->len; i++)
    if (ends_handler(places, i))
      return judge(places, i, ANY_CALL);
  return NULL;
}
