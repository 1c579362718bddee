/* SPDX-License-Identifier: MIT */
/* Pages of code that are exchanged while other threads map memory: where a changed page came from, the kernel may put somebody else's
 * before all is done. */
#include "interpose/patch/pages.c"
#include "interpose/patch/protection.c"

#include "unit.h"

enum { PAGES = 2, MARK = 42 };

static uint8_t *map_code(struct pages *pages, size_t count)
{
  pages_begin(pages);
  uint8_t *code = mmap(NULL, count * pages->page_bytes, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_ptr_not_equal(code, MAP_FAILED);
  for (size_t i = 0; i < count; i++)
    pages_add(pages, code + i * pages->page_bytes, 1);
  return code;
}

static void copy(struct pages *pages, const uint8_t *code)
{
  assert_null(pages_copy(pages));
  pages_change(pages, code, (const uint8_t *)"\xc3", 1);
  assert_null(pages_make_executable(pages));
}

/* As another thread does; nothing may be there. */
static uint8_t *map_in_hole(const struct pages *pages, size_t page)
{
  uint8_t *hole = pages->copies + page * pages->page_bytes;
  uint8_t *mapped = mmap(hole, pages->page_bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | 0x100000 /* MAP_FIXED_NOREPLACE */, -1, 0);
  assert_ptr_equal(mapped, hole);
  *mapped = MARK;
  return mapped;
}

static void check_still_there(const struct pages *pages, uint8_t *mapped)
{
  assert_true(sys_is_readable((uintptr_t)mapped));
  assert_int_equal(*mapped, MARK);
  assert_int_equal(munmap(mapped, pages->page_bytes), 0);
}

static bool is_gone(const uint8_t *page)
{
  return !sys_is_readable((uintptr_t)page);
}

static void holes_are_others(void **state)
{
  (void)state;
  static struct pages pages;
  bool are_put;
  const uint8_t *code = map_code(&pages, PAGES);
  copy(&pages, code);
  assert_null(pages_put(&pages, &are_put));
  assert_true(are_put);
  assert_int_equal(*code, 0xc3);
  assert_null(protection_check(pages.at, pages.count));
  const uint8_t *kept = pages.copies + PAGES * pages.page_bytes;
  uint8_t *mapped[PAGES];
  for (size_t i = 0; i < PAGES; i++)
    mapped[i] = map_in_hole(&pages, i);
  pages_end(&pages);
  for (size_t i = 0; i < PAGES; i++)
    check_still_there(&pages, mapped[i]);
  assert_true(is_gone(kept));
}

/* The second page has no place, so the first one is put back, and leaves another hole. */
static void holes_are_others_after_a_refusal(void **state)
{
  (void)state;
  static struct pages pages;
  bool are_put;
  const uint8_t *code = map_code(&pages, PAGES);
  copy(&pages, code);
  pages.at[1] = 0 - pages.page_bytes;
  assert_non_null(pages_put(&pages, &are_put));
  assert_false(are_put);
  assert_int_equal(*code, 0);
  const uint8_t *rest = pages.copies + pages.page_bytes;
  uint8_t *mapped[] = {map_in_hole(&pages, 0), map_in_hole(&pages, PAGES)};
  pages_end(&pages);
  check_still_there(&pages, mapped[0]);
  check_still_there(&pages, mapped[1]);
  assert_true(is_gone(rest) && is_gone(rest + PAGES * pages.page_bytes));
}

static void protection_is_that_of_now(void **state)
{
  (void)state;
  static struct pages pages;
  uint8_t *code = map_code(&pages, PAGES);
  assert_null(protection_check(pages.at, pages.count));
  const int others[] = {PROT_READ | PROT_WRITE | PROT_EXEC, PROT_READ, PROT_NONE, PROT_EXEC};
  for (size_t i = 0; i < COUNT_OF(others); i++) {
    assert_int_equal(mprotect(code + pages.page_bytes, pages.page_bytes, others[i]), 0);
    assert_non_null(protection_check(pages.at, pages.count));
    assert_null(protection_check(pages.at, 1));
  }
  assert_int_equal(munmap(code + pages.page_bytes, pages.page_bytes), 0);
  assert_non_null(protection_check(pages.at, pages.count));
  uint8_t *shared = mmap(code + pages.page_bytes, pages.page_bytes, PROT_READ | PROT_EXEC,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  assert_ptr_equal(shared, code + pages.page_bytes);
  assert_non_null(protection_check(pages.at, pages.count));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(holes_are_others),
      cmocka_unit_test(holes_are_others_after_a_refusal),
      cmocka_unit_test(protection_is_that_of_now),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
