/* SPDX-License-Identifier: MIT */
/* Build ids among notes: of any length, behind any others, with and without the last padding; notes that lie are no harm. */
#include "core/build_id.h"
#include "tests/unit/unit.h"

#include <elf.h>

static size_t put_note(uint8_t *bytes, size_t at, size_t pad, uint32_t type, const char *name, const void *id,
                       size_t id_bytes)
{
  Elf64_Nhdr note = {.n_namesz = (uint32_t)strlen(name) + 1, .n_descsz = (uint32_t)id_bytes, .n_type = type};
  size_t content = (at + sizeof note + note.n_namesz + pad - 1) / pad * pad;
  memcpy(bytes + at, &note, sizeof note);
  memcpy(bytes + at + sizeof note, name, note.n_namesz);
  memcpy(bytes + content, id, id_bytes);
  return content + id_bytes;
}

static size_t end_of(size_t size, size_t pad)
{
  return (size + pad - 1) / pad * pad;
}

static void any_length_is_found(void **state)
{
  static const uint8_t id[BUILD_ID_MAX_BYTES + 1] = {9, 8, 7, 6, 5, 4, 3, 2, 1};
  (void)state;
  for (size_t pad = 4; pad <= 8; pad += 4)
    for (size_t size = 1; size <= sizeof id; size++)
      for (int is_padded = 0; is_padded <= 1; is_padded++) {
        uint8_t bytes[256] = {0};
        size_t first = put_note(bytes, 0, pad, NT_GNU_PROPERTY_TYPE_0, "GNU", "12345", 5);
        size_t end = put_note(bytes, end_of(first, pad), pad, NT_GNU_BUILD_ID, "GNU", id, size);
        struct build_id found = {.size = 99};
        assert_int_equal(build_id_find(bytes, is_padded ? end_of(end, pad) : end, pad, &found), size < sizeof id);
        if (size < sizeof id) {
          assert_int_equal(found.size, size);
          assert_memory_equal(found.bytes, id, size);
        }
        assert_false(build_id_find(bytes, end - 1, pad, &found));
      }
}

static void others_are_not_taken_for_one(void **state)
{
  (void)state;
  uint8_t bytes[128] = {0};
  struct build_id found;
  assert_false(build_id_find(bytes, put_note(bytes, 0, 4, NT_GNU_BUILD_ID, "GNU", "", 0), 4, &found));
  assert_false(build_id_find(bytes, put_note(bytes, 0, 4, NT_GNU_BUILD_ID, "GNV", "abcd", 4), 4, &found));
  assert_false(build_id_find(bytes, put_note(bytes, 0, 4, NT_GNU_ABI_TAG, "GNU", "abcd", 4), 4, &found));
  assert_false(build_id_find(bytes, 0, 4, &found));
}

/* Sizes near the limit of their type must not wrap. */
static void notes_that_lie_end_the_search(void **state)
{
  (void)state;
  for (uint32_t name = 0; name < 2; name++)
    for (uint32_t content = 0; content < 2; content++) {
      Elf64_Nhdr notes[4] = {
          {.n_namesz = name ? UINT32_MAX - 11 : 4, .n_descsz = content ? UINT32_MAX - 3 : 4, .n_type = 9}};
      struct build_id found;
      assert_false(build_id_find(notes, sizeof notes, 4, &found));
      assert_false(build_id_find(notes, sizeof notes, 8, &found));
    }
}

static void notes_of_go_are_known(void **state)
{
  (void)state;
  uint8_t bytes[256] = {0};
  size_t first = put_note(bytes, 0, 4, NT_GNU_BUILD_ID, "GNU", "12345678", 8);
  assert_false(build_id_is_of_go(bytes, first, 4));
  size_t end = put_note(bytes, end_of(first, 4), 4, 3, "Go\0", "abc", 3);
  bytes[end_of(first, 4)] = 4; /* the size of the name, with its padding */
  assert_false(build_id_is_of_go(bytes, end, 4));
  bytes[end_of(first, 4) + 8] = 4; /* its type */
  assert_true(build_id_is_of_go(bytes, end, 4));
  assert_false(build_id_is_of_go(bytes, end - 1, 4));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_length_is_found),
      cmocka_unit_test(notes_of_go_are_known),
      cmocka_unit_test(others_are_not_taken_for_one),
      cmocka_unit_test(notes_that_lie_end_the_search),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
