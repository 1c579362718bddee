/* SPDX-License-Identifier: MIT */
#include "core/dump.h"

#include "core/arena.h"
#include "core/command_line.h"
#include "core/comments.h"
#include "core/descriptor.h"
#include "core/libc.h"
#include "core/live/live.h"
#include "core/loader/loaded.h"
#include "core/lock.h"
#include "core/message.h"
#include "core/modules.h"
#include "core/on_stack.h"
#include "core/peak.h"
#include "core/pprof.h"
#include "core/process.h"
#include "core/profile.h"
#include "core/region.h"
#include "core/region_hooks.h"
#include "core/resident.h"
#include "core/settle.h"
#include "core/stacks.h"
#include "core/sys.h"
#include "core/text.h"
#include "core/timing.h"
#include "core/writer.h"

#include <errno.h>
#include <string.h>

/* What a dump has mapped: where its arena begins, enough for a small profile, and its stack. */
enum { DUMP_ARENA_BYTES = 192 << 10, DUMP_STACK_BYTES = 256 << 10, DUMP_BYTES = DUMP_ARENA_BYTES + DUMP_STACK_BYTES };
enum { COMMAND_LINE_MAX = 1024, NAME_ATTEMPTS = 8 };

static const struct config *settings;
static const char *program_name = "";
static const char *inert_reason;
static char start_directory[CONFIG_PATH_MAX];
static _Atomic uint64_t dumps_started; /* by this process: its epoch in the uppermost bits (process.h) */
static struct stat start_root;

void dump_init(const struct config *config, const char *program)
{
  settings = config;
  program_name = program;
  if (sys_getcwd(start_directory, sizeof start_directory) <= 0 || start_directory[0] != '/')
    start_directory[0] = '\0';
  (void)sys_lstat("/", &start_root);
}

/* A daemon that changed its root to an empty directory cannot write profiles. It need not be told each time. */
static bool has_changed_root(void)
{
  struct stat root;
  return sys_lstat("/", &root) != 0 || root.st_ino != start_root.st_ino || root.st_dev != start_root.st_dev;
}

void dump_set_inert_reason(const char *reason)
{
  inert_reason = reason;
}

/* Comments. */

static void add_text(struct profile *profile, struct arena *arena, const char *key, const char *value)
{
  char line[COMMAND_LINE_MAX + 128];
  struct text text = TEXT_INIT(line);
  text_put(&text, COMMENT_START);
  text_put(&text, key);
  text_put(&text, ": ");
  text_put(&text, value);
  (void)profile_add_comment(profile, arena, line);
}

static void add_number(struct profile *profile, struct arena *arena, const char *key, uint64_t value)
{
  char digits[24];
  struct text text = TEXT_INIT(digits);
  text_put_u64(&text, value);
  add_text(profile, arena, key, digits);
}

/* One of those that begin alike. */
static void add_member(struct profile *profile, struct arena *arena, const char *start, const char *name,
                       uint64_t value)
{
  char key[64];
  struct text text = TEXT_INIT(key);
  text_put(&text, start);
  text_put(&text, name);
  add_number(profile, arena, key, value);
}

static void add_command_line(struct profile *profile, struct arena *arena)
{
  char line[COMMAND_LINE_MAX];
  if (command_line_is_unchanged()) {
    add_text(profile, arena, COMMENT_command, command_line());
    return;
  }
  long size = descriptor_read_file("/proc/self/cmdline", 0, line, sizeof line - 1);
  if (size < 0)
    return;
  while (size > 0 && line[size - 1] == '\0')
    size--;
  for (long i = 0; i < size; i++)
    if ((unsigned char)line[i] < ' ')
      line[i] = ' ';
  line[size] = '\0';
  add_text(profile, arena, COMMENT_command, line);
}

static void add_standard_errors(struct profile *profile, struct arena *arena)
{
  for (unsigned i = 0; i < PROFILE_VALUES; i++)
    add_member(profile, arena, COMMENT_standard_error, profile_value_names[i],
               (uint64_t)(profile->totals[i].standard_error + 0.5));
}

static void add_losses(struct profile *profile, struct arena *arena, const struct region_header *header)
{
  static const char *const keys[] = {
#define HEAPPROF_LOSS(identifier, key, what) key,
#include "core/losses.def"
#undef HEAPPROF_LOSS
  };
  uint64_t dropped = 0;
  for (unsigned i = 0; i < LOSS_COUNT; i++) {
    uint64_t lost = atomic_load_explicit(&header->lost[i], memory_order_relaxed);
    add_member(profile, arena, COMMENT_lost, keys[i], lost);
    if (i == LOSS_live_table || i == LOSS_region)
      dropped += lost;
  }
  add_number(profile, arena, COMMENT_lost_total, dropped);
}

static void add_uncovered(struct profile *profile, struct arena *arena, const struct region_header *header)
{
  uint64_t objects = atomic_load_explicit(&header->uncovered_objects, memory_order_relaxed);
  if (objects == 0)
    return;
  add_number(profile, arena, COMMENT_uncovered_objects, objects);
  for (unsigned i = 0; i < UNCOVERED_NAMES; i++)
    if (atomic_load_explicit(&header->uncovered_names[i].state, memory_order_acquire) == UNCOVERED_IS_WHOLE)
      add_text(profile, arena, COMMENT_uncovered, header->uncovered_names[i].text);
}

static void add_resident(struct profile *profile, struct arena *arena, const struct region_header *header)
{
  resident_leave();
  uint64_t most = atomic_load_explicit(&header->resident_most_bytes, memory_order_relaxed);
  if (most == 0)
    return;
  add_number(profile, arena, COMMENT_resident_bytes,
             atomic_load_explicit(&header->resident_bytes, memory_order_relaxed));
  add_number(profile, arena, COMMENT_resident_most_bytes, most);
}

static void add_origin(struct profile *profile, struct arena *arena, const struct region_header *header)
{
  char origin[48];
  struct text text = TEXT_INIT(origin);
  if (header->origin_pid == 0)
    return;
  text_put_u64(&text, header->origin_unix_ns);
  text_put(&text, " ");
  text_put_u64(&text, header->origin_pid);
  add_text(profile, arena, COMMENT_forked_from, origin);
}

static const char *unwinder_name(void)
{
  if (!loaded_are_all_known())
    return loaded_are_known() ? "unwind information, but for what was opened later (glibc before 2.35)"
                              : "frame pointers only: the loaded objects are not known";
  return "unwind information";
}

static uint64_t peak_bytes(const struct profile *profile, const struct region_header *header)
{
  struct peak_moments moments = peak_moments(header);
  if (moments.is_whole) /* counts what other threads have yet to keep */
    return (moments.peaks[0] + 8) >> 4;
  return (uint64_t)(profile->totals[PROFILE_PEAK_SPACE].estimate + 0.5);
}

static void add_comments(struct profile *profile, struct arena *arena, const char *reason)
{
  const struct region_header *header = region_header();
  add_text(profile, arena, COMMENT_version, PACKAGE_VERSION);
  add_text(profile, arena, COMMENT_program, program_name);
  add_number(profile, arena, COMMENT_pid, (uint64_t)sys_getpid());
  add_command_line(profile, arena);
  add_text(profile, arena, COMMENT_reason, reason);
  add_number(profile, arena, COMMENT_sampling_interval_bytes, settings->sample_interval_bytes);
  if (inert_reason != NULL)
    add_text(profile, arena, COMMENT_inert, inert_reason);
  if (header == NULL)
    return;
  add_number(profile, arena, COMMENT_created_unix_ns, header->created_unix_ns);
  uint64_t attachments = atomic_load_explicit(&header->attachments, memory_order_relaxed);
  if (attachments != 0)
    add_text(profile, arena, COMMENT_since, attachments == 1 ? REGION_SINCE_ATTACH : REGION_SINCE_ATTACHES);
  add_text(profile, arena, COMMENT_allocator, header->allocator);
  char hooks[REGION_HOOKS_TEXT_BYTES] = "";
  struct text hooks_text = TEXT_INIT(hooks);
  region_hooks_put(&hooks_text, header->hooks);
  if (hooks[0] != '\0')
    add_text(profile, arena, COMMENT_hooks, hooks);
  add_text(profile, arena, COMMENT_unwinder, unwinder_name());
  add_number(profile, arena, COMMENT_samples, stacks_samples());
  add_number(profile, arena, COMMENT_stacks, atomic_load_explicit(&header->stacks, memory_order_relaxed));
  add_number(profile, arena, COMMENT_exact_units, stacks_exact_units());
  add_number(profile, arena, COMMENT_estimated_units,
             (uint64_t)(profile->totals[PROFILE_ALLOC_OBJECTS].estimate +
                        profile->totals[PROFILE_ALLOC_SPACE].estimate + 0.5));
  add_standard_errors(profile, arena);
  add_number(profile, arena, COMMENT_peak_inuse_space, peak_bytes(profile, header));
  add_losses(profile, arena, header);
  add_uncovered(profile, arena, header);
  add_number(profile, arena, COMMENT_own_bytes, atomic_load_explicit(&header->own_bytes, memory_order_relaxed));
  add_number(
      profile, arena, COMMENT_own_unused_bytes,
      region_unused_bytes(header->first_segment_bytes, atomic_load_explicit(&header->log_end, memory_order_relaxed)));
  add_number(profile, arena, COMMENT_sampling_ns, timing_sampling_ns());
  add_number(profile, arena, COMMENT_cpu_ns, atomic_load_explicit(&header->cpu_ns, memory_order_relaxed));
  add_resident(profile, arena, header);
  add_origin(profile, arena, header);
}

/* Names. */

/* Whatever the host and the program are called, the file lies where the pattern says. */
static void put_part(struct text *path, const char *name)
{
  char part[128];
  struct text text = TEXT_INIT(part);
  text_put(&text, name);
  text_make_name_part(part);
  text_put(path, part);
}

static void put_host(struct text *path)
{
  char host[65] = "";
  long size = descriptor_read_file("/proc/sys/kernel/hostname", 0, host, sizeof host - 1);
  host[size > 0 ? size : 0] = '\0';
  if (size > 0 && host[size - 1] == '\n')
    host[size - 1] = '\0';
  put_part(path, host[0] != '\0' ? host : "localhost");
}

static void expand_pattern(struct text *path, uint64_t number)
{
  const char *pattern = settings->out_pattern;
  if (pattern[0] != '/' && start_directory[0] != '\0') {
    text_put(path, start_directory);
    text_put(path, "/");
  }
  for (; *pattern != '\0'; pattern++) {
    if (*pattern != '%') {
      text_put_bytes(path, pattern, 1);
      continue;
    }
    switch (*++pattern) {
    case 'e': put_part(path, program_name); break;
    case 'p': text_put_u64(path, (uint64_t)sys_getpid()); break;
    case 'h': put_host(path); break;
    case 'n': text_put_u64(path, number); break;
    case 't': text_put_u64(path, clock_ns(CLOCK_REALTIME) / 1000000000u); break;
    default: text_put(path, "%"); break;
    }
  }
}

/* The same name with a random part before its ending. */
static void put_alternative(struct text *path, const char *taken)
{
  static const char ending[] = ".pb.gz";
  size_t length = strlen(taken), tail = sizeof ending - 1;
  size_t stem = length > tail && strcmp(taken + length - tail, ending) == 0 ? length - tail : length;
  text_put_bytes(path, taken, stem);
  text_put(path, ".");
  text_put_hex(path, (ticks_or_ns() * 0x9e3779b97f4a7c15u) >> 40);
  text_put(path, taken + stem);
}

/* One dump. */

struct dump_job {
  const char *path; /* NULL: the pattern */
  const char *reason;
  uint64_t number;
  void *memory; /* zeroed, DUMP_ARENA_BYTES; NULL: it was used up */
  int result;
};

/* Gives the file its name; under a pattern, another one if that is taken. */
static int commit(struct writer *writer, const struct dump_job *job, const char *path)
{
  int result = writer_commit(writer, path);
  for (int attempt = 0; result == -EEXIST && job->path == NULL && attempt < NAME_ATTEMPTS; attempt++) {
    char name[WRITER_PATH_MAX];
    struct text other = TEXT_INIT(name);
    put_alternative(&other, path);
    result = other.cut ? -ENAMETOOLONG : writer_commit(writer, name);
    if (result == 0)
      message_print(path, " exists and is left alone; the profile is in ", name);
  }
  return result;
}

/* What cannot be written is not lost as long as the state file has it. */
static void report_failure(const char *what, const char *name, const char *why)
{
  bool is_kept = region_is_in_file();
  message_print(what, name, why, is_kept ? "; it stays in " : "; this profile is lost", is_kept ? region_path() : "",
                is_kept ? ", from where heapprof recover writes it" : "");
}

static int write_profile(const struct dump_job *job, const char *path, struct arena *arena)
{
  struct profile *profile = arena_get(arena, sizeof *profile);
  struct writer *writer = arena_get(arena, sizeof *writer);
  if (profile == NULL || writer == NULL || !profile_build(profile, arena))
    return -ENOMEM;
  profile->period_bytes = settings->sample_interval_bytes;
  profile->time_unix_ns = clock_ns(CLOCK_REALTIME);
  add_comments(profile, arena, job->reason);
  int result = writer_open(writer, path);
  if (result != 0)
    return result;
  result = pprof_write(profile, writer, arena);
  if (result == 0)
    result = commit(writer, job, path);
  writer_discard(writer);
  return result;
}

static void run(void *argument)
{
  struct dump_job *job = argument;
  char name[WRITER_PATH_MAX];
  struct text path = TEXT_INIT(name);
  if (job->path == NULL)
    expand_pattern(&path, job->number);
  else
    text_put(&path, job->path);
  enum writer_place place = writer_look(name);
  if (place == WRITER_NOWHERE) {
    job->result = 0;
    return;
  }
  job->result = path.cut ? -ENAMETOOLONG : place == WRITER_NO_FILE ? -EEXIST : -EBADF;
  for (int attempt = 0; job->result == -EBADF && attempt < DESCRIPTOR_ATTEMPTS; attempt++) {
    struct arena arena = {.chunks = NULL};
    if (job->memory != NULL)
      arena_begin(&arena, job->memory, DUMP_ARENA_BYTES);
    job->memory = NULL;
    job->result = write_profile(job, name, &arena);
    arena_release(&arena);
  }
  if (job->result != 0 && has_changed_root() && settings->verbose == 0)
    return;
  if (job->result != 0) {
    const char *why = place == WRITER_NO_FILE ? "it is neither a file nor /dev/null" : libc_error_text(-job->result);
    char named[WRITER_PATH_MAX + 8];
    struct text text = TEXT_INIT(named);
    text_put(&text, name);
    text_put(&text, ": ");
    report_failure("cannot write ", named, why != NULL ? why : "unknown error");
  } else if (settings->verbose >= 1) {
    message_print("wrote ", name, " (", job->reason, ")");
  }
}

static uint64_t next_number(void)
{
  uint64_t last = atomic_load_explicit(&dumps_started, memory_order_relaxed), next;
  do
    next = (process_is_of_now(last) ? last : process_epoch()) + 1;
  while (
      !atomic_compare_exchange_weak_explicit(&dumps_started, &last, next, memory_order_relaxed, memory_order_relaxed));
  return next - process_epoch();
}

/* The memory it was done in, for the caller to give back; NULL: there was none. */
static void *run_aside(struct dump_job *job)
{
  settle_begin(); /* no sample yet: an empty profile has its mappings and comments all the same */
  (void)settle(); /* a forked child writes its own profile, not its parent's */
  job->number = job->path == NULL ? next_number() : 0;
  unsigned turn = dump_begin();
  char *memory = settle_lost_everything() ? NULL : sys_map_anonymous(DUMP_BYTES);
  if (memory != NULL) {
    job->memory = memory;
    on_stack_below(memory + DUMP_BYTES, run, job);
  }
  dump_end(turn);
  return memory;
}

static int result_of(const struct dump_job *job, const void *memory)
{
  if (memory != NULL)
    return job->result;
  report_failure("no memory for a profile", "", "");
  return -ENOMEM;
}

int dump_write(const char *path, const char *reason)
{
  struct dump_job job = {.path = path, .reason = reason};
  if (settings == NULL)
    return -EAGAIN; /* before the constructor */
  void *memory = run_aside(&job);
  if (memory != NULL)
    sys_munmap(memory, DUMP_BYTES);
  return result_of(&job, memory);
}

int dump_write_last(const char *reason)
{
  struct dump_job job = {.reason = reason};
  if (settings == NULL)
    return -EAGAIN;
  const void *memory = run_aside(&job); /* the kernel takes all memory at once: sooner, a part of it costs 10 us */
  return result_of(&job, memory);
}

/* Requests. */

static _Atomic uint64_t requests;
static _Atomic uint64_t dumping_in; /* the epoch of the process that a request is served in; 0: none is */

/* False: another thread is at it. */
static bool begin_serving(void)
{
  uint64_t now = process_epoch(), before = atomic_load(&dumping_in);
  return before != now &&
         atomic_compare_exchange_strong_explicit(&dumping_in, &before, now, memory_order_relaxed, memory_order_relaxed);
}

void dump_request(const char *reason)
{
  uint64_t seen = atomic_fetch_add(&requests, 1) + 1;
  while (begin_serving()) {
    do {
      seen = atomic_load_explicit(&requests, memory_order_acquire /* pairs with the addition */);
      (void)dump_write(NULL, reason);
    } while (atomic_load_explicit(&requests, memory_order_relaxed) != seen);
    atomic_store(&dumping_in, 0);
    if (atomic_load(&requests) == seen) /* otherwise a request came between the two lines above and saw us busy */
      return;
  }
}

/* The end of the process. */

/* lock_self() of the thread of each dump that runs; 0, or one of another process: a free place. A dump that finds none
 * is not waited for. */
enum { DUMPERS_MAX = 8 };
static _Atomic uintptr_t dumpers[DUMPERS_MAX];

unsigned dump_begin(void)
{
  for (unsigned turn = 0; turn < DUMPERS_MAX; turn++) {
    uintptr_t before = atomic_load_explicit(&dumpers[turn], memory_order_relaxed);
    if (!process_is_of_now(before) &&
        atomic_compare_exchange_strong_explicit(&dumpers[turn], &before, lock_self(),
                                                memory_order_acquire /* hands on what the last one did there */,
                                                memory_order_relaxed))
      return turn;
  }
  return DUMPERS_MAX;
}

void dump_end(unsigned turn)
{
  if (turn < DUMPERS_MAX)
    atomic_store_explicit(&dumpers[turn], 0, memory_order_release /* pairs with others_are_dumping */);
}

static bool others_are_dumping(void)
{
  bool any = false;
  for (unsigned turn = 0; turn < DUMPERS_MAX; turn++) {
    uintptr_t dumper = atomic_load_explicit(&dumpers[turn], memory_order_acquire);
    if (dumper == lock_self())
      return false;
    any = any || process_is_of_now(dumper);
  }
  return any;
}

bool dump_wait_for_others(void)
{
  struct timespec moment = {.tv_nsec = 1000000};
  uint64_t end = clock_ns(CLOCK_MONOTONIC) + DUMP_WAIT_MS * 1000000ull;
  while (others_are_dumping()) {
    if (!sys_may_call(SYS_nanosleep) || clock_ns(CLOCK_MONOTONIC) >= end) {
      writer_remove_unfinished();
      return false;
    }
    (void)sys_call(SYS_nanosleep, (long)&moment, 0, 0, 0, 0, 0);
  }
  return true;
}

void dump_tell_cut_off(void)
{
  report_failure("the process ends while another thread writes its profile", "", "");
}
