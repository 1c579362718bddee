/* SPDX-License-Identifier: MIT */
#include "core/region.h"

#include "core/command_line.h"
#include "core/compiler.h"
#include "core/descriptor.h"
#include "core/libc.h"
#include "core/message.h"
#include "core/on_stack.h"
#include "core/process.h"
#include "core/sys.h"
#include "core/text.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

struct lock region_growth_lock;
size_t region_page_bytes;

/* The mapping of this process. A forked child inherits the values and, until it adopts, must not write through them. */
static struct {
  _Atomic(char *) segments[REGION_SEGMENTS];
  _Atomic uint64_t capacity;        /* bytes that are mapped and backed */
  char path[CONFIG_PATH_MAX + 128]; /* empty: private memory */
  dev_t device;
  ino_t inode;
} region;

static uint64_t segment_start(unsigned segment)
{
  return segment == 0 ? 0 : (uint64_t)REGION_FIRST_SEGMENT_BYTES << (segment - 1);
}

static uint64_t segment_end(unsigned segment)
{
  return (uint64_t)REGION_FIRST_SEGMENT_BYTES << segment;
}

static unsigned segment_of(uint64_t position)
{
  uint64_t pieces = position / REGION_FIRST_SEGMENT_BYTES;
  return pieces == 0 ? 0 : 64 - (unsigned)__builtin_clzll(pieces);
}

/* One mapping cannot be less than a page: where pages are large, the first holds several segments. */
static uint64_t first_mapping_bytes(void)
{
  if (region_page_bytes == 0)
    region_page_bytes = getauxval(AT_PAGESZ);
  return region_page_bytes > REGION_FIRST_SEGMENT_BYTES ? region_page_bytes : REGION_FIRST_SEGMENT_BYTES;
}

/* The segments of [from, to) lie there. */
static void set_segments(char *base, uint64_t from, uint64_t to)
{
  for (unsigned segment = segment_of(from); segment_start(segment) < to; segment++)
    atomic_store_explicit(&region.segments[segment], base + (segment_start(segment) - from),
                          memory_order_release /* pairs with region_header */);
}

/* Who knows of the position knows of its segment, and that there is a region. */
static char *address_of(uint64_t position)
{
  unsigned segment = segment_of(position);
  return atomic_load_explicit(&region.segments[segment], memory_order_relaxed) + (position - segment_start(segment));
}

struct region_header *region_header(void)
{
  return (struct region_header *)atomic_load_explicit(&region.segments[0],
                                                      memory_order_acquire /* pairs with set_segments */);
}

/* Bytes that are mapped: with their segments. */
static uint64_t capacity_now(void)
{
  return atomic_load_explicit(&region.capacity, memory_order_acquire /* pairs with grow */);
}

const char *region_path(void)
{
  return region.path;
}

void region_lose(enum loss loss)
{
  struct region_header *header = region_header();
  if (header != NULL)
    atomic_fetch_add_explicit(&header->lost[loss], 1, memory_order_relaxed);
}

/* Its place may be of another area: then one of the next. Where all are, that one has had its time. */
void region_note_seen(const void *pointer)
{
  uint64_t address = (uintptr_t)pointer;
  struct region_header *header = region_header();
  unsigned first = region_seen_place(address), place = first;
  for (unsigned step = 0; step < SEEN_REACH; step++) {
    unsigned next = (first + step) % SEEN_PLACES;
    uint64_t there = atomic_load_explicit(&header->seen[next], memory_order_relaxed);
    if (there == 0 || region_is_seen_together(there, address)) {
      place = next;
      break;
    }
  }
  atomic_store_explicit(&header->seen[place], address, memory_order_relaxed);
}

static void add_own_range(struct region_header *header, const void *start, uint64_t bytes)
{
  uint64_t claimed = atomic_fetch_add_explicit(&header->own_range_count, 1, memory_order_relaxed);
  if (claimed >= OWN_RANGES)
    return;
  atomic_store_explicit(&header->own_ranges[claimed].start, (uintptr_t)start, memory_order_relaxed);
  atomic_store_explicit(&header->own_ranges[claimed].bytes, bytes, memory_order_release);
}

void region_add_own(const void *start, uint64_t bytes)
{
  struct region_header *header = region_header();
  if (header == NULL)
    return;
  atomic_fetch_add_explicit(&header->own_bytes, bytes, memory_order_relaxed);
  add_own_range(header, start, bytes);
}

/* The file. */

/* A size beyond RLIMIT_FSIZE would raise SIGXFSZ, which kills: ask first. */
static bool may_grow_to(uint64_t size)
{
  struct rlimit limit;
  return sys_get_limit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY || size <= limit.rlim_cur;
}

/* Blocks for [from, to) of the file, then their mapping; NULL when either is refused. */
static char *map_file(int fd, uint64_t from, uint64_t to)
{
  enum { ATTEMPTS = 4 }; /* tmpfs gives up when a signal comes */
  int result = may_grow_to(to) ? -EINTR : -EFBIG;
  for (int attempt = 0; attempt < ATTEMPTS && result == -EINTR; attempt++)
    result = sys_fallocate(fd, from, to - from);
  if (result != 0)
    return NULL;
  return sys_mmap(NULL, to - from, PROT_READ | PROT_WRITE, MAP_SHARED, fd, from);
}

/* Anybody may write to /dev/shm: a directory of ours there must be ours alone. */
static bool make_private_directory(const char *path)
{
  struct stat status;
  int found = sys_lstat(path, &status);
  if (found == -ENOENT && sys_mkdir(path, 0700) == 0)
    return true;
  return found == 0 && S_ISDIR(status.st_mode) && status.st_uid == sys_geteuid() && (status.st_mode & 077) == 0;
}

/* The n-th place to try; false: there is none. An empty path: not this one. */
static bool name_directory(const struct config *config, unsigned n, struct text *path)
{
  bool is_given = config->state_dir[0] != '\0';
  path->bytes[path->length = 0] = '\0';
  path->cut = false;
  if (is_given) {
    text_put(path, config->state_dir);
  } else if (n == 0 && config->runtime_dir[0] == '/') {
    text_put(path, config->runtime_dir);
    text_put(path, "/heapprof");
  } else if (n == 1) {
    text_put(path, "/dev/shm/heapprof-");
    text_put_u64(path, sys_geteuid());
  }
  if (path->cut)
    path->bytes[path->length = 0] = '\0';
  return n < (is_given ? 1 : 2);
}

static bool make_given_directory(const char *path)
{
  struct stat status;
  return sys_lstat(path, &status) == 0 || sys_mkdir(path, 0700) == 0;
}

static bool choose_directory(const struct config *config, struct text *path)
{
  bool is_given = config->state_dir[0] != '\0';
  for (unsigned n = 0; name_directory(config, n, path); n++)
    if (path->bytes[0] != '\0' && (is_given ? make_given_directory(path->bytes) : make_private_directory(path->bytes)))
      return true;
  return false;
}

static char state_directory[CONFIG_PATH_MAX + 64]; /* chosen once: a child does not read the environment again */

/* When this process began, exec or not, by CLOCK_BOOTTIME: field 22 of /proc/self/stat, in ticks. */
static uint64_t process_start_boot_ns(void)
{
  enum { NS_PER_TICK = 10000000 };
  char line[1024];
  long size = descriptor_read_file("/proc/self/stat", 0, line, sizeof line - 1);
  if (size < 0)
    return UINT64_MAX;
  line[size] = '\0';
  const char *field = strrchr(line, ')'); /* the program's name may hold spaces: count from behind it */
  for (int number = 2; field != NULL && number < 22; number++)
    field = strchr(field + 1, ' ');
  uint64_t ticks = 0;
  for (field = field != NULL ? field + 1 : ""; *field >= '0' && *field <= '9'; field++)
    ticks = ticks * 10 + (uint64_t)(*field - '0');
  return ticks * NS_PER_TICK;
}

/* Containers that share the directory number their processes separately. 0: not known. */
static uint64_t pid_namespace(void)
{
  struct stat status;
  return sys_stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

/* A clock that was set meanwhile lets a file look older than its process. Time since boot tells better where no file of
 * an earlier boot can be. */
static bool is_younger_than_process(const struct region_header *header)
{
  uint64_t start = process_start_boot_ns();
  if (start == UINT64_MAX)
    return false;
  if (header->created_boot_ns != 0 && sys_is_in_memory(region.path))
    return header->created_boot_ns >= start;
  return header->created_unix_ns >= clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) + start;
}

/* Is the file at region.path from the program that this process was before exec? That heap is gone, so the file may go,
 * too. An older file was left by a dead process whose pid we got; one from another pid namespace may belong to a live
 * process. */
static bool is_from_before_exec(void)
{
  struct region_header header;
  int flags = O_NOFOLLOW | O_NONBLOCK; /* it may be a fifo */
  return descriptor_read_file(region.path, flags, &header, sizeof header) == (long)sizeof header &&
         memcmp(header.magic, REGION_MAGIC, sizeof header.magic) == 0 && header.pid_namespace != 0 &&
         header.pid_namespace == pid_namespace() && is_younger_than_process(&header);
}

/* -EBADF: the program closed it behind our back, each time. */
static int create_exclusively(void)
{
  int fd = -EBADF;
  for (int attempt = 0; attempt < DESCRIPTOR_ATTEMPTS && fd == -EBADF; attempt++) {
    fd = descriptor_open(region.path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd == -EBADF)
      sys_unlink(region.path);
  }
  return fd;
}

/* In region.path. Containers that share the directory, a user and a pid take the next free name. False: it is too long.
 */
static bool name_file(int pid, unsigned attempt)
{
  struct text path = TEXT_INIT(region.path);
  text_put(&path, state_directory);
  text_put(&path, "/");
  text_put_u64(&path, (uint64_t)pid);
  if (attempt > 0) {
    text_put(&path, "-");
    text_put_u64(&path, attempt);
  }
  text_put(&path, ".heapprof");
  return !path.cut;
}

void region_remove_from_before_exec(const struct config *config, int pid)
{
  struct text directory = TEXT_INIT(state_directory);
  for (unsigned n = 0; name_directory(config, n, &directory); n++)
    if (directory.bytes[0] != '\0' && name_file(pid, 0) && is_from_before_exec())
      sys_unlink(region.path);
  region.path[0] = '\0';
}

/* Opens the file of this process. */
static int create_file(void)
{
  int fd = -EEXIST;
  for (unsigned attempt = 0; attempt < 8 && fd == -EEXIST; attempt++) {
    if (!name_file(sys_getpid(), attempt))
      return -ENAMETOOLONG;
    fd = create_exclusively();
    if (fd == -EEXIST && is_from_before_exec()) {
      sys_unlink(region.path);
      fd = create_exclusively();
    }
  }
  return fd;
}

/* One mapping of `size` bytes: of a new file, else of private memory, where region.path stays empty. */
static char *map_first(uint64_t size)
{
  char *base = NULL;
  int fd = state_directory[0] != '\0' ? create_file() : -1;
  if (fd >= 0) {
    struct stat status;
    if (sys_fstat(fd, &status) == 0) {
      region.device = status.st_dev;
      region.inode = status.st_ino;
      base = map_file(fd, 0, size);
    }
    sys_close(fd);
    if (base == NULL)
      sys_unlink(region.path);
  }
  if (base == NULL) {
    region.path[0] = '\0';
    base = sys_map_anonymous(size);
  }
  return base;
}

static char *map_of_file(uint64_t from, uint64_t to)
{
  int fd = descriptor_open(region.path, O_RDWR | O_NOFOLLOW, 0);
  if (fd < 0)
    return NULL;
  struct stat status;
  bool ours = sys_fstat(fd, &status) == 0 && status.st_dev == region.device && status.st_ino == region.inode;
  char *base = ours ? map_file(fd, from, to) : NULL;
  sys_close(fd);
  return base;
}

/* The file may be out of reach by now (chroot, dropped privileges) or its file system full. With signals blocked: a
 * handler that jumped away would leave the descriptor open (hazard G5). */
static char *map_more_of_file(uint64_t from, uint64_t to)
{
  char *base = NULL;
  if (region.path[0] == '\0' || atomic_load(&region_header()->file_end) != from)
    return NULL;
  for (int attempt = 0; attempt < DESCRIPTOR_ATTEMPTS && base == NULL; attempt++)
    base = map_of_file(from, to);
  if (base != NULL)
    atomic_store(&region_header()->file_end, to);
  return base;
}

static uint32_t noted_hooks;

static uint64_t attachments;

void region_note_attached(void)
{
  attachments++;
  if (region_header() != NULL)
    atomic_store_explicit(&region_header()->attachments, attachments, memory_order_relaxed);
}

void region_note_hooks(uint32_t hooks)
{
  noted_hooks |= hooks;
}

bool region_create(const struct config *config, const char *program, const char *allocator)
{
  struct text directory = TEXT_INIT(state_directory);
  if (!choose_directory(config, &directory))
    state_directory[0] = '\0';
  uint64_t size = first_mapping_bytes();
  char *base = map_first(size);
  if (base == NULL)
    return false;
  if (region.path[0] == '\0' && (config->state_dir[0] != '\0' || config->verbose >= 1))
    message_print("no state file can be made in ",
                  config->state_dir[0] != '\0' ? config->state_dir : "the usual places",
                  "; using memory of the process: its profile will not survive SIGKILL");
  struct region_header *header = (struct region_header *)base;
  header->version = REGION_VERSION;
  header->header_bytes = REGION_HEADER_BYTES;
  header->first_segment_bytes = REGION_FIRST_SEGMENT_BYTES;
  header->pid = (uint32_t)sys_getpid();
  header->created_unix_ns = clock_ns(CLOCK_REALTIME);
  header->created_boot_ns = clock_ns(CLOCK_BOOTTIME);
  header->pid_namespace = pid_namespace();
  header->sample_interval_bytes = config->sample_interval_bytes;
  header->depth = config->depth;
  header->hooks = noted_hooks;
  atomic_store(&header->attachments, attachments);
  struct text program_text = TEXT_INIT(header->program), allocator_text = TEXT_INIT(header->allocator),
              command_text = TEXT_INIT(header->command);
  text_put(&program_text, program);
  text_put(&allocator_text, allocator);
  text_put(&command_text, command_line());
  atomic_store_explicit(&header->log_end, REGION_HEADER_BYTES, memory_order_relaxed);
  atomic_store_explicit(&header->file_end, region.path[0] != '\0' ? size : 0, memory_order_relaxed);
  atomic_store_explicit(&header->own_bytes, size, memory_order_relaxed);
  add_own_range(header, base, size);
  atomic_store(&region.capacity, size);
  atomic_thread_fence(memory_order_release);
  memcpy(header->magic, REGION_MAGIC, sizeof header->magic);
  set_segments(base, 0, size);
  return true;
}

/* Records. */

struct growth {
  uint64_t from, to;
  char *base;
};

/* Under region_growth_lock, and with signals blocked: who takes the lock over finds nobody on it. */
static LARGE char growth_stack[16 << 10];

static void map_more_aside(void *argument)
{
  struct growth *growth = argument;
  growth->base = map_more_of_file(growth->from, growth->to);
}

/* What does not fit into the file goes to private memory: our own dumps see it, readers of the file do not. */
static char *map_more(uint64_t from, uint64_t to)
{
  struct growth growth = {from, to, NULL};
  if (sys_may_call(SYS_openat)) /* behind a seccomp filter no file can be opened, nor signals blocked */
    on_stack_below(growth_stack + sizeof growth_stack, map_more_aside, &growth);
  return growth.base != NULL ? growth.base : sys_map_anonymous(to - from);
}

/* Doubles the region. The lock may be taken over from a frame that was left by siglongjmp (lock.h): then a segment is
 * mapped twice, both mappings show the same file, and the later one stays. */
static bool grow(void)
{
  uint64_t capacity = capacity_now();
  unsigned segment = segment_of(capacity);
  if (segment >= REGION_SEGMENTS)
    return false;
  char *base = map_more(segment_start(segment), segment_end(segment));
  if (base == NULL)
    return false;
  atomic_store_explicit(&region.segments[segment], base, memory_order_relaxed);
  atomic_store_explicit(&region.capacity, segment_end(segment), memory_order_release /* pairs with capacity_now */);
  region_add_own(base, segment_end(segment) - segment_start(segment));
  return true;
}

/* A slow disk may hold up the thread that grows the region. Once a thread has waited in vain, the next ones do not
 * wait. */
static bool lock_for_growth(void)
{
  static _Atomic bool is_stalled;
  bool is_ours = atomic_load_explicit(&is_stalled, memory_order_relaxed) ? lock_try(&region_growth_lock)
                                                                         : lock_try_for_a_moment(&region_growth_lock);
  atomic_store_explicit(&is_stalled, !is_ours, memory_order_relaxed);
  return is_ours;
}

/* True when there is more room than `capacity` now, whoever made it. */
static bool grow_beyond(uint64_t capacity)
{
  if (!lock_for_growth())
    return capacity_now() > capacity;
  bool grown = capacity_now() > capacity || grow();
  lock_release(&region_growth_lock);
  return grown;
}

struct region_record *region_reserve(size_t size_bytes, uint32_t *granule)
{
  struct region_header *header = region_header();
  if (header == NULL || size_bytes > REGION_FIRST_SEGMENT_BYTES - REGION_HEADER_BYTES)
    return NULL;
  uint64_t end = atomic_load_explicit(&header->log_end, memory_order_relaxed), start, capacity;
  do {
    start = end;
    if (start + size_bytes > segment_end(segment_of(start)))
      start = segment_end(segment_of(start)); /* a record never spans two mappings */
    capacity = capacity_now();
    if (start + size_bytes > capacity) {
      if (!grow_beyond(capacity))
        return NULL;
      continue;
    }
  } while (start + size_bytes > capacity ||
           !atomic_compare_exchange_weak_explicit(&header->log_end, &end, start + size_bytes, memory_order_relaxed,
                                                  memory_order_relaxed));
  /* Grow while others can still go on in the last quarter. */
  if (start + size_bytes > capacity - capacity / 4 && lock_try(&region_growth_lock)) {
    if (capacity_now() == capacity)
      (void)grow();
    lock_release(&region_growth_lock);
  }
  struct region_record *record = (struct region_record *)address_of(start);
  INVARIANT(start % REGION_GRANULE_BYTES == 0 && size_bytes % REGION_GRANULE_BYTES == 0);
  INVARIANT(segment_of(start) == segment_of(start + size_bytes - 1));
  INVARIANT(atomic_load_explicit(&record->tag, memory_order_relaxed) == 0 && /* nobody was given these bytes before */
            record->size_bytes == 0);
  record->size_bytes = (uint32_t)size_bytes;
  *granule = (uint32_t)(start / REGION_GRANULE_BYTES);
  return record;
}

void region_publish(struct region_record *record, enum region_record_type type, const uint64_t *constant, size_t words,
                    uint64_t hash)
{
  INVARIANT((const char *)(constant + words) <= (const char *)record + record->size_bytes);
  record->constant_offset = (uint32_t)((const char *)constant - (const char *)record);
  record->constant_words = (uint32_t)words;
  record->hash = hash;
  atomic_store_explicit(&record->tag, REGION_RECORD_TAG | (uint32_t)type,
                        memory_order_release /* pairs with is_sound */);
}

struct region_record *region_at(uint32_t granule)
{
  return (struct region_record *)address_of((uint64_t)granule * REGION_GRANULE_BYTES);
}

/* Finished, and within the `room` bytes that are left of its mapping. */
static bool is_sound(const struct region_record *record, uint64_t room)
{
  uint32_t tag = atomic_load_explicit(&record->tag, memory_order_acquire);
  if ((tag & ~0xffu) != REGION_RECORD_TAG)
    return false;
  uint32_t size = record->size_bytes, offset = record->constant_offset, words = record->constant_words;
  return size >= sizeof *record && size <= room && size % REGION_GRANULE_BYTES == 0 && offset % sizeof(uint64_t) == 0 &&
         offset <= size && words <= (size - offset) / sizeof(uint64_t) &&
         region_hash_words((const uint64_t *)((const char *)record + offset), words) == record->hash;
}

struct region_record *region_next(uint64_t *position, enum region_record_type type)
{
  struct region_header *header = region_header();
  if (header == NULL)
    return NULL;
  uint64_t end = atomic_load_explicit(&header->log_end, memory_order_relaxed), capacity = capacity_now();
  if (end > capacity)
    end = capacity;
  uint64_t here = *position < REGION_HEADER_BYTES ? REGION_HEADER_BYTES : *position;
  while (here + 2 * REGION_GRANULE_BYTES <= end) {
    struct region_record *record = (struct region_record *)address_of(here);
    if (!is_sound(record, segment_end(segment_of(here)) - here)) {
      here += REGION_GRANULE_BYTES; /* reserved but never finished: the next record is further on */
      continue;
    }
    here += record->size_bytes;
    if ((atomic_load_explicit(&record->tag, memory_order_relaxed) & 0xffu) == (uint32_t)type) {
      *position = here;
      return record;
    }
  }
  *position = here;
  return NULL;
}

/* Fork. */

static void copy_segment(char *to, const char *from, unsigned segment, uint64_t log_end)
{
  uint64_t start = segment_start(segment), end = segment_end(segment);
  if (log_end > start)
    memcpy(to, from, (size_t)((log_end < end ? log_end : end) - start));
}

bool region_adopt(const struct config *config)
{
  struct region_header *old = region_header();
  uint64_t capacity = atomic_load(&region.capacity);
  uint64_t log_end = atomic_load_explicit(&old->log_end, memory_order_acquire);
  if (log_end > capacity)
    log_end = capacity; /* the parent has grown since */
  char *copy = map_first(capacity);
  if (copy == NULL)
    return false;
  for (unsigned segment = 0; segment_start(segment) < capacity; segment++)
    copy_segment(copy + segment_start(segment), atomic_load(&region.segments[segment]), segment, log_end);
  struct region_header *header = (struct region_header *)copy;
  memset(header->magic, 0, sizeof header->magic); /* not to be read before region_announce */
  header->parent_pid = old->pid;
  if (old->origin_pid == 0) {
    header->origin_pid = old->pid;
    header->origin_unix_ns = old->created_unix_ns;
  }
  header->pid = (uint32_t)sys_getpid();
  header->created_unix_ns = clock_ns(CLOCK_REALTIME);
  header->created_boot_ns = clock_ns(CLOCK_BOOTTIME);
  header->pid_namespace = pid_namespace();
  header->sample_interval_bytes = config->sample_interval_bytes;
  atomic_store(&header->log_end, log_end);
  atomic_store(&header->file_end, region.path[0] != '\0' ? capacity : 0);
  atomic_store(&header->exact_units, 0);
  memset(header->halves, 0, sizeof header->halves);
  atomic_store(&header->timed_samples, 0);
  atomic_store(&header->timed_ticks, 0);
  atomic_store(&header->look_up_ticks, 0);
  atomic_store(&header->cpu_ns, 0);
  atomic_store(&header->end, 0);
  atomic_store(&header->inherited_bytes_q4, 0);
  atomic_store(&header->resident_bytes, 0);
  atomic_store(&header->resident_most_bytes, 0);
  for (unsigned counter = 0; counter < ALLOCATOR_COUNTERS; counter++)
    atomic_store(&header->allocator_counters[counter], 0);
  for (unsigned loss = 0; loss < REGION_LOSSES; loss++)
    atomic_store(&header->lost[loss], 0);
  for (uint64_t from = 0, to = first_mapping_bytes(); from < capacity; from = to, to *= 2)
    /* On failure the copied piece stays elsewhere and is used there: addresses are looked up anew each time. */
    if (!sys_move_mapping(copy + from, to - from, atomic_load(&region.segments[segment_of(from)])))
      set_segments(copy + from, from, to);
  return true;
}

void region_announce(void)
{
  atomic_thread_fence(memory_order_release);
  memcpy(region_header()->magic, REGION_MAGIC, sizeof region_header()->magic);
}

bool region_is_own(void)
{
  return process_is_settled() && region_header() != NULL && region_header()->pid == (uint32_t)sys_getpid();
}

bool region_is_in_file(void)
{
  const struct region_header *header = region_header();
  struct stat status;
  return header != NULL && region.path[0] != '\0' && sys_lstat(region.path, &status) == 0 &&
         status.st_dev == region.device && status.st_ino == region.inode &&
         atomic_load(&header->log_end) <= atomic_load(&header->file_end);
}

void region_remove_file(void)
{
  struct region_header *header = region_header();
  struct stat named;
  if (region.path[0] == '\0' || header == NULL || header->pid != (uint32_t)sys_getpid())
    return;
  bool is_another =
      sys_lstat(region.path, &named) == 0 && (named.st_dev != region.device || named.st_ino != region.inode);
  if (!is_another)
    sys_unlink(region.path);
}
