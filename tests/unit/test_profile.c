/* SPDX-License-Identifier: MIT */
/* From made stacks in a region to a file, read back with protobuf-c's own decoder. */
#include "core/profile.h"

#include "core/cfi/cfi.h"
#include "core/cuts.h"
#include "core/loader/loaded.h"
#include "core/modules.h"
#include "core/pprof.h"
#include "core/pprof.pb-c.h"
#include "core/prng.h"
#include "core/stacks.h"
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sys/auxv.h>
#include <zlib.h>

typedef Perftools__Profiles__Profile Message;

enum { MESSAGE_MAX = 64 << 20 };

static char path[128];

static NOINLINE int a_function(int x)
{
  return x + (int)getpid();
}

static NOINLINE int another_function(int x)
{
  return x * (int)getppid();
}

static void set_up(void)
{
  static char executable[4096];
  unit_region();
  require(readlink("/proc/self/exe", executable, sizeof executable - 1) > 0);
  loaded_init(_dl_find_object, NULL, NULL);
  modules_init(executable);
  require(loaded_are_known());
  (void)cfi_compile(getauxval(AT_ENTRY));
  (void)cfi_compile((uintptr_t)getppid + 1); /* of libc */
  snprintf(path, sizeof path, "%s/profile-%d", unit_directory(), getpid());
}

static Message *decode(void)
{
  static uint8_t bytes[MESSAGE_MAX];
  uint8_t magic[2] = {0, 0};
  int fd = open(path, O_RDONLY);
  require(fd >= 0 && read(fd, magic, 2) == 2 && magic[0] == 0x1f && magic[1] == 0x8b);
  require(lseek(fd, 0, SEEK_SET) == 0);
  gzFile file = gzdopen(fd, "rb");
  int size = gzread(file, bytes, sizeof bytes);
  require(size > 0 && gzclose_r(file) == Z_OK);
  Message *message = perftools__profiles__profile__unpack(NULL, (size_t)size, bytes);
  require(message != NULL && unlink(path) == 0);
  return message;
}

static void write_profile(void (*add)(struct profile *profile, struct arena *arena))
{
  struct arena arena = {.chunks = NULL};
  struct profile profile;
  struct writer writer;
  require(profile_build(&profile, &arena));
  profile.period_bytes = 524288;
  profile.time_unix_ns = 1700000000000000000;
  if (add != NULL)
    add(&profile, &arena);
  require(writer_open(&writer, path) == 0 && pprof_write(&profile, &writer, &arena) == 0);
  require(writer_commit(&writer, path) == 0);
  arena_release(&arena);
}

static Message *write_and_decode(void (*add)(struct profile *profile, struct arena *arena))
{
  write_profile(add);
  return decode();
}

static const char *text_of(const Message *message, int64_t id)
{
  require(id >= 0 && (size_t)id < message->n_string_table);
  return message->string_table[id];
}

/* What holds for every profile. */
static void check_rules(const Message *message)
{
  static const char *const types[] = {"alloc_objects", "alloc_space",  "inuse_objects",
                                      "inuse_space",   "peak_objects", "peak_space"};
  static const char *const units[] = {"count", "bytes", "count", "bytes", "count", "bytes"};
  require(message->n_string_table > 0 && message->string_table[0][0] == '\0');
  for (size_t i = 0; i < message->n_string_table; i++)
    for (size_t j = 0; j < i && message->n_string_table < 3000; j++)
      require(strcmp(message->string_table[i], message->string_table[j]) != 0);
  require(message->n_sample_type == 6);
  for (unsigned i = 0; i < 6; i++) {
    require(strcmp(text_of(message, message->sample_type[i]->type), types[i]) == 0);
    require(strcmp(text_of(message, message->sample_type[i]->unit), units[i]) == 0);
  }
  require(strcmp(text_of(message, message->period_type->type), "space") == 0);
  require(strcmp(text_of(message, message->period_type->unit), "bytes") == 0);
  require(strcmp(text_of(message, message->default_sample_type), "inuse_space") == 0);
  require(message->default_sample_type == PROFILE_INUSE_SPACE); /* for readers that take the one for the other */
  require(strncmp(text_of(message, message->drop_frames), "malloc|", 7) == 0);
  require(message->period == 524288 && message->time_nanos == 1700000000000000000);
  for (size_t i = 0; i < message->n_mapping; i++) {
    const Perftools__Profiles__Mapping *mapping = message->mapping[i];
    require(mapping->id == i + 1 && mapping->memory_start < mapping->memory_limit);
    require(text_of(message, mapping->filename)[0] != '\0' && mapping->has_functions);
    (void)text_of(message, mapping->build_id);
  }
  for (size_t i = 0; i < message->n_function; i++) {
    require(message->function[i]->id == i + 1 && text_of(message, message->function[i]->name)[0] != '\0');
    for (size_t j = 0; j < i; j++)
      require(message->function[i]->name != message->function[j]->name);
  }
  for (size_t i = 0; i < message->n_location; i++) {
    const Perftools__Profiles__Location *location = message->location[i];
    require(location->id == i + 1 && location->address != 0);
    require(location->mapping_id >= 1 && location->mapping_id <= message->n_mapping);
    const Perftools__Profiles__Mapping *mapping = message->mapping[location->mapping_id - 1];
    require(location->address >= mapping->memory_start && location->address < mapping->memory_limit);
    for (size_t line = 0; line < location->n_line; line++)
      require(location->line[line]->function_id >= 1 && location->line[line]->function_id <= message->n_function);
    for (size_t j = 0; j < i && message->n_location < 5000; j++)
      require(location->address != message->location[j]->address);
  }
  for (size_t i = 0; i < message->n_sample; i++) {
    const Perftools__Profiles__Sample *sample = message->sample[i];
    require(sample->n_value == 6 && sample->n_location_id > 0);
    for (unsigned value = 0; value < 6; value++)
      require(sample->value[value] >= 0);
    for (size_t k = 0; k < sample->n_location_id; k++)
      require(sample->location_id[k] >= 1 && sample->location_id[k] <= message->n_location);
  }
}

static const char *function_at(const Message *message, uint64_t location)
{
  const Perftools__Profiles__Location *found = message->location[location - 1];
  return found->n_line == 0 ? "" : text_of(message, message->function[found->line[0]->function_id - 1]->name);
}

static const char *file_at(const Message *message, uint64_t location)
{
  return text_of(message, message->mapping[message->location[location - 1]->mapping_id - 1]->filename);
}

static const struct sample_weight one = {.size_bytes = 1000, .objects_q16 = 65536},
                                  many = {.size_bytes = 10, .objects_q16 = 5 << 15}; /* 2.5 */

CHILD_TEST(profile_says_what_the_region_holds)
{
  set_up();
  require(a_function(1) + another_function(2) != 0);
  const uintptr_t known[] = {(uintptr_t)a_function + 2, (uintptr_t)getppid + 1, (uintptr_t)another_function + 1};
  const uintptr_t unknown[] = {0x10000000001234, 0x10000000001238, (uintptr_t)a_function + 2};
  const uintptr_t recursive[] = {known[0], known[0], known[2]};
  uint32_t first = stacks_intern(known, 3, 0), second = stacks_intern(unknown, 3, cut_flags(CUT_foreign_stack));
  stacks_count_allocation(first, one, NULL);
  stacks_count_allocation(first, many, NULL);
  stacks_count_free(first, one);
  stacks_count_allocation(second, many, NULL);
  (void)stacks_intern(recursive, 3, 0); /* nothing counted: not in the profile */
  Message *message = write_and_decode(NULL);
  check_rules(message);
  require(message->n_sample == 2 && message->n_location == 5);

  const Perftools__Profiles__Sample *sample = message->sample[0];
  /* Objects are rounded: 3.5 and 2.5. Samples that are in no half have no peak, but by what the stack has in use. */
  static const int64_t expected[2][6] = {{4, 1025, 3, 25, 3, 25}, {3, 25, 3, 25, 3, 25}};
  require(memcmp(sample->value, expected[0], sizeof expected[0]) == 0 && sample->n_label == 0);
  static const float variances[6] = {3.75f, 375, 3.75f, 375, 3.75f, 375}; /* of `many`: `one` was certain */
  require(sample->n_variance == 6 && memcmp(sample->variance, variances, sizeof variances) == 0);
  require(sample->n_location_id == 3);
  for (unsigned i = 0; i < 3; i++)
    require(message->location[sample->location_id[i] - 1]->address == known[i]);
  require(strcmp(function_at(message, sample->location_id[0]), "a_function") == 0);
  require(strcmp(function_at(message, sample->location_id[2]), "another_function") == 0);
  require(strstr(file_at(message, sample->location_id[0]), "test_profile") != NULL);
  require(strstr(file_at(message, sample->location_id[1]), "libc.so") != NULL);

  sample = message->sample[1];
  require(memcmp(sample->value, expected[1], sizeof expected[1]) == 0);
  require(sample->n_label == 1 && strcmp(text_of(message, sample->label[0]->key), "truncated") == 0);
  require(strcmp(text_of(message, sample->label[0]->str), "foreign stack") == 0);
  require(strcmp(file_at(message, sample->location_id[0]), "//anon") == 0);
  require(strcmp(function_at(message, sample->location_id[0]), "[anon]") == 0);
  require(sample->location_id[2] == message->sample[0]->location_id[0]); /* one location an address */

  const Perftools__Profiles__Mapping *main_mapping = message->mapping[0];
  require(strstr(text_of(message, main_mapping->filename), "test_profile") != NULL && main_mapping->has_functions);
  require(main_mapping->memory_start <= known[0] && main_mapping->memory_limit > known[0]);
  require(strlen(text_of(message, main_mapping->build_id)) == 40);
}

static void add_comments(struct profile *profile, struct arena *arena)
{
  require(profile_add_comment(profile, arena, "first comment"));
  require(profile_add_comment(profile, arena, "inuse_space")); /* a string that is there already */
  for (unsigned i = 2; i < PROFILE_COMMENTS_MAX; i++)
    require(profile_add_comment(profile, arena, "again"));
  require(!profile_add_comment(profile, arena, "one too many"));
}

CHILD_TEST(comments_come_along)
{
  set_up();
  Message *message = write_and_decode(add_comments);
  check_rules(message);
  require(message->n_sample == 0 && message->n_location == 0 && message->n_mapping >= 1);
  require(message->n_comment == PROFILE_COMMENTS_MAX);
  require(strcmp(text_of(message, message->comment[0]), "first comment") == 0);
  require(strcmp(text_of(message, message->comment[1]), "inuse_space") == 0);
}

CHILD_TEST(profile_without_a_region_is_empty)
{
  snprintf(path, sizeof path, "%s/empty", unit_directory());
  Message *message = write_and_decode(add_comments);
  check_rules(message);
  require(message->n_sample == 0 && message->n_mapping == 0);
}

CHILD_TEST(stand_in_has_a_name)
{
  set_up();
  unit_limit(RLIMIT_AS, 0);
  uint32_t stack = 0;
  for (uintptr_t i = 0; region_header()->lost[LOSS_stack_table] == 0; i++) {
    const uintptr_t pcs[] = {0x20000000000000 + i * 16};
    stack = stacks_intern(pcs, 1, 0);
  }
  stacks_count_allocation(stack, one, NULL);
  const uintptr_t near_stand_in[] = {4100}; /* no file's code, right beside the address of the stand-in */
  require(stacks_intern(near_stand_in, 1, 0) == stack);
  unit_limit(RLIMIT_AS, RLIM_INFINITY);
  stacks_count_allocation(stacks_intern(near_stand_in, 1, 0), many, NULL);
  Message *message = write_and_decode(NULL);
  check_rules(message);
  require(message->n_sample == 2);
  unsigned named = 0;
  for (unsigned i = 0; i < 2; i++)
    named += strcmp(function_at(message, message->sample[i]->location_id[0]), "[stack table full]") == 0 &&
             strcmp(file_at(message, message->sample[i]->location_id[0]), "[heapprof]") == 0 &&
             message->sample[i]->value[1] == 1000;
  require(named == 1);
}

CHILD_TEST(certain_values_have_no_variance)
{
  const uintptr_t pcs[] = {0x20000000000000};
  set_up();
  stacks_count_allocation(stacks_intern(pcs, 1, 0), one, NULL);
  Message *message = write_and_decode(NULL);
  require(message->n_sample == 1 && message->sample[0]->n_variance == 0);
}

CHILD_TEST(totals_have_standard_errors)
{
  struct arena arena = {.chunks = NULL};
  struct profile profile;
  set_up();
  for (uintptr_t i = 0; i < 100; i++) {
    const uintptr_t pcs[] = {0x20000000000000 + i};
    uint32_t stack = stacks_intern(pcs, 1, 0);
    stacks_count_allocation(stack, many, NULL);
    stacks_count_allocation(stack, one, NULL);
    if (i % 2 == 0)
      stacks_count_free(stack, many);
  }
  require(profile_build(&profile, &arena) && profile.sample_count == 100);
  /* 100 samples of weight 2.5: 3.75 each; certain ones add nothing. */
  require(profile.totals[PROFILE_ALLOC_OBJECTS].estimate == 350 &&
          profile.totals[PROFILE_ALLOC_SPACE].estimate == 102500);
  require(fabs(profile.totals[PROFILE_ALLOC_OBJECTS].standard_error - sqrt(375)) < 1e-9);
  require(fabs(profile.totals[PROFILE_ALLOC_SPACE].standard_error - sqrt(37500)) < 1e-9);
  require(profile.totals[PROFILE_INUSE_OBJECTS].estimate == 225);
  require(fabs(profile.totals[PROFILE_INUSE_OBJECTS].standard_error - sqrt(187.5)) < 1e-9);
  arena_release(&arena);
}

/* More of everything than the tables start with. */
CHILD_TEST(many_stacks_and_anonymous_runs)
{
  enum { STACKS = 20000 };
  set_up();
  int64_t truth = 0;
  for (uintptr_t i = 0; i < STACKS; i++) {
    uintptr_t pcs[CONFIG_DEPTH_MAX];
    unsigned depth = i == 7 ? CONFIG_DEPTH_MAX : 1 + (unsigned)(i % 5);
    for (unsigned k = 0; k < depth; k++)
      pcs[k] = k % 2 == 0 ? 0x20000000000000 + i * 4096 + k : (uintptr_t)a_function + k % 8;
    struct sample_weight weight = {.size_bytes = i, .objects_q16 = 65536};
    stacks_count_allocation(stacks_intern(pcs, depth, 0), weight, NULL);
    truth += (int64_t)i;
  }
  Message *message = write_and_decode(NULL);
  check_rules(message);
  require(message->n_sample == STACKS && message->n_location > STACKS);
  int64_t sum = 0;
  for (size_t i = 0; i < message->n_sample; i++)
    sum += message->sample[i]->value[PROFILE_ALLOC_SPACE];
  require(sum == truth);
  require(message->sample[7]->n_location_id == CONFIG_DEPTH_MAX);
  require(strstr(text_of(message, message->mapping[0]->filename), "test_profile") != NULL);
  for (size_t i = 0; i < message->n_location; i += 97)
    for (size_t j = 0; j < message->n_location; j++)
      require(i == j || message->location[i]->address != message->location[j]->address);
}

/* Bytes of text for one more comment, that no compressor makes smaller by much. */
static size_t text_bytes;
static char *text;

static void add_text(struct profile *profile, struct arena *arena)
{
  uint64_t random = 1;
  for (size_t i = 0; i < text_bytes; i++)
    text[i] = "0123456789abcdef"[prng_next(&random) % 16];
  text[text_bytes] = '\0';
  require(profile_add_comment(profile, arena, text));
}

/* RFC 1951: the first three bits are 1 for the last block, and 0 for one that is stored. */
static bool is_stored(void)
{
  enum { HEAD_BYTES = 10 };
  uint8_t block = 0;
  int fd = open(path, O_RDONLY);
  require(fd >= 0 && pread(fd, &block, 1, HEAD_BYTES) == 1 && close(fd) == 0);
  return (block & 7) == 1;
}

CHILD_TEST(profiles_of_all_sizes_are_read)
{
  set_up();
  enum { STORED_BYTES_MAX = 16 << 10, STEP_BYTES = 97, PIECE_MAX = 63 << 10 };
  static char room[PIECE_MAX + 1];
  unsigned stored = 0, compressed = 0;
  text = room;
  for (text_bytes = 1; text_bytes <= 2 * STORED_BYTES_MAX; text_bytes += STEP_BYTES) {
    write_profile(add_text);
    require(text_bytes > STORED_BYTES_MAX / 2 || is_stored());
    require(text_bytes < STORED_BYTES_MAX || !is_stored());
    stored += is_stored(), compressed += !is_stored();
    Message *message = decode();
    require(strcmp(text_of(message, message->comment[0]), text) == 0);
    perftools__profiles__profile__free_unpacked(message, NULL);
  }
  require(stored > 100 && compressed > 100);
  text_bytes = PIECE_MAX;
  Message *message = write_and_decode(add_text);
  require(strcmp(text_of(message, message->comment[0]), text) == 0);
}

CHILD_TEST(failures_are_reported)
{
  struct arena arena = {.chunks = NULL};
  struct profile profile;
  struct writer writer;
  set_up();
  const uintptr_t pcs[] = {0x20000000000000};
  stacks_count_allocation(stacks_intern(pcs, 1, 0), one, NULL);
  require(profile_build(&profile, &arena));
  unit_limit(RLIMIT_FSIZE, 100); /* the file is cut */
  require(writer_open(&writer, path) == 0 && pprof_write(&profile, &writer, &arena) == -EFBIG);
  writer_discard(&writer);
  require(access(path, F_OK) != 0);
  unit_limit(RLIMIT_FSIZE, RLIM_INFINITY);
  unit_limit(RLIMIT_AS, 0); /* no memory for the encoder, or none for the profile */
  struct arena fresh = {.chunks = NULL};
  require(writer_open(&writer, path) == 0 && pprof_write(&profile, &writer, &fresh) == -ENOMEM);
  writer_discard(&writer);
  require(!profile_build(&profile, &fresh));
}

int main(void)
{
  (void)unit_directory();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(profile_says_what_the_region_holds), cmocka_unit_test(comments_come_along),
      cmocka_unit_test(profile_without_a_region_is_empty),  cmocka_unit_test(stand_in_has_a_name),
      cmocka_unit_test(certain_values_have_no_variance),    cmocka_unit_test(totals_have_standard_errors),
      cmocka_unit_test(many_stacks_and_anonymous_runs),     cmocka_unit_test(failures_are_reported),
      cmocka_unit_test(profiles_of_all_sizes_are_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
