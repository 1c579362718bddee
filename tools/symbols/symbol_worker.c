/* SPDX-License-Identifier: MIT */
#include "tools/symbols/symbol_worker.h"

#include "tools/symbols/owner_rights.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitizers, whose own memory is far more than the limit. gcc says so with macros, clang 14 with features. */
#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED_BY_A_SANITIZER
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED_BY_A_SANITIZER
#endif

enum {
  SILENT_SECONDS_MAX = 120, /* longer than a download may stall */
  REPLY_BYTES_MAX = 1 << 30,
};

/* A message is its kind, the length of the rest, and the rest. */
enum message_kind { MESSAGE_PROGRESS, MESSAGE_SYMBOLS, MESSAGE_PROBLEM, MESSAGE_END };

struct message {
  uint32_t kind, bytes;
};

struct progress_message {
  uint64_t done, total;
};

struct end_message {
  uint8_t has_debug, is_trusted;
};

/* --- in the child --- */

static void send_bytes(int fd, const void *bytes, size_t size)
{
  const char *rest = bytes;
  while (size > 0) {
    ssize_t written = write(fd, rest, size);
    if (written < 0 && errno != EINTR)
      _exit(1); /* nobody listens any more */
    if (written > 0) {
      rest += written;
      size -= (size_t)written;
    }
  }
}

static void send_message(int fd, enum message_kind kind, const void *bytes, size_t size)
{
  struct message message = {kind, (uint32_t)size};
  if (size > REPLY_BYTES_MAX)
    _exit(1);
  send_bytes(fd, &message, sizeof message);
  send_bytes(fd, bytes, size);
}

static void send_progress(uint64_t done, uint64_t total, void *context)
{
  const int *fd = context;
  struct progress_message message = {done, total};
  send_message(*fd, MESSAGE_PROGRESS, &message, sizeof message);
}

static void limit_resource(int resource, rlim_t most)
{
  struct rlimit limit;
  if (getrlimit(resource, &limit) == 0 && limit.rlim_cur > most) {
    limit.rlim_cur = most;
    setrlimit(resource, &limit);
  }
}

/* What libdw allocates grows with what the file says, not with what it is. */
static void limit_memory(void)
{
#ifndef WATCHED_BY_A_SANITIZER
  long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page_bytes > 0)
    limit_resource(RLIMIT_DATA, (rlim_t)pages * (rlim_t)page_bytes / 4 * 3);
#endif
}

/* Signals and standard streams are the parent's. False: it has more rights than it should. */
static bool set_apart(const struct object_source *source, bool may_download)
{
  static const int signals[] = {SIGINT,  SIGTERM, SIGHUP,  SIGQUIT, SIGPIPE,
                                SIGCHLD, SIGALRM, SIGUSR1, SIGUSR2, SIGWINCH};
  for (size_t i = 0; i < G_N_ELEMENTS(signals); i++)
    signal(signals[i], SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && null >= 0; fd++)
    dup2(null, fd);
  limit_resource(RLIMIT_CORE, 0);
  limit_memory();
  if (!may_download)
    unsetenv("DEBUGINFOD_URLS");
  bool has_rights = owner_rights_take(source->owner);
  prctl(PR_SET_PDEATHSIG, SIGKILL); /* which other rights undo */
  return has_rights;
}

static void send_failure(int fd, const char *problem)
{
  struct end_message failed = {.has_debug = false};
  send_message(fd, MESSAGE_PROBLEM, problem, strlen(problem));
  send_message(fd, MESSAGE_END, &failed, sizeof failed);
}

static void work(int fd, const struct object_source *source, const uint64_t *offsets, uint32_t count)
{
  GError *error = NULL;
  struct object_source watched = *source;
  watched.downloads = send_progress;
  watched.context = &fd;
  struct object_file *object = object_file_open(&watched, &error);
  if (object == NULL) {
    send_failure(fd, error->message);
    return;
  }
  struct symbol_set *set = symbol_set_new();
  g_autofree char *problem = object_symbols_find(object, offsets, count, set, send_progress, &fd);
  g_autoptr(GBytes) packed = symbol_set_pack(set);
  send_message(fd, MESSAGE_SYMBOLS, g_bytes_get_data(packed, NULL), g_bytes_get_size(packed));
  if (problem != NULL)
    send_message(fd, MESSAGE_PROBLEM, problem, strlen(problem));
  struct end_message end = {object->dwarf != NULL, object->is_trusted};
  send_message(fd, MESSAGE_END, &end, sizeof end);
}

/* --- in the parent --- */

struct conversation {
  int fd;
  GByteArray *received;
  object_symbols_progress progress;
  void *context;
  struct symbol_reply *reply;
  bool has_ended;   /* the child has said all */
  int64_t until_us; /* to be ended then; 0: when it is silent for long */
};

static void take_symbols(struct conversation *conversation, const uint8_t *bytes, size_t size)
{
  g_autoptr(GBytes) packed = g_bytes_new(bytes, size);
  struct symbol_set *set = symbol_set_unpack(packed);
  if (set == NULL)
    return;
  symbol_set_free(conversation->reply->set);
  conversation->reply->set = set;
}

static void take_message(struct conversation *conversation, uint32_t kind, const uint8_t *bytes, size_t size)
{
  struct symbol_reply *reply = conversation->reply;
  struct progress_message progress;
  struct end_message end;
  if (kind == MESSAGE_PROGRESS && size == sizeof progress) {
    memcpy(&progress, bytes, sizeof progress);
    conversation->progress(progress.done, progress.total, conversation->context);
  } else if (kind == MESSAGE_SYMBOLS) {
    take_symbols(conversation, bytes, size);
  } else if (kind == MESSAGE_PROBLEM) {
    g_free(reply->problem);
    reply->problem = g_strndup((const char *)bytes, size);
  } else if (kind == MESSAGE_END && size == sizeof end) {
    memcpy(&end, bytes, sizeof end);
    reply->has_debug = end.has_debug != 0;
    reply->is_trusted = end.is_trusted != 0;
    conversation->has_ended = true;
  }
}

/* False: what came is no message. */
static bool take_messages(struct conversation *conversation)
{
  GByteArray *received = conversation->received;
  size_t taken = 0;
  struct message message;
  while (received->len - taken >= sizeof message) {
    memcpy(&message, received->data + taken, sizeof message);
    if (message.bytes > REPLY_BYTES_MAX)
      return false;
    if (received->len - taken - sizeof message < message.bytes)
      break;
    take_message(conversation, message.kind, received->data + taken + sizeof message, message.bytes);
    taken += sizeof message + message.bytes;
  }
  if (taken > 0)
    g_byte_array_remove_range(received, 0, (guint)taken);
  return true;
}

/* Returns NULL when the child has closed its end, else why it should be ended. */
static const char *converse(struct conversation *conversation)
{
  uint8_t bytes[64 << 10];
  int64_t until_us = conversation->until_us;
  for (int silent_seconds = 0; silent_seconds < SILENT_SECONDS_MAX;) {
    struct pollfd readable = {conversation->fd, POLLIN, 0};
    int64_t left_ms = until_us != 0 ? (until_us - g_get_monotonic_time()) / 1000 : 1000;
    if (left_ms <= 0)
      break;
    /* In steps, so that time in which all is stopped does not count. */
    int ready = poll(&readable, 1, (int)MIN(left_ms, 1000));
    if (ready == 0)
      silent_seconds++;
    if (ready <= 0)
      continue;
    silent_seconds = 0;
    ssize_t size = read(conversation->fd, bytes, sizeof bytes);
    if (size == 0)
      return NULL;
    if (size > 0)
      g_byte_array_append(conversation->received, bytes, (guint)size);
    if (!take_messages(conversation) || (size < 0 && errno != EINTR))
      return "its answer makes no sense";
  }
  return "it took too long";
}

static char *reason_of_end(int status)
{
  if (WIFSIGNALED(status))
    return g_strdup_printf("reading its debug information failed: %s", g_strsignal(WTERMSIG(status)));
  return g_strdup("reading its debug information failed");
}

static void listen_to(struct conversation *conversation, pid_t child)
{
  const char *reason = converse(conversation);
  if (reason != NULL)
    kill(child, SIGKILL);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    continue;
  if (conversation->has_ended && reason == NULL)
    return;
  g_free(conversation->reply->problem);
  conversation->reply->problem =
      reason != NULL ? g_strdup_printf("reading its debug information failed: %s", reason) : reason_of_end(status);
}

/* False: the child did not come to its end. */
static bool run_once(const struct object_source *source, bool may_download, const uint64_t *offsets, uint32_t count,
                     object_symbols_progress progress, void *context, struct symbol_reply *reply)
{
  int ends[2];
  pid_t child = -1;
  if (pipe2(ends, O_CLOEXEC) == 0) {
    child = fork();
    if (child < 0) {
      close(ends[0]);
      close(ends[1]);
    }
  }
  if (child < 0) {
    reply->problem = g_strdup_printf("no process to look it up in: %s", g_strerror(errno));
    return true;
  }
  if (child == 0) {
    close(ends[0]);
    if (set_apart(source, may_download))
      work(ends[1], source, offsets, count);
    else
      send_failure(ends[1], "it is another user's, and to open files as that user takes CAP_SETUID and CAP_SETGID");
    _exit(0);
  }
  close(ends[1]);
  struct conversation conversation = {
      .until_us = source->until_us, .fd = ends[0], .progress = progress, .context = context, .reply = reply};
  conversation.received = g_byte_array_new();
  listen_to(&conversation, child);
  g_byte_array_free(conversation.received, TRUE);
  close(ends[0]);
  return conversation.has_ended;
}

void symbol_worker_run(const struct object_source *source, bool may_download, const uint64_t *offsets, uint32_t count,
                       object_symbols_progress progress, void *context, struct symbol_reply *reply)
{
  *reply = (struct symbol_reply){.set = symbol_set_new()};
  bool has_ended = run_once(source, may_download, offsets, count, progress, context, reply);
  reply->is_late = !has_ended && source->until_us != 0 && g_get_monotonic_time() >= source->until_us;
  if (has_ended || reply->is_late || !source->wants_debug)
    return;
  /* Reading the symbol table alone may do no harm. */
  struct symbol_reply names = {.set = symbol_set_new()};
  struct object_source without_debug = *source;
  without_debug.wants_debug = false;
  run_once(&without_debug, false, offsets, count, progress, context, &names);
  g_free(names.problem);
  names.problem = reply->problem;
  symbol_set_free(reply->set);
  *reply = names;
}

void symbol_reply_clear(struct symbol_reply *reply)
{
  symbol_set_free(reply->set);
  g_free(reply->problem);
  *reply = (struct symbol_reply){.set = NULL};
}
