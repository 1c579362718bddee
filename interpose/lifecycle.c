/* SPDX-License-Identifier: MIT */
#include "interpose/lifecycle.h"

#include "core/arch/arch.h"
#include "core/command_line.h"
#include "core/config.h"
#include "core/confinement.h"
#include "core/dump.h"
#include "core/libc.h"
#include "core/live/live.h"
#include "core/loader/loaded.h"
#include "core/mappings/mappings.h"
#include "core/message.h"
#include "core/modules.h"
#include "core/on_stack.h"
#include "core/prng.h"
#include "core/record.h"
#include "core/region.h"
#include "core/resident.h"
#include "core/sampler.h"
#include "core/settle.h"
#include "core/stacks.h"
#include "core/sys.h"
#include "core/text.h"
#include "core/ticks.h"
#include "core/timing.h"
#include "interpose/entries.h"
#include "interpose/follow.h"
#include "interpose/fork.h"
#include "interpose/inert.h"
#include "interpose/loader.h"
#include "interpose/musl.h"
#include "interpose/own_code.h"
#include "interpose/real.h"
#include "interpose/signal.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

static struct config config;
static char program[64]; /* copied at the start: programs that change their title overwrite what libc points to */
/* Whose exit was seen: a destructor that runs after ours may fork a child, which has an exit of its own. */
static _Atomic int exited_pid;

/* A relative name was relative to this directory. */
static void put_absolute(struct text *path, const char *name)
{
  char directory[MODULE_PATH_MAX];
  if (name[0] != '/' && sys_getcwd(directory, sizeof directory) > 0 && directory[0] == '/') {
    text_put(path, directory);
    text_put(path, "/");
    name += strncmp(name, "./", 2) == 0 ? 2 : 0;
  }
  text_put(path, name);
}

/* The file that was executed. The kernel's own note of it saves the first look into /proc, 20 us; of a script it names
 * the script, but then argv[0] is the interpreter. */
static void find_executable(const char *argv0, char executable[MODULE_PATH_MAX] /* zeroed */)
{
  struct text path = {.bytes = executable, .capacity = MODULE_PATH_MAX};
  const char *noted = (const char *)getauxval(AT_EXECFN);
  if (loader_was_started() && libc_is_musl())
    put_absolute(&path, argv0);
  else if (loader_was_started() && noted != NULL)
    put_absolute(&path, noted);
  else if (noted != NULL && noted[0] == '/' && argv0 != NULL && strcmp(text_basename(noted), text_basename(argv0)) == 0)
    text_put(&path, noted);
  else if (sys_readlink("/proc/self/exe", executable, MODULE_PATH_MAX - 1) <= 0)
    text_put(&path, program_invocation_name);
}

/* The kernel gave every process 16 random bytes; the clock tells two forks of one process apart. */
static uint64_t random_seed(void)
{
  uint64_t bytes[2] = {0, 0};
  const void *given = (const void *)libc_auxv(AT_RANDOM);
  if (given != NULL)
    memcpy(bytes, given, sizeof bytes);
  return prng_derive(bytes[0] ^ bytes[1], ticks_or_ns());
}

static void init_main_stack(int pid, uintptr_t top)
{
  if (pid == (int)sys_call(SYS_gettid, 0, 0, 0, 0, 0, 0))
    stack_bounds_init_main(top);
}

static void init_unwinding(const char *executable)
{
  struct address_range own = own_code();
  unwind_hide(own.low, own.high);
  loaded_init((loaded_finder *)loader_find("_dl_find_object"), loader_first_map(), loader_state());
  modules_init(executable);
}

static void report_setup(void)
{
  if (config.verbose < 2)
    return;
  char interval[24];
  struct text text = TEXT_INIT(interval);
  text_put_u64(&text, config.sample_interval_bytes);
  message_print("profiling ", program, ": allocator ", real_allocator_path(), ", a sample every ", interval, " bytes");
}

/* Comes behind all destructors: what a library's constructor registers is older than they are. They are not told the
 * status, nor are functions of atexit. */
static void note_exit(int status, void *unused)
{
  (void)unused;
  if (region_is_own())
    atomic_store(&region_header()->end, REGION_HAS_ENDED | ((uint32_t)status & 0xff));
}

/* NULL: there is none that may be asked of all that is sampled. */
static size_t (*allocators_usable_size(void))(void *pointer)
{
  return real_is_allocators.malloc_usable_size && !entries_are_beside() ? real.malloc_usable_size : NULL;
}

/* A program that has us inside has constructors and destructors of its own: ours come before and behind those. The
 * priorities below are the C library's. */
enum { PRIORITY = 101 };

/* What sampling needs. */
static const char *set_up(const char *reason)
{
  sampler_init(config.sample_interval_bytes, config.seed_given ? config.seed : random_seed(), config.seed_given);
  live_init(config.sample_interval_bytes == 1);
  record_init(config.depth);
  stacks_set_usable_size(allocators_usable_size());
  dump_init(&config, program);
  if (reason == NULL && !settle_init(&config, program, real_allocator_path()))
    return "there was no memory to start with";
  return reason;
}

/* From now on the process can be profiled. */
static void set_going(const char *executable)
{
  init_unwinding(executable);
  fork_init();
  if (on_exit != NULL)
    (void)on_exit(note_exit, NULL);
}

__attribute__((constructor(PRIORITY))) static ARCH_ENTRY void start(int argc, char **argv, char **environment)
{
  (void)argc;
  int saved_errno = errno, pid = sys_getpid();
  struct musl_start given = {argv, environment, (uintptr_t)argv};
  if (libc_is_musl())
    given = musl_find_start();
  real_ensure();
  if (real_is_late()) { /* what descriptor 2 is by now, nobody knows; who attaches is told all in the attachment */
    message_init_silent();
    confinement_begin_clockless(); /* any thread may have forbidden to read it, and only that thread could ask */
    stack_bounds_tell_main(given.stack_top);
    inert_enter("the library was opened while the program ran, and nobody has attached", false);
    errno = saved_errno;
    return;
  }
  message_init();
  struct text name = TEXT_INIT(program);
  text_put(&name, &program_invocation_short_name != NULL ? program_invocation_short_name : "");
  config_set_defaults(&config);
  const char *reason = inert_find_reason();
  if (reason == NULL || libc_auxv(AT_SECURE) == 0)
    config_load(&config);
  if (libc_auxv(AT_SECURE) == 0)
    region_remove_from_before_exec(&config, pid);
  if (!config_selects(&config, program)) {
    inert_enter("HEAPPROF_ONLY names other programs", config.verbose >= 1);
    return;
  }
  if (!config.follow)
    follow_end(given.environment);
  char executable[MODULE_PATH_MAX] = "";
  if (reason == NULL) {
    find_executable(given.argv[0], executable);
    reason = entries_take_over(executable, config.verbose >= 1);
  }
  reason = set_up(reason);
  init_main_stack(pid, given.stack_top);
  if (reason != NULL) {
    inert_enter(reason, config.verbose >= 1 || message_reaches_terminal());
  } else {
    command_line_keep(given.argv);
    set_going(executable);
  }
  /* Also when inert: whoever sends the signal must not kill the program. */
  if (sys_may_call(SYS_rt_sigaction) && config.dump_on_signal && config.signal != CONFIG_SIGNAL_NONE)
    (void)signal_install(config.signal);
  if (reason == NULL) {
    report_setup();
    if (config.sees_mappings)
      mappings_init();
    atomic_store(&sampler_mode, SAMPLER_ON);
  }
  errno = saved_errno;
}

static const char *take_setting(const char *setting)
{
  static LARGE char reason[128];
  char name[32] = "";
  const char *value = strchr(setting, '=');
  struct text text = TEXT_INIT(name);
  if (value != NULL)
    text_put_bytes(&text, setting, (size_t)(value - setting));
  if (strcmp(name, "XDG_RUNTIME_DIR") == 0 && strlen(value + 1) < sizeof config.runtime_dir) {
    memcpy(config.runtime_dir, value + 1, strlen(value + 1) + 1);
    return NULL;
  }
  if (value != NULL && config_set(&config, name, value + 1))
    return NULL;
  struct text about = TEXT_INIT(reason);
  text_put(&about, setting);
  text_put(&about, " is not accepted");
  return reason;
}

/* Somebody else's program: no handler is put into it, and no file into its directory, unless they are asked for. */
static void set_late_defaults(void)
{
  config_set_defaults(&config);
  config.signal = CONFIG_SIGNAL_NONE;
  config.dump_at_exit = config.dump_on_signal = false;
}

const char *lifecycle_may_begin_late(const char *name, const char *settings)
{
  struct text text = {.bytes = program, .capacity = sizeof program};
  const char *reason = inert_find_reason();
  set_late_defaults();
  text_put(&text, name);
  for (const char *setting = settings; reason == NULL && *setting != '\0'; setting += strlen(setting) + 1)
    reason = take_setting(setting);
  return reason;
}

const char *lifecycle_begin_late(void)
{
  const char *reason = set_up(NULL);
  if (reason != NULL)
    return reason;
  char executable[MODULE_PATH_MAX] = ""; /* of the kernel: the program may be in another folder by now */
  (void)sys_readlink("/proc/self/exe", executable, sizeof executable - 1);
  set_going(executable);
  if (config.signal != CONFIG_SIGNAL_NONE && config.dump_on_signal)
    (void)signal_install(config.signal);
  inert_leave();
  return NULL;
}

/* Leaves the state file to later readers, completed with what only this process knows. */
static bool hand_over_file(void)
{
  (void)timing_sampling_ns(); /* stores the speed of the clock that timed the samples */
  resident_leave_aside();
  return region_is_in_file();
}

static void finish(const char *reason)
{
  record_exact_units(sampler_flush());
  bool has_stacks = atomic_load(&region_header()->stacks) > 0;
  bool is_used = has_stacks || mapping_table_used() > 0;
  bool is_kept = is_used && config.keep_at_exit && hand_over_file();
  bool is_wanted = has_stacks && (config.dump_at_exit || (config.keep_at_exit && !is_kept));
  bool is_written = is_wanted && dump_write_last(reason) == 0;
  if (!is_kept && is_written == is_wanted)
    region_remove_file(); /* otherwise it holds what is wanted, or the profile that could not be written */
}

static bool is_first_exit(void)
{
  int self = sys_getpid();
  return atomic_exchange(&exited_pid, self) != self;
}

void lifecycle_exit(const char *reason)
{
  if (inert_reason() == NULL && config.dump_at_exit && settle_lost_everything() && is_first_exit())
    message_print("no memory for a profile; it is lost");
  if (inert_reason() != NULL || !region_is_own())
    return;
  /* A handler that calls exit in between would find the exit under way, and end the process before the profile is
   * written. */
  struct blocked_signals before = signals_block();
  unsigned turn = dump_begin(); /* before anybody can see that this exit is not the first */
  bool is_first = is_first_exit();
  if (is_first)
    finish(reason);
  dump_end(turn);
  if (!dump_wait_for_others() && !is_first) /* the first has its profile, or has said why not */
    dump_tell_cut_off();
  signals_restore(before);
}

void lifecycle_exit_by(const char *function, int status)
{
  note_exit(status, NULL);
  lifecycle_exit(function);
}

__attribute__((destructor(PRIORITY))) static ARCH_ENTRY void stop(void)
{
  int saved_errno = errno;
  lifecycle_exit("exit");
  errno = saved_errno;
}
