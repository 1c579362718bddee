/* SPDX-License-Identifier: MIT */
#include "tools/attach/attach.h"

#include "tools/attach/allocator_code.h"
#include "tools/attach/allocators.h"
#include "tools/attach/borrowed.h"
#include "tools/attach/candidate.h"
#include "tools/attach/image.h"
#include "tools/attach/loader_locks.h"
#include "tools/attach/moments.h"
#include "tools/attach/others.h"
#include "tools/attach/quiet.h"
#include "tools/attach/task.h"
#include "tools/attach/tracing.h"
#include "tools/attach/worker.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/memfd.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  STUB_AT = ROOM_DATA_AT,
  NAME_AT = STUB_AT + 256,
  PATH_AT = STUB_AT + 512,
  ATTACHMENT_AT = STUB_AT + 8192,
  PATH_BYTES = ATTACHMENT_AT - PATH_AT,
  LONGEST_PAUSE_MS = 20,
  PAUSE_NS = 1000000,
};

#define ATTEMPTS_NS UINT64_C(3000000000)
#define TAKE_NS UINT64_C(300000000)
#define LAST_STOP_NS UINT64_C(5000000000)

_Static_assert(sizeof(struct machine_stub) <= NAME_AT - STUB_AT, "room for it");

struct job {
  const struct attach_wish *wish;
  struct attach_result *result;
  struct memory *memory;
  struct image *libc, *loader, *library;
  GPtrArray *objects;             /* struct image *, besides these and the executable */
  GPtrArray *allocators;          /* those among them that are one, or part of one; NULL: not known yet */
  struct allocator_code *program; /* of the executable's own */
  struct places *places;
  struct others *others;
  struct borrowed borrowed;
  int their_file;  /* the library, as a descriptor of theirs; -1: it has a path */
  uint64_t locks;  /* of the loader */
  const char *why; /* not yet */
};

/* Of an attempt. NOT_NOW: `why`. */
enum outcome { DONE, FAILED, NOT_NOW };

static bool fail(GError **error, const struct job *job, const char *what)
{
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "process %d: %s", job->wish->pid, what);
  return false;
}

static void free_image(void *image)
{
  image_free(image);
}

static struct image *read_file(const struct memory *memory, const char *name)
{
  bool is_alone;
  const struct memory_mapping *mapping = memory_find_file(memory, name, &is_alone);
  return mapping != NULL && is_alone ? image_read(memory, mapping->start) : NULL;
}

/* Our library, if it is in the loader's list. Where memory ends while the loader maps it, glibc leaves what it has
 * mapped, and nothing in there may be called. */
static struct image *read_library(const struct job *job)
{
  enum { OBJECTS_MAX = 1 << 16 };
  struct r_debug debug = {0};
  struct link_map object;
  (void)memory_read(job->memory, image_find(job->loader, "_r_debug"), &debug, sizeof debug);
  uint64_t next = (uintptr_t)debug.r_map;
  for (unsigned i = 0; i < OBJECTS_MAX && next != 0; i++) {
    if (!memory_read(job->memory, next, &object, sizeof object))
      break;
    const struct memory_mapping *mapping = memory_mapping_at(job->memory, object.l_addr);
    if (mapping != NULL && memory_is_named(mapping, "libheapprof.so"))
      return image_read(job->memory, mapping->start);
    next = (uintptr_t)object.l_next;
  }
  return NULL;
}

static bool is_known(const struct job *job, uint64_t start)
{
  for (guint i = 0; i < job->objects->len; i++)
    if (((const struct image *)g_ptr_array_index(job->objects, i))->start == start)
      return true;
  return start == job->libc->start || start == job->loader->start;
}

/* What else than libc provides malloc, our library among them, and what that needs: no thread that is in there is led
 * away. */
static bool read_allocators(struct job *job, GError **error)
{
  bool is_known_code = true;
  g_autofree char *link = g_strdup_printf("/proc/%d/exe", job->wish->pid), *program = g_file_read_link(link, NULL);
  for (guint i = 0; i < job->memory->mappings->len; i++) {
    const struct memory_mapping *mapping = &g_array_index(job->memory->mappings, struct memory_mapping, i);
    bool is_code = mapping->is_executable && mapping->path[0] == '/';
    const struct memory_mapping *start = is_code ? memory_start_of(job->memory, mapping) : NULL;
    struct image *image = start != NULL && !is_known(job, start->start) ? image_read(job->memory, start->start) : NULL;
    if (image == NULL)
      continue;
    if (g_strcmp0(mapping->path, program) != 0) {
      g_ptr_array_add(job->objects, image);
      continue;
    }
    /* Its code may be in many mappings, with changed pages between. */
    if (allocators_is_one(image) && is_known_code && job->program == NULL) {
      job->program = allocator_code_read(job->memory, image);
      is_known_code = job->program != NULL;
    }
    image_free(image);
  }
  job->allocators = allocators_among(job->objects);
  /* Of one that was started with the library no more is asked than a handler may do. */
  return is_known_code || job->library != NULL ||
         fail(error, job, "which code its own malloc is made of can't be found out; it was not touched");
}

static bool read_images(struct job *job, GError **error)
{
  job->libc = read_file(job->memory, "libc.so.6");
  job->loader = read_file(job->memory, "ld-linux");
  if (job->libc == NULL || job->loader == NULL)
    return fail(error, job, "its C library can't be read, or is there twice; it was not touched");
  job->library = read_library(job);
  if (image_find(job->libc, "dlopen") == 0 || image_find(job->libc, "_dl_find_object") == 0)
    return fail(error, job, "its glibc is older than 2.35; it was not touched");
  job->locks = loader_locks_find(job->loader, job->memory);
  if (job->locks == 0)
    return fail(error, job, "its dynamic linker is not one that is known; it was not touched");
  if (!read_allocators(job, error))
    return false;
  if (job->library == NULL)
    return job->wish->wish == ATTACHMENT_ON || fail(error, job, "nobody has attached to it");
  return image_find(job->library, ATTACHMENT_FUNCTION_NAME) != 0 ||
         fail(error, job, "its library is of another version than this command; it was not touched");
}

static bool find_code(struct job *job, GError **error)
{
  job->borrowed.memory = job->memory;
  job->borrowed.call_code = image_find_code(job->libc, job->memory, machine_call_code, sizeof machine_call_code);
  job->borrowed.restore_code =
      image_find_code(job->libc, job->memory, machine_restore_code, sizeof machine_restore_code);
  return (job->borrowed.call_code != 0 && job->borrowed.restore_code != 0) ||
         fail(error, job, "its C library is not one that is known; it was not touched");
}

static bool open_places(struct job *job, GError **error)
{
  struct places_images images = {.libc = job->libc,
                                 .loader = job->loader,
                                 .allocators = job->allocators,
                                 .program = job->program,
                                 .signal_return = job->borrowed.restore_code};
  job->places = places_open(job->memory, &images, error);
  if (job->places == NULL)
    return false;
  job->others = others_new(job->memory, job->places);
  return true;
}

/* The library as a file in the memory of the process, which sees other files than we do. */
static bool copy_library(const struct job *job, int descriptor, GError **error)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/fd/%d", job->wish->pid, descriptor), *bytes = NULL;
  gsize size, done = 0;
  if (!g_file_get_contents(job->wish->library, &bytes, &size, error))
    return false;
  int file = open(path, O_WRONLY | O_CLOEXEC);
  for (ssize_t put = 1; file >= 0 && done < size && put > 0; done += put > 0 ? (gsize)put : 0)
    put = write(file, bytes + done, size - done);
  if (file >= 0)
    close(file);
  return done == size || fail(error, job, "it has no room for the library; it is as it was");
}

static bool pass_library(struct job *job, char *path, GError **error)
{
  static const char name[] = "libheapprof.so";
  uint64_t room = job->borrowed.room, result;
  if (candidate_shares_files(job->wish->pid)) {
    g_strlcpy(path, job->wish->library, PATH_BYTES);
    return strlen(job->wish->library) < PATH_BYTES || fail(error, job, "the library's path is too long");
  }
  if (!memory_write(job->memory, room + PATH_AT, name, sizeof name) ||
      !borrowed_call(&job->borrowed, SYS_memfd_create, (uint64_t[]){room + PATH_AT, MFD_CLOEXEC, 0, 0, 0, 0},
                     &result) ||
      result > INT32_MAX)
    return fail(error, job, "it gets no file for the library; it is as it was");
  job->their_file = (int)result;
  g_snprintf(path, PATH_BYTES, "/proc/self/fd/%d", job->their_file);
  return copy_library(job, job->their_file, error);
}

static bool put_settings(const struct job *job, struct attachment *attachment, GError **error)
{
  char *at = attachment->settings, *end = at + sizeof attachment->settings - 1;
  for (const char *const *setting = job->wish->settings; *setting != NULL; setting++) {
    size_t bytes = strlen(*setting) + 1;
    if ((size_t)(end - at) < bytes)
      return fail(error, job, "the settings are too long; it is as it was");
    memcpy(at, *setting, bytes);
    at += bytes;
  }
  return true;
}

/* To open the library, or to find what it has not found yet. */
static bool needs_loader(const struct job *job)
{
  return job->library == NULL || job->wish->wish == ATTACHMENT_ON;
}

static bool write_order(struct job *job, const char *path, GError **error)
{
  static const char name[] = ATTACHMENT_FUNCTION_NAME;
  uint64_t room = job->borrowed.room;
  g_autofree struct attachment *attachment = g_new0(struct attachment, 1);
  g_autofree char *program = candidate_name(job->wish->pid);
  *attachment = (struct attachment){
      .version = ATTACHMENT_VERSION, .bytes = sizeof *attachment, .wish = (uint32_t)job->wish->wish};
  g_strlcpy(attachment->program, program != NULL ? program : "", sizeof attachment->program);
  struct machine_stub stub = {
      .errno_location = image_find(job->libc, "__errno_location"),
      .dlopen = image_find(job->libc, "dlopen"),
      .dlsym = image_find(job->libc, "dlsym"),
      .dlerror = image_find(job->libc, "dlerror"),
      .path = room + PATH_AT,
      .flags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE,
      .name = room + NAME_AT,
      .function = job->library != NULL ? image_find(job->library, name) : 0,
      .attachment = room + ATTACHMENT_AT,
      .lock = needs_loader(job) ? job->locks : 0,
      .trylock = image_find(job->libc, "pthread_mutex_trylock"),
      .unlock = image_find(job->libc, "pthread_mutex_unlock"),
      .walks = loader_locks_of_walks(job->locks),
  };
  return put_settings(job, attachment, error) &&
         ((memory_write(job->memory, room + PATH_AT, path, strlen(path) + 1) &&
           memory_write(job->memory, room + NAME_AT, name, sizeof name) &&
           memory_write(job->memory, room + ATTACHMENT_AT, attachment, sizeof *attachment) &&
           memory_write(job->memory, room + STUB_AT, &stub, sizeof stub)) ||
          fail(error, job, "its memory can't be written; it is as it was"));
}

static struct attachment *read_answer(const struct job *job)
{
  struct attachment *attachment = g_new0(struct attachment, 1);
  if (!memory_read(job->memory, job->borrowed.room + ATTACHMENT_AT, attachment, sizeof *attachment))
    memset(attachment, 0, sizeof *attachment);
  attachment->reason[sizeof attachment->reason - 1] = attachment->allocator[sizeof attachment->allocator - 1] = '\0';
  return attachment;
}

static const char too_slow[] = "did not come back in time";

static bool judge_opening(const struct job *job, GError **error)
{
  struct machine_stub stub;
  char reason[ATTACHMENT_TEXT_BYTES] = "";
  if (!memory_read(job->memory, job->borrowed.room + STUB_AT, &stub, sizeof stub))
    return fail(error, job, "its memory can't be read");
  if (stub.function != 0 || (stub.handle == 0 && stub.error == 0)) /* or it was not tried */
    return true;
  if (stub.handle != 0)
    return fail(error, job, "its library is of another version than this command");
  if (stub.error != 0)
    (void)memory_read_text(job->memory, stub.error, reason, sizeof reason);
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "process %d can't open the library: %s; it is as it was",
              job->wish->pid, reason[0] != '\0' ? reason : "it does not say why");
  return false;
}

static enum outcome judge(struct job *job, GError **error)
{
  if (!judge_opening(job, error))
    return FAILED;
  g_autofree struct attachment *attachment = read_answer(job);
  job->result->answer = (enum attachment_answer)atomic_load(&attachment->answer);
  job->result->sample_interval_bytes = attachment->sample_interval_bytes;
  job->result->depth = attachment->depth;
  job->result->seed = attachment->seed;
  job->result->has_file = attachment->has_file != 0;
  job->result->hooks = attachment->hooks;
  g_strlcpy(job->result->allocator, attachment->allocator, sizeof job->result->allocator);
  if (job->result->answer == ATTACHMENT_SETTLED || job->result->answer == ATTACHMENT_IN_FORCE)
    return DONE;
  if (job->result->answer == ATTACHMENT_NO_ANSWER || job->result->answer == ATTACHMENT_NOT_NOW)
    return NOT_NOW;
  g_autofree char *what =
      g_strconcat(attachment->reason, job->wish->wish == ATTACHMENT_ON ? "; it goes on as before" : "", NULL);
  (void)fail(error, job, what);
  return FAILED;
}

static void close_their_file(struct job *job)
{
  uint64_t result;
  if (job->their_file >= 0 && job->borrowed.thread != 0)
    (void)borrowed_call(&job->borrowed, SYS_close, (uint64_t[]){(uint64_t)job->their_file, 0, 0, 0, 0, 0}, &result);
  job->their_file = -1;
}

/* Whoever holds a lock of the loader may wait for the borrowed thread, in a constructor or a callback. So that thread
 * waits for none, but finds out. */
static enum outcome run_stub(struct job *job, GError **error)
{
  job->why = "was in the dynamic linker";
  return borrowed_run(&job->borrowed, error) ? judge(job, error) : FAILED;
}

static enum outcome use_borrowed(struct job *job, GError **error)
{
  g_autofree char *path = g_malloc0(PATH_BYTES);
  bool is_ready = borrowed_map_room(&job->borrowed, error) &&
                  (job->library != NULL || pass_library(job, path, error)) && write_order(job, path, error);
  enum outcome outcome = is_ready ? run_stub(job, error) : FAILED;
  if (!is_ready && job->borrowed.thread == 0) { /* a call took too long, and ends without us */
    g_clear_error(error);
    job->why = too_slow;
    outcome = NOT_NOW;
  }
  if (job->borrowed.thread == 0) {
    job->result->stood_ns = MAX(job->result->stood_ns, job->borrowed.stood_ns);
    borrowed_take_for_room(&job->borrowed, job->places, tracing_now_ns() + ATTEMPTS_NS);
  }
  close_their_file(job);
  borrowed_give_back(&job->borrowed);
  job->result->stood_ns = MAX(job->result->stood_ns, job->borrowed.stood_ns);
  return outcome;
}

/* Before any thread is stopped, so that most attempts in vain are not even noticed. */
static const char *why_not_yet(const struct job *job)
{
  pid_t holder = loader_locks_holder(job->locks, job->memory);
  bool may_wait = holder != 0 && task_is_waiting(job->wish->pid, holder);
  return may_wait ? "was in the dynamic linker" : NULL;
}

/* An attempt before may have opened it. */
static void find_library(struct job *job)
{
  if (job->library == NULL && memory_refresh(job->memory))
    job->library = read_library(job);
}

static enum outcome let_go(struct job *job)
{
  borrowed_release(&job->borrowed);
  job->result->stood_ns = MAX(job->result->stood_ns, job->borrowed.stood_ns);
  return NOT_NOW;
}

static enum outcome try_once(struct job *job, uint64_t deadline_ns, GError **error)
{
  job->why = why_not_yet(job);
  if (job->why != NULL)
    return NOT_NOW;
  others_look_ahead(job->others);
  moment_is_ahead();
  /* The look may have taken all of the time. */
  if (!borrowed_take(&job->borrowed, job->places, MAX(deadline_ns, tracing_now_ns() + TAKE_NS), error))
    return FAILED;
  job->why = others_why_not(job->others, job->borrowed.thread);
  if (job->why != NULL)
    return let_go(job);
  find_library(job);
  return use_borrowed(job, error);
}

static bool try_often(struct job *job, GError **error)
{
  uint64_t deadline_ns = tracing_now_ns() + ATTEMPTS_NS;
  const char *reason = NULL;
  enum outcome outcome = NOT_NOW;
  for (int attempt = 1; outcome == NOT_NOW && tracing_now_ns() < deadline_ns; attempt++) {
    outcome = try_once(job, deadline_ns, error);
    reason = reason == NULL || job->why != too_slow ? job->why : reason;
    if (moment_is_last_look(attempt))
      break;
    if (outcome == NOT_NOW)
      tracing_pause((uint64_t)MIN(attempt, LONGEST_PAUSE_MS) * PAUSE_NS);
  }
  if (outcome == NOT_NOW)
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "process %d: no good moment (a thread %s); it is not sampled",
                job->wish->pid, reason);
  return outcome == DONE;
}

static void close_job(struct job *job)
{
  others_free(job->others);
  places_close(job->places);
  image_free(job->libc);
  image_free(job->loader);
  g_ptr_array_free(job->objects, TRUE);
  if (job->allocators != NULL)
    g_ptr_array_free(job->allocators, TRUE);
  allocator_code_free(job->program);
  image_free(job->library);
  memory_close(job->memory);
}

static bool look_and_try(struct job *job, GError **error)
{
  if (!candidate_check(job->wish->pid, error) ||
      (job->wish->wish == ATTACHMENT_ON && !candidate_check_memory(job->wish->pid, error)))
    return false;
  /* Who may open its memory may trace it. To try that would be noticed: who is traced gets signals that it ignores. */
  if (tracing_is_allowed())
    job->memory = memory_open(job->wish->pid);
  if (job->memory == NULL)
    candidate_explain(job->wish->pid, errno == EACCES ? EPERM : errno, CANDIDATE_YAMA, error);
  return job->memory != NULL && read_images(job, error) && find_code(job, error) && open_places(job, error) &&
         try_often(job, error);
}

/* What the worker hands over. */
struct outbox {
  const struct attach_wish *wish;
  bool is_done;
  struct attach_result result;
  char reason[1024];
};

static void work(void *context)
{
  struct outbox *outbox = context;
  g_autoptr(GError) error = NULL;
  struct job job = {.wish = outbox->wish, .result = &outbox->result, .their_file = -1};
  job.objects = g_ptr_array_new_with_free_func(free_image);
  outbox->is_done = look_and_try(&job, &error);
  if (error != NULL)
    g_strlcpy(outbox->reason, error->message, sizeof outbox->reason);
  close_job(&job);
  tracing_end(tracing_now_ns() + LAST_STOP_NS);
}

bool attach_process(const struct attach_wish *wish, struct attach_result *result, GError **error)
{
  struct outbox *outbox = worker_share(sizeof *outbox);
  memset(result, 0, sizeof *result);
  if (outbox == NULL) {
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_NOMEM, "there is no memory to begin with");
    return false;
  }
  outbox->wish = wish;
  struct quiet quiet = quiet_begin();
  bool is_worked = worker_run(work, outbox), is_done = is_worked && outbox->is_done;
  quiet_end(&quiet);
  if (!is_worked)
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED,
                "process %d: it executes a program just now, or this command could not do its work; it goes on",
                wish->pid);
  else if (!is_done)
    g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "%s", outbox->reason);
  *result = outbox->result;
  (void)munmap(outbox, sizeof *outbox);
  return is_done;
}
