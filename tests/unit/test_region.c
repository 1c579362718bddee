/* SPDX-License-Identifier: MIT */
#include "core/region.h"

#include "core/prng.h"
#include "unit.h"

#include <fcntl.h>
#include <inttypes.h>

struct test_record {
  struct region_record record;
  uint64_t number;
  uint64_t more[];
};

static uint64_t segment_end_of(uint64_t position)
{
  uint64_t end = REGION_FIRST_SEGMENT_BYTES;
  while (end <= position)
    end *= 2;
  return end;
}

/* Of `words` constant words, the first of which is `number`; NULL when there is no room. */
static struct test_record *reserve(uint64_t number, size_t words, uint32_t *granule)
{
  size_t size = (sizeof(struct region_record) + words * 8 + 15) & ~(size_t)15;
  struct test_record *record = (struct test_record *)region_reserve(size, granule);
  if (record != NULL)
    record->number = number;
  return record;
}

static void publish(struct test_record *record, enum region_record_type type, size_t words)
{
  region_publish(&record->record, type, &record->number, words, region_hash_words(&record->number, words));
}

static struct test_record *append(uint64_t number, size_t words)
{
  uint32_t granule;
  struct test_record *record = reserve(number, words, &granule);
  require(record != NULL);
  publish(record, REGION_RECORD_STACK, words);
  return record;
}

/* The numbers of all records of the type, in the order of the log, as decimal digits. */
static uint64_t digits(enum region_record_type type)
{
  uint64_t position = 0, result = 0;
  const struct test_record *record;
  while ((record = (const struct test_record *)region_next(&position, type)) != NULL)
    result = result * 10 + record->number;
  return result;
}

static uint64_t count(void)
{
  uint64_t position = 0, result = 0;
  while (region_next(&position, REGION_RECORD_STACK) != NULL)
    result++;
  return result;
}

static void silence(void)
{
  require(freopen("/dev/null", "w", stderr) != NULL);
}

/* What is mapped at first: a page at least. */
static uint64_t first_bytes(void)
{
  uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
  return page_bytes > REGION_FIRST_SEGMENT_BYTES ? page_bytes : REGION_FIRST_SEGMENT_BYTES;
}

CHILD_TEST(file_is_private_and_says_whose_it_is)
{
  struct stat status;
  char bytes[REGION_HEADER_BYTES], name[128];
  umask(0);
  struct config config = unit_region();
  require(stat(region_path(), &status) == 0);
  require(S_ISREG(status.st_mode) && (status.st_mode & 07777) == 0600 && status.st_uid == geteuid());
  require((uint64_t)status.st_size == first_bytes());
  snprintf(name, sizeof name, "%s/%d", unit_directory(), getpid());
  require(strncmp(region_path(), name, strlen(name)) == 0);
  require(strcmp(region_path() + strlen(region_path()) - 9, ".heapprof") == 0);
  int fd = open(region_path(), O_RDONLY);
  require(read(fd, bytes, sizeof bytes) == sizeof bytes);
  const struct region_header *header = (const struct region_header *)bytes;
  require(memcmp(header->magic, "HEAPPROF", 8) == 0 && header->version == REGION_VERSION &&
          header->header_bytes == REGION_HEADER_BYTES);
  require(header->pid == (uint32_t)getpid() && header->parent_pid == 0 && header->depth == config.depth);
  require(header->sample_interval_bytes == 524288 && header->first_segment_bytes == REGION_FIRST_SEGMENT_BYTES);
  require(strcmp(header->program, "unit") == 0 && strcmp(header->allocator, "/lib/liballocator.so") == 0);
  require(header->log_end == REGION_HEADER_BYTES && header->created_unix_ns > 1000000000ull * 1000000000);
  region_remove_file();
  require(stat(region_path(), &status) == -1);
  append(1, 1); /* the mapping stays */
  require(digits(REGION_RECORD_STACK) == 1);
}

CHILD_TEST(in_file_while_it_is_whole_and_there)
{
  require(!region_is_in_file());
  unit_region();
  append(1, 1);
  require(region_is_in_file());
  uint64_t end = region_header()->file_end;
  region_header()->file_end = region_header()->log_end - 16;
  require(!region_is_in_file());
  region_header()->file_end = end;
  char elsewhere[1300];
  snprintf(elsewhere, sizeof elsewhere, "%s.moved", region_path());
  require(rename(region_path(), elsewhere) == 0 && !region_is_in_file());
  require(close(open(region_path(), O_CREAT | O_WRONLY, 0600)) == 0 && !region_is_in_file()); /* not ours */
  require(rename(elsewhere, region_path()) == 0 && region_is_in_file());
  region_remove_file();
}

CHILD_TEST(records_are_visited_in_order)
{
  uint32_t granule;
  unit_region();
  require(region_header()->own_bytes == first_bytes());
  append(1, 1);
  append(2, 500);
  struct test_record *module = reserve(3, 7, &granule);
  publish(module, REGION_RECORD_MODULE, 7);
  require(region_at(granule) == &module->record && granule >= REGION_HEADER_BYTES / REGION_GRANULE_BYTES);
  append(4, 2);
  require(digits(REGION_RECORD_STACK) == 124 && digits(REGION_RECORD_MODULE) == 3);
  uint64_t position = 0;
  while (region_next(&position, REGION_RECORD_STACK) != NULL)
    ;
  append(5, 1); /* the end of a visit is where the next one goes on */
  require(((struct test_record *)region_next(&position, REGION_RECORD_STACK))->number == 5);
  require(region_next(&position, REGION_RECORD_STACK) == NULL);
  region_lose(LOSS_region);
  region_lose(LOSS_region);
  require(region_header()->lost[LOSS_region] == 2);
}

CHILD_TEST(reserved_memory_is_zero_and_apart)
{
  unit_region();
  char *end = NULL;
  for (unsigned i = 0; i < 3000; i++) {
    uint32_t granule;
    size_t size = 16 * (2 + i % 30);
    char *record = (char *)region_reserve(size, &granule);
    require(record != NULL && (uintptr_t)record % REGION_GRANULE_BYTES == 0);
    require(end == NULL || record != end - 16);
    for (size_t k = sizeof(struct region_record); k < size; k++)
      require(record[k] == 0);
    memset(record + sizeof(struct region_record), 0xee, size - sizeof(struct region_record));
    end = record + size;
  }
}

CHILD_TEST(grows_by_segments_that_no_record_spans)
{
  enum { RECORDS = 3000, WORDS = 300 };
  static struct test_record *records[RECORDS];
  unit_region();
  uint64_t last_end = REGION_HEADER_BYTES;
  for (uint64_t i = 0; i < RECORDS; i++) {
    uint32_t granule;
    records[i] = reserve(i, WORDS + i % 7, &granule);
    require(records[i] != NULL);
    publish(records[i], REGION_RECORD_STACK, WORDS + i % 7);
    uint64_t start = (uint64_t)granule * REGION_GRANULE_BYTES, end = start + records[i]->record.size_bytes;
    require(start >= last_end && end <= segment_end_of(start));
    last_end = end;
  }
  require(last_end > 16 * REGION_FIRST_SEGMENT_BYTES); /* six segments or more */
  uint64_t position = 0;
  for (uint64_t i = 0; i < RECORDS; i++)
    require(region_next(&position, REGION_RECORD_STACK) == &records[i]->record);
  require(region_next(&position, REGION_RECORD_STACK) == NULL);
  struct stat status;
  require(stat(region_path(), &status) == 0 && (uint64_t)status.st_size >= last_end);
  require(region_header()->own_bytes == (uint64_t)status.st_size);
  require((uint64_t)status.st_blocks * 512 >= (uint64_t)status.st_size); /* reserved before it is touched */
}

/* Every mapping of the file begins and ends where a page of 64 KiB does. */
static void must_be_in_large_pages(size_t page_bytes)
{
  char line[1400];
  unsigned found = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  require(maps != NULL);
  while (fgets(line, sizeof line, maps) != NULL) {
    uint64_t start, limit, offset;
    if (strstr(line, region_path()) == NULL)
      continue;
    require(sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64, &start, &limit, &offset) == 3);
    require((limit - start) % page_bytes == 0 && offset % page_bytes == 0);
    found++;
  }
  fclose(maps);
  require(found > 0);
}

static void adopt_large_pages(void)
{
  struct config config;
  unit_config(&config);
  const struct region_header *before = region_header();
  require(region_adopt(&config) && region_header() == before);
  must_be_in_large_pages(region_page_bytes);
  append(2, 300);
  require(count() == 1001 && region_header()->parent_pid == (uint32_t)getppid());
  region_remove_file();
}

CHILD_TEST(large_pages)
{
  enum { LARGE_PAGE_BYTES = 64 << 10 };
  struct stat status;
  region_page_bytes = LARGE_PAGE_BYTES;
  unit_region();
  require(stat(region_path(), &status) == 0 && status.st_size == LARGE_PAGE_BYTES);
  require(region_header()->first_segment_bytes == REGION_FIRST_SEGMENT_BYTES);
  require(region_header()->own_bytes == LARGE_PAGE_BYTES && region_header()->file_end == LARGE_PAGE_BYTES);
  for (unsigned i = 0; i < 1000; i++)
    append(1, 300);
  require(count() == 1000 && region_header()->file_end > 16 * LARGE_PAGE_BYTES);
  must_be_in_large_pages(LARGE_PAGE_BYTES);
  require(unit_fork(adopt_large_pages) == UNIT_PASSED);
}

CHILD_TEST(too_large_a_record_is_refused)
{
  uint32_t granule;
  unit_region();
  require(region_reserve(REGION_FIRST_SEGMENT_BYTES - REGION_HEADER_BYTES + 16, &granule) == NULL);
  require(region_reserve(REGION_FIRST_SEGMENT_BYTES - REGION_HEADER_BYTES, &granule) != NULL);
  require(region_reserve(REGION_FIRST_SEGMENT_BYTES - REGION_HEADER_BYTES, &granule) != NULL);
}

CHILD_TEST(ends_at_the_last_segment)
{
  uint32_t granule;
  unsigned reserved = 0;
  struct config config;
  unit_config(&config);
  strcpy(config.state_dir, "/proc"); /* memory: half a gigabyte of disk is not for a test */
  silence();
  require(region_create(&config, "unit", "") && region_path()[0] == '\0');
  enum { BYTES = REGION_FIRST_SEGMENT_BYTES / 2 };
  while (region_reserve(BYTES, &granule) != NULL && reserved < 100000)
    reserved++;
  uint64_t all = (uint64_t)REGION_FIRST_SEGMENT_BYTES << (REGION_SEGMENTS - 1);
  require(reserved < all / BYTES && reserved > all / BYTES - 2 * REGION_SEGMENTS); /* some room is lost at the ends */
  require(region_reserve(BYTES, &granule) == NULL);
}

CHILD_TEST(unfinished_records_are_skipped)
{
  uint32_t granule;
  unit_region();
  append(1, 3);
  struct test_record *unfinished = reserve(2, 100, &granule);
  append(3, 3);
  /* Inside there is what could be taken for a record, but for its hash. */
  struct region_record *forged = (struct region_record *)unfinished->more;
  forged = (struct region_record *)(((uintptr_t)forged + 15) & ~(uintptr_t)15);
  *forged = (struct region_record){.tag = REGION_RECORD_TAG | REGION_RECORD_STACK,
                                   .size_bytes = 64,
                                   .constant_offset = 24,
                                   .constant_words = 1,
                                   .hash = 12345};
  require(digits(REGION_RECORD_STACK) == 13);
  reserve(4, 10, &granule); /* at the end */
  require(digits(REGION_RECORD_STACK) == 13);
  memset(forged, 0, sizeof *forged);
  publish(unfinished, REGION_RECORD_STACK, 100);
  require(digits(REGION_RECORD_STACK) == 123);
}

CHILD_TEST(damaged_records_are_skipped)
{
  unit_region();
  append(1, 3);
  struct test_record *second = append(2, 3);
  append(3, 3);
  second->more[1] ^= 1;
  require(digits(REGION_RECORD_STACK) == 13);
  second->more[1] ^= 1;
  require(digits(REGION_RECORD_STACK) == 123);
  const struct region_record sound = {.tag = second->record.tag,
                                      .size_bytes = second->record.size_bytes,
                                      .constant_offset = second->record.constant_offset,
                                      .constant_words = second->record.constant_words,
                                      .hash = second->record.hash};
  for (int damage = 0; damage < 9; damage++) {
    struct region_record *record = &second->record;
    switch (damage) {
    case 0: record->tag = 0x48510001; break;
    case 1: record->size_bytes = 0; break;
    case 2: record->size_bytes += 8; break;
    case 3: record->size_bytes = 0xfffffff0; break;
    case 4: record->constant_offset = 0xfffffff8; break;
    case 5: record->constant_offset += 1; break;
    case 6: record->constant_words = 0xffffffff; break;
    case 7: record->constant_words += 1; break;
    case 8: record->hash ^= 1ull << 63; break;
    }
    require(digits(REGION_RECORD_STACK) == 13);
    memcpy(record, &sound, sizeof sound);
    require(digits(REGION_RECORD_STACK) == 123);
  }
}

/* Whatever a log says: visits end, and stay inside what is mapped. */
CHILD_TEST(hostile_logs_are_read_within_bounds)
{
  enum { RECORDS = 60 };
  static struct test_record *records[RECORDS];
  uint64_t random = 404;
  unit_region();
  for (uint64_t i = 0; i < RECORDS; i++)
    records[i] = append(i, 1 + i % (REGION_FIRST_SEGMENT_BYTES / 3 / RECORDS / 8));
  require(region_header()->log_end < REGION_FIRST_SEGMENT_BYTES / 4 * 3);
  uint64_t log_end = region_header()->log_end;
  for (int round = 0; round < 3000; round++) {
    struct region_record *victim = &records[prng_next(&random) % RECORDS]->record;
    uint32_t *field = (uint32_t *)victim + prng_next(&random) % 6, before = *field;
    *field = prng_next(&random) % 2 == 0 ? (uint32_t)prng_next(&random) : (uint32_t)(prng_next(&random) % 4096 * 8);
    region_header()->log_end = round % 10 == 0 ? prng_next(&random) : log_end;
    uint64_t position = prng_next(&random) % 3 == 0 ? prng_next(&random) % log_end / 16 * 16 : 0, visited = 0;
    const struct region_record *record;
    while ((record = region_next(&position, REGION_RECORD_STACK)) != NULL) {
      const char *start = (const char *)record, *low = (const char *)region_header();
      require(start >= low + REGION_HEADER_BYTES && start + record->size_bytes <= low + REGION_FIRST_SEGMENT_BYTES);
      require(++visited <= REGION_FIRST_SEGMENT_BYTES / REGION_GRANULE_BYTES);
    }
    *field = before;
  }
  region_header()->log_end = log_end;
  require(count() == RECORDS);
}

/* Where no file can be, memory serves. */

static void must_use_memory(const char *directory)
{
  struct config config;
  unit_config(&config);
  strcpy(config.state_dir, directory);
  silence();
  require(region_create(&config, "unit", ""));
  require(region_path()[0] == '\0');
  for (uint64_t i = 0; i < 1000; i++) /* that grows like a file */
    append(i % 10, 100);
  require(count() == 1000);
  region_remove_file();
}

CHILD_TEST(missing_directory_means_memory)
{
  must_use_memory("/nonexistent/heapprof");
}

CHILD_TEST(unwritable_directory_means_memory)
{
  must_use_memory("/proc");
}

CHILD_TEST(file_for_a_directory_means_memory)
{
  must_use_memory("/dev/null");
}

CHILD_TEST(file_size_limit_means_memory)
{
  char directory[128];
  snprintf(directory, sizeof directory, "%s/limited", unit_directory());
  unit_limit(RLIMIT_FSIZE, REGION_FIRST_SEGMENT_BYTES - 1);
  must_use_memory(directory);
  require(unit_count_files(directory) == 0);
}

/* What the file cannot take goes on in memory, for good: a file has no holes. */
CHILD_TEST(file_size_limit_ends_the_file)
{
  struct stat status;
  unit_region();
  unit_limit(RLIMIT_FSIZE, 3 * first_bytes());
  for (uint64_t i = 0; i < 1000; i++)
    append(i, 100); /* and no SIGXFSZ */
  unit_limit(RLIMIT_FSIZE, RLIM_INFINITY);
  for (uint64_t i = 1000; i < 3000; i++)
    append(i, 100);
  require(count() == 3000);
  require(stat(region_path(), &status) == 0 && (uint64_t)status.st_size == 2 * first_bytes());
  require(region_header()->file_end == 2 * first_bytes());
}

CHILD_TEST(refused_memory_ends_growth)
{
  uint32_t granule;
  uint64_t records = 0;
  struct test_record *record;
  unit_region();
  unit_limit(RLIMIT_AS, 0);
  for (; (record = reserve(records, 100, &granule)) != NULL && records < 10000; records++)
    publish(record, REGION_RECORD_STACK, 100);
  require(records == (REGION_FIRST_SEGMENT_BYTES - REGION_HEADER_BYTES) / 832 && count() == records);
  unit_limit(RLIMIT_AS, RLIM_INFINITY);
  append(records, 100); /* room again */
  require(count() == records + 1);
}

CHILD_TEST(directory_is_made)
{
  struct config config;
  struct stat status;
  unit_config(&config);
  strcat(config.state_dir, "/made");
  umask(0);
  require(region_create(&config, "unit", "") && strncmp(region_path(), config.state_dir, 20) == 0);
  require(stat(config.state_dir, &status) == 0 && (status.st_mode & 07777) == 0700);
}

CHILD_TEST(another_file_is_never_written)
{
  char moved[256];
  uint32_t granule;
  struct stat status;
  unit_region();
  snprintf(moved, sizeof moved, "%s.moved", region_path());
  require(rename(region_path(), moved) == 0);
  int fd = open(region_path(), O_CREAT | O_EXCL | O_RDWR, 0600);
  require(fd >= 0);
  for (int i = 0; i < 1000; i++)
    require(reserve(1, 1000, &granule) != NULL);
  require(fstat(fd, &status) == 0 && status.st_size == 0);
  unlink(region_path());
  require(symlink(moved, region_path()) == 0);
  for (int i = 0; i < 1000; i++)
    require(reserve(1, 1000, &granule) != NULL);
  require(stat(moved, &status) == 0 && (uint64_t)status.st_size == first_bytes());
}

/* Before exec this process was another program: its file has the name that ours wants. */
CHILD_TEST(file_from_before_exec_makes_way)
{
  struct stat before, after;
  char path[1200], victim[128];
  struct config config = unit_region();
  append(1, 1);
  strcpy(path, region_path());
  require(stat(path, &before) == 0);
  int old_file = open(path, O_RDONLY); /* keeps the number of the inode in use */
  require(old_file >= 0 && region_create(&config, "unit", ""));
  require(strcmp(region_path(), path) == 0 && stat(path, &after) == 0 && after.st_ino != before.st_ino);
  require(count() == 0);
  snprintf(victim, sizeof victim, "%s/victim", unit_directory()); /* a planted link leads nowhere */
  int fd = open(victim, O_CREAT | O_RDWR, 0600);
  require(unlink(path) == 0 && symlink(victim, path) == 0 && region_create(&config, "unit", ""));
  require(lstat(region_path(), &after) == 0 && S_ISREG(after.st_mode));
  require(fstat(fd, &after) == 0 && after.st_size == 0);
}

static void remove_and_write_in_child(void)
{
  region_remove_file();
}

/* A state directory may be one that others can write to. */
CHILD_TEST(planted_fifo_does_not_block)
{
  struct config config = unit_region();
  struct stat status;
  require(unlink(region_path()) == 0 && mkfifo(region_path(), 0600) == 0);
  require(region_create(&config, "unit", ""));
  require(region_path()[0] == '\0' || (lstat(region_path(), &status) == 0 && S_ISREG(status.st_mode)));
}

CHILD_TEST(child_does_not_remove_the_file)
{
  unit_region();
  require(unit_fork(remove_and_write_in_child) == UNIT_PASSED);
  require(access(region_path(), F_OK) == 0);
}

static struct config adopting_config;
static struct test_record *first_record, *later_record;

static void adopt(void)
{
  char parent_path[1200];
  struct stat status;
  strcpy(parent_path, region_path());
  uint64_t records = count();
  struct region_header *before = region_header();
  require(region_adopt(&adopting_config));
  require(region_header() == before); /* at the same address */
  require(strcmp(region_path(), parent_path) != 0 && stat(region_path(), &status) == 0);
  require((status.st_mode & 07777) == 0600);
  struct region_header *header = region_header();
  require(header->pid == (uint32_t)getpid() && header->parent_pid == (uint32_t)getppid());
  require(header->exact_units == 0 && header->lost[0] == 0 && header->timed_samples == 0 && header->stacks == 77);
  require(header->look_up_ticks == 0 && header->cpu_ns == 0);
  require(header->sample_interval_bytes == 99 && strcmp(header->program, "unit") == 0);
  require(count() == records && later_record->number == 7 && first_record->number == 1);
  first_record->number = 5;
  header->exact_units = 3;
  region_lose(LOSS_compile_busy);
  for (int i = 0; i < 3000; i++)
    append(8, 100);
  require(access(parent_path, F_OK) == 0);
  region_remove_file();
  require(stat(region_path(), &status) == -1 && access(parent_path, F_OK) == 0);
}

static void adopt_without_a_file(void)
{
  silence();
  unit_limit(RLIMIT_FSIZE, 0);
  uint64_t records = count();
  require(region_adopt(&adopting_config) && region_path()[0] == '\0' && count() == records);
  first_record->number = 6;
}

static void prepare_adoption(void)
{
  adopting_config = unit_region();
  adopting_config.sample_interval_bytes = 99;
  first_record = append(1, 1);
  for (int i = 0; i < 1500; i++)
    append(2, 100);
  later_record = append(7, 100);
  atomic_store(&region_header()->exact_units, 1000);
  atomic_store(&region_header()->stacks, 77);
  region_lose((enum loss)0);
}

CHILD_TEST(adopted_region_is_apart_from_the_parents)
{
  prepare_adoption();
  uint64_t log_end = region_header()->log_end;
  require(unit_fork(adopt) == UNIT_PASSED);
  require(first_record->number == 1 && region_header()->exact_units == 1000 && region_header()->lost[0] == 1);
  require(region_header()->log_end == log_end && region_header()->pid == (uint32_t)getpid());
  require(region_header()->lost[LOSS_compile_busy] == 0);
}

CHILD_TEST(adopted_region_can_be_memory)
{
  prepare_adoption();
  require(unit_fork(adopt_without_a_file) == UNIT_PASSED);
  require(first_record->number == 1);
}

enum { THREADS = 4, EACH = 3000 };

static void *append_many(void *number)
{
  for (uint64_t i = 0; i < EACH; i++) {
    uint32_t granule;
    struct test_record *record;
    do
      record = reserve((uint64_t)(uintptr_t)number * EACH + i, 1 + i % 50, &granule);
    while (record == NULL); /* another thread makes the region grow, and the disk is slow */
    publish(record, REGION_RECORD_STACK, 1 + i % 50);
  }
  return NULL;
}

CHILD_TEST(threads_append_without_losing_anything)
{
  static bool seen[THREADS * EACH];
  unit_region();
  unit_run_threads(THREADS, append_many);
  uint64_t position = 0;
  const struct test_record *record;
  while ((record = (const struct test_record *)region_next(&position, REGION_RECORD_STACK)) != NULL) {
    require(record->number < THREADS * EACH && !seen[record->number]);
    seen[record->number] = true;
  }
  for (unsigned i = 0; i < THREADS * EACH; i++)
    require(seen[i]);
}

static _Atomic bool is_done;

static void *visit_until_done(void *number)
{
  (void)number;
  uint64_t last = 0;
  while (!is_done) {
    uint64_t now = count();
    require(now >= last);
    last = now;
  }
  return NULL;
}

CHILD_TEST(visiting_while_others_append)
{
  pthread_t reader;
  unit_region();
  require(pthread_create(&reader, NULL, visit_until_done, NULL) == 0);
  unit_run_threads(2, append_many);
  is_done = true;
  require(pthread_join(reader, NULL) == 0);
  require(count() == 2 * EACH);
}

static bool is_seen(uint64_t address)
{
  for (unsigned i = 0; i < SEEN_PLACES; i++)
    if (region_header()->seen[i] == address)
      return true;
  return false;
}

/* An address in the n-th area from there on that has this place. */
static uint64_t nth_of_place(unsigned place, unsigned n)
{
  uint64_t address = 0x7f0000000000u;
  for (;; address += 1u << SEEN_AREA_BITS)
    if (region_seen_place(address) == place && n-- == 0)
      return address;
}

static void note_seen(uint64_t address)
{
  region_note_seen((const void *)(uintptr_t)address);
}

CHILD_TEST(areas_are_seen_beside_each_other)
{
  unit_region();
  for (unsigned turn = 0; turn < 3; turn++)
    for (unsigned n = 0; n < SEEN_REACH; n++)
      note_seen(nth_of_place(60, n) + 16 * turn);
  for (unsigned n = 0; n < SEEN_REACH; n++) {
    require(is_seen(nth_of_place(60, n) + 32)); /* the latest of each */
    require(!is_seen(nth_of_place(60, n) + 16));
  }
  /* No place is left: the first one has had its time. */
  note_seen(nth_of_place(60, SEEN_REACH));
  require(is_seen(nth_of_place(60, SEEN_REACH)) && !is_seen(nth_of_place(60, 0) + 32) &&
          is_seen(nth_of_place(60, 1) + 32));
}

CHILD_TEST(without_a_region_nothing_happens)
{
  uint32_t granule;
  uint64_t position = 0;
  require(region_header() == NULL && region_reserve(64, &granule) == NULL);
  require(region_next(&position, REGION_RECORD_STACK) == NULL);
  region_lose(LOSS_region);
  region_add_own(NULL, 1);
  region_remove_file();
}

static void hash_depends_on_every_word(void **state)
{
  (void)state;
  uint64_t words[8] = {1, 2, 3, 4, 5, 6, 7, 8}, hash = region_hash_words(words, 8);
  for (int bit = 0; bit < 512; bit++) {
    words[bit / 64] ^= 1ull << bit % 64;
    assert_int_not_equal(region_hash_words(words, 8), hash);
    words[bit / 64] ^= 1ull << bit % 64;
  }
  const uint64_t zeros[3] = {0, 0, 0};
  assert_int_not_equal(region_hash_words(zeros, 2), region_hash_words(zeros, 3));
  assert_int_not_equal(region_hash_words(zeros, 0), 0);
  assert_int_equal(region_hash_words(words, 8), hash);
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(file_is_private_and_says_whose_it_is),
      cmocka_unit_test(in_file_while_it_is_whole_and_there),
      cmocka_unit_test(records_are_visited_in_order),
      cmocka_unit_test(reserved_memory_is_zero_and_apart),
      cmocka_unit_test(grows_by_segments_that_no_record_spans),
      cmocka_unit_test(large_pages),
      cmocka_unit_test(too_large_a_record_is_refused),
      cmocka_unit_test(ends_at_the_last_segment),
      cmocka_unit_test(unfinished_records_are_skipped),
      cmocka_unit_test(damaged_records_are_skipped),
      cmocka_unit_test(hostile_logs_are_read_within_bounds),
      cmocka_unit_test(missing_directory_means_memory),
      cmocka_unit_test(unwritable_directory_means_memory),
      cmocka_unit_test(file_for_a_directory_means_memory),
      cmocka_unit_test(file_size_limit_means_memory),
      cmocka_unit_test(file_size_limit_ends_the_file),
      cmocka_unit_test(refused_memory_ends_growth),
      cmocka_unit_test(directory_is_made),
      cmocka_unit_test(another_file_is_never_written),
      cmocka_unit_test(file_from_before_exec_makes_way),
      cmocka_unit_test(planted_fifo_does_not_block),
      cmocka_unit_test(child_does_not_remove_the_file),
      cmocka_unit_test(adopted_region_is_apart_from_the_parents),
      cmocka_unit_test(adopted_region_can_be_memory),
      cmocka_unit_test(threads_append_without_losing_anything),
      cmocka_unit_test(visiting_while_others_append),
      cmocka_unit_test(areas_are_seen_beside_each_other),
      cmocka_unit_test(without_a_region_nothing_happens),
      cmocka_unit_test(hash_depends_on_every_word),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
