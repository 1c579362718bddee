/* SPDX-License-Identifier: MIT */
#include "core/arena.h"

#include "unit.h"

static long mapped_pages(void)
{
  long pages = -1;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file != NULL && fscanf(file, "%ld", &pages) != 1)
    pages = -1;
  if (file != NULL)
    fclose(file);
  return pages;
}

static void memory_is_aligned_zeroed_and_apart(void **state)
{
  (void)state;
  enum { PIECES = 3000 };
  static unsigned char *pieces[PIECES];
  struct arena arena = {.chunks = NULL};
  for (size_t i = 0; i < PIECES; i++) {
    size_t size = i * 7 % 2000 + 1;
    pieces[i] = arena_get(&arena, size);
    assert_non_null(pieces[i]);
    assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
    for (size_t k = 0; k < size; k++)
      assert_int_equal(pieces[i][k], 0);
    memset(pieces[i], (int)(i % 255) + 1, size);
  }
  for (size_t i = 0; i < PIECES; i++)
    for (size_t k = 0; k < i * 7 % 2000 + 1; k++)
      assert_int_equal(pieces[i][k], i % 255 + 1);
  assert_false(arena.failed);
  arena_release(&arena);
}

static void large_pieces_get_chunks_of_their_own(void **state)
{
  (void)state;
  struct arena arena = {.chunks = NULL};
  static const size_t sizes[] = {(1 << 20) - 32, (1 << 20) - 16, 1 << 20, (1 << 20) + 1, 10 << 20};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    char *bytes = arena_get(&arena, sizes[i]);
    assert_non_null(bytes);
    memset(bytes, 1, sizes[i]);
    assert_non_null(arena_get(&arena, 1));
  }
  arena_release(&arena);
}

static void memory_of_the_caller_is_used_first_and_stays(void **state)
{
  (void)state;
  enum { BYTES = 64 << 10, PIECE_BYTES = 1 << 10 };
  static _Alignas(max_align_t) char memory[BYTES];
  struct arena arena;
  unsigned inside = 0;
  arena_begin(&arena, memory, BYTES);
  long before = mapped_pages();
  for (unsigned i = 0; i < BYTES / PIECE_BYTES - 1; i++) {
    char *piece = arena_get(&arena, PIECE_BYTES);
    assert_non_null(piece);
    inside += piece > memory && piece + PIECE_BYTES <= memory + BYTES;
    memset(piece, 1, PIECE_BYTES);
  }
  assert_int_equal(inside, BYTES / PIECE_BYTES - 1);
  assert_int_equal(mapped_pages(), before);
  char *beyond = arena_get(&arena, PIECE_BYTES);
  assert_true(beyond != NULL && (beyond < memory || beyond >= memory + BYTES));
  arena_release(&arena);
  assert_true(mapped_pages() <= before + 8);
  assert_int_equal(memory[BYTES / 2], 1); /* it is still there */
}

static void release_gives_everything_back(void **state)
{
  (void)state;
  struct arena arena = {.chunks = NULL};
  long before = mapped_pages();
  for (int i = 0; i < 50; i++)
    assert_non_null(arena_get(&arena, 1 << 20));
  assert_true(mapped_pages() > before + 50 * 256);
  arena_release(&arena);
  assert_true(mapped_pages() < before + 256);
  assert_null(arena.chunks);
  assert_non_null(arena_get(&arena, 100)); /* and can be used again */
  arena_release(&arena);
}

static void copies_text(void **state)
{
  (void)state;
  struct arena arena = {.chunks = NULL};
  assert_string_equal(arena_copy_text(&arena, "abcdef", 3), "abc");
  assert_string_equal(arena_copy_text(&arena, "", 0), "");
  arena_release(&arena);
}

static void impossible_sizes_fail_and_are_remembered(void **state)
{
  (void)state;
  struct arena arena = {.chunks = NULL};
  assert_null(arena_get_array(&arena, SIZE_MAX / 8 + 2, 8));
  assert_true(arena.failed);
  arena_release(&arena);
  assert_false(arena.failed);
  static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 8, SIZE_MAX / 2 + 1, SIZE_MAX / 2, (size_t)1 << 60};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    assert_null(arena_get(&arena, sizes[i]));
    assert_true(arena.failed);
    arena_release(&arena);
  }
}

/* NULL would pass for a failure. */
static void nothing_is_not_a_failure(void **state)
{
  (void)state;
  struct arena arena = {.chunks = NULL};
  assert_non_null(arena_get_array(&arena, 0, 8));
  assert_false(arena.failed);
  arena_release(&arena);
}

CHILD_TEST(refused_memory_is_a_failure)
{
  struct arena arena = {.chunks = NULL};
  char *first = arena_get(&arena, 64);
  require(first != NULL);
  first[0] = 'x';
  unit_limit(RLIMIT_AS, 0);
  require(arena_get(&arena, 64) == first + 64); /* there is room in the first chunk */
  require(!arena.failed);
  require(arena_get(&arena, 2 << 20) == NULL);
  require(arena.failed);
  require(arena_get(&arena, 64) == first + 128 && arena.failed && first[0] == 'x');
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_is_aligned_zeroed_and_apart),
      cmocka_unit_test(large_pieces_get_chunks_of_their_own),
      cmocka_unit_test(memory_of_the_caller_is_used_first_and_stays),
      cmocka_unit_test(release_gives_everything_back),
      cmocka_unit_test(copies_text),
      cmocka_unit_test(impossible_sizes_fail_and_are_remembered),
      cmocka_unit_test(nothing_is_not_a_failure),
      cmocka_unit_test(refused_memory_is_a_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
