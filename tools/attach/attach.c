/* SPDX-License-Identifier: MIT */
#include "tools/attach/attach.h"

#include "tools/attach/borrowed.h"
#include "tools/attach/candidate.h"
#include "tools/attach/moments.h"
#include "tools/attach/standstill.h"
#include "tools/attach/tracing.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
  STUB_AT = ROOM_DATA_AT,
  NAME_AT = STUB_AT + 256,
  PATH_AT = STUB_AT + 512,
  ATTACHMENT_AT = STUB_AT + 8192,
  PATH_BYTES = ATTACHMENT_AT - PATH_AT,
};

#define FIRST_STOP_NS UINT64_C(50000000)
#define LAST_STOP_NS UINT64_C(60000000000)

_Static_assert(sizeof(struct machine_stub) <= NAME_AT - STUB_AT, "room for it");

struct job {
  const struct attach_wish *wish;
  struct attach_result *result;
  struct memory *memory;
  struct image *libc, *loader, *library;
  GPtrArray *allocators; /* struct image * */
  struct places *places;
  struct borrowed borrowed;
  int their_file; /* the library, as a descriptor of theirs; -1: it has a path */
  GError *at_moment;
};

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
  const struct memory_mapping *mapping = memory_find_file(memory, name);
  return mapping != NULL ? image_read(memory, mapping->start) : NULL;
}

static bool is_known(const struct job *job, uint64_t start)
{
  for (guint i = 0; i < job->allocators->len; i++)
    if (((const struct image *)g_ptr_array_index(job->allocators, i))->start == start)
      return true;
  return start == job->libc->start || start == job->loader->start;
}

/* What else than libc provides malloc, our library among them: no thread that is in there is led away. */
static bool read_allocators(struct job *job, GError **error)
{
  g_autofree char *link = g_strdup_printf("/proc/%d/exe", job->wish->pid), *program = g_file_read_link(link, NULL);
  for (guint i = 0; i < job->memory->mappings->len; i++) {
    const struct memory_mapping *mapping = &g_array_index(job->memory->mappings, struct memory_mapping, i);
    bool may_be = mapping->offset == 0 && mapping->path[0] == '/' && mapping->is_readable;
    struct image *image = may_be && !is_known(job, mapping->start) ? image_read(job->memory, mapping->start) : NULL;
    if (image == NULL || image_find(image, "malloc") == 0 || image_find(image, "free") == 0) {
      image_free(image);
      continue;
    }
    bool is_program = g_strcmp0(mapping->path, program) == 0;
    if (is_program && job->library == NULL) {
      image_free(image);
      return fail(error, job,
                  "its executable brings its own malloc: only heapprof run puts hooks there; it was not touched");
    }
    if (is_program) /* it was started with the library, of which no more is asked than a handler may do */
      image_free(image);
    else
      g_ptr_array_add(job->allocators, image);
  }
  return true;
}

static bool read_images(struct job *job, GError **error)
{
  job->libc = read_file(job->memory, "libc.so.6");
  job->loader = read_file(job->memory, "ld-linux");
  job->library = read_file(job->memory, "libheapprof.so");
  if (job->libc == NULL || job->loader == NULL)
    return fail(error, job, "its C library can't be read; it was not touched");
  if (image_find(job->libc, "dlopen") == 0 || image_find(job->libc, "_dl_find_object") == 0)
    return fail(error, job, "its glibc is older than 2.35; it was not touched");
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
                                 .signal_return = job->borrowed.restore_code};
  job->places = places_open(job->wish->pid, &images, error);
  return job->places != NULL;
}

/* May it be traced at all? Asked of its first thread, which goes on at once. */
static bool check_tracing(const struct job *job, GError **error)
{
  if (!tracing_seize(job->wish->pid)) {
    candidate_explain(job->wish->pid, errno, CANDIDATE_YAMA, error);
    return false;
  }
  if (tracing_interrupt(job->wish->pid) && tracing_wait_stopped(job->wish->pid, tracing_now_ns() + FIRST_STOP_NS))
    tracing_release(job->wish->pid);
  else
    tracing_release_later(job->wish->pid);
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
      .mask = machine_stub_mask(),
      .errno_location = image_find(job->libc, "__errno_location"),
      .dlopen = image_find(job->libc, "dlopen"),
      .dlsym = image_find(job->libc, "dlsym"),
      .dlerror = image_find(job->libc, "dlerror"),
      .path = room + PATH_AT,
      .flags = RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE,
      .name = room + NAME_AT,
      .function = job->library != NULL ? image_find(job->library, name) : 0,
      .attachment = room + ATTACHMENT_AT,
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
  if (!memory_read(job->memory, job->borrowed.room + ATTACHMENT_AT, attachment, sizeof *attachment) ||
      attachment->change_count > ATTACHMENT_CHANGES_MAX)
    memset(attachment, 0, sizeof *attachment);
  attachment->reason[sizeof attachment->reason - 1] = attachment->allocator[sizeof attachment->allocator - 1] = '\0';
  return attachment;
}

static void make_changes(void *context)
{
  struct job *job = context;
  g_autofree struct attachment *attachment = read_answer(job);
  uint32_t is_changed = 1;
  if (atomic_load(&attachment->answer) != ATTACHMENT_READY)
    return;
  if (standstill_change(&job->borrowed, attachment->changes, attachment->change_count, &job->result->all_stood_ns,
                        &job->at_moment))
    (void)memory_write(job->memory, job->borrowed.room + ATTACHMENT_AT + offsetof(struct attachment, is_changed),
                       &is_changed, sizeof is_changed);
}

static bool judge_opening(const struct job *job, GError **error)
{
  struct machine_stub stub;
  char reason[ATTACHMENT_TEXT_BYTES] = "";
  if (!memory_read(job->memory, job->borrowed.room + STUB_AT, &stub, sizeof stub))
    return fail(error, job, "its memory can't be read");
  if (stub.function != 0)
    return true;
  if (stub.handle != 0)
    return fail(error, job, "its library is of another version than this command");
  if (stub.error != 0)
    (void)memory_read_text(job->memory, stub.error, reason, sizeof reason);
  g_set_error(error, G_FILE_ERROR, G_FILE_ERROR_FAILED, "process %d can't open the library: %s; it is as it was",
              job->wish->pid, reason[0] != '\0' ? reason : "it does not say why");
  return false;
}

static bool judge(struct job *job, GError **error)
{
  if (!judge_opening(job, error))
    return false;
  if (job->at_moment != NULL) {
    g_propagate_error(error, g_steal_pointer(&job->at_moment));
    return false;
  }
  g_autofree struct attachment *attachment = read_answer(job);
  job->result->answer = (enum attachment_answer)atomic_load(&attachment->answer);
  job->result->sample_interval_bytes = attachment->sample_interval_bytes;
  g_strlcpy(job->result->allocator, attachment->allocator, sizeof job->result->allocator);
  if (job->result->answer == ATTACHMENT_SETTLED || job->result->answer == ATTACHMENT_IN_FORCE)
    return true;
  return fail(error, job, attachment->reason[0] != '\0' ? attachment->reason : "its library gave no answer");
}

static void close_their_file(struct job *job)
{
  uint64_t result;
  if (job->their_file >= 0 && job->borrowed.thread != 0)
    (void)borrowed_call(&job->borrowed, SYS_close, (uint64_t[]){(uint64_t)job->their_file, 0, 0, 0, 0, 0}, &result);
}

static bool use_borrowed(struct job *job, GError **error)
{
  g_autofree char *path = g_malloc0(PATH_BYTES);
  bool is_run = borrowed_map_room(&job->borrowed, error) && (job->library != NULL || pass_library(job, path, error)) &&
                write_order(job, path, error) && borrowed_run(&job->borrowed, make_changes, job, error);
  bool is_done = is_run && judge(job, error);
  close_their_file(job);
  borrowed_give_back(&job->borrowed);
  job->result->stood_ns = job->borrowed.stood_ns;
  return is_done;
}

static void close_job(struct job *job)
{
  places_close(job->places);
  image_free(job->libc);
  image_free(job->loader);
  g_ptr_array_free(job->allocators, TRUE);
  image_free(job->library);
  memory_close(job->memory);
  g_clear_error(&job->at_moment);
}

bool attach_process(const struct attach_wish *wish, struct attach_result *result, GError **error)
{
  struct job job = {.wish = wish, .result = result, .their_file = -1};
  job.allocators = g_ptr_array_new_with_free_func(free_image);
  memset(result, 0, sizeof *result);
  job.memory = candidate_check(wish->pid, error) && check_tracing(&job, error) ? memory_open(wish->pid, error) : NULL;
  bool is_done = job.memory != NULL && read_images(&job, error) && find_code(&job, error) && open_places(&job, error) &&
                 borrowed_take(&job.borrowed, job.places, error) && use_borrowed(&job, error);
  close_job(&job);
  tracing_end(tracing_now_ns() + LAST_STOP_NS);
  return is_done;
}
