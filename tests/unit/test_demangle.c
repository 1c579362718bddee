/* SPDX-License-Identifier: MIT */
#include "tools/symbols/demangle.h"

#include "unit.h"

#include <glib.h>

struct pair {
  const char *given, *expected;
};

static void check_demangled(const struct pair *pairs, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    g_autofree char *name = demangle(pairs[i].given);
    assert_string_equal(name, pairs[i].expected);
  }
}

static void check_simplified(const struct pair *pairs, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    g_autofree char *name = g_strdup(pairs[i].given);
    demangle_simplify(name);
    assert_string_equal(name, pairs[i].expected);
  }
}

/* The right-hand sides are what google/pprof makes of the left. */
static void test_cxx(void **state)
{
  (void)state;
  static const struct pair pairs[] = {
      {"_ZN3FooC1Ev", "Foo::Foo"},
      {"_ZN3FooD0Ev", "Foo::~Foo"},
      {"_ZNSt6vectorIiSaIiEE9push_backEOi", "std::vector::push_back"},
      {"_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEE9_M_createERmm", "std::__cxx11::basic_string::_M_create"},
      {"_Znwm", "operator new"},
      {"_ZdaPvm", "operator delete[]"},
      {"_ZlsRSoRK3Foo", "operator<<"},
      {"_ZStlsISt11char_traitsIcEERSt13basic_ostreamIcT_ES5_PKc", "std::operator<<"},
      {"_ZN3FooltERKS_", "Foo::operator<"},
      {"_ZStgtIiEbRKT_S2_", "std::operator>"},
      {"_ZNK3FooclEv", "Foo::operator()"},
      {"_ZNK3FooptEv", "Foo::operator->"},
      {"_ZN3FooixEi", "Foo::operator[]"},
      {"_ZN1AcvT_IiEEv", "A::operator int"},
      {"_ZNK1AcvSt6vectorIiSaIiEEEv", "A::operator std::vector"},
      {"_ZNKSt15__exception_ptr13exception_ptrcvMS0_FvvEEv",
       "std::__exception_ptr::exception_ptr::operator void (std::__exception_ptr::exception_ptr::*)()"},
      {"_ZZ4mainENKUliE_clEi", "main::{lambda(int)#1}::operator()"},
      {"_ZZN3Foo3barEiENKUlSt6vectorIiSaIiEEE0_clES2_", "Foo::bar()::{lambda(std::vector)#2}::operator()"},
      {"_ZZN3app4callIiEEvT_ENKUlS1_E_clEi", "app::call()::{lambda(auto:1)#1}::operator()"},
      /* What runs a thread's function says which. */
      {"_ZNSt6thread11_State_implINS_8_InvokerISt5tupleIJZ4mainEUlvE0_EEEEE6_M_runEv",
       "std::thread::_State_impl<main::{lambda()#2}>::_M_run"},
      {"_ZNSt6thread11_State_implINS_8_InvokerISt5tupleIJN4shop6WorkerIiEESsPiEEEEE6_M_runEv",
       "std::thread::_State_impl<shop::Worker<int>>::_M_run"},
      {"_ZNSt6thread11_State_implINS_8_InvokerISt5tupleIJPFvvEEEEEE6_M_runEv", "std::thread::_State_impl::_M_run"},
      {"_ZNSt6thread11_State_implINS_8_InvokerISt5tupleIJMNSt13__future_base17_Async_state_implINS1_IS2_IJZ4mainEUlvE1_"
       "EEE"
       "EvEEFvvEPS8_EEEEE6_M_runEv",
       "std::thread::_State_impl<main::{lambda()#3}>::_M_run"},
      {"_ZNSt17_Function_handlerIFviEZN3app3runEiEUlvE_E9_M_invokeERKSt9_Any_dataOi",
       "std::_Function_handler<app::run()::{lambda()#1}>::_M_invoke"},
      {"_ZNSt6vectorI4ItemSaIS0_EE9push_backEOS0_", "std::vector::push_back"},
      {"_ZN12_GLOBAL__N_13fooEv", "(anonymous namespace)::foo"},
      {"_ZL3foov.cold", "foo"},
      {"_ZL3fooi.constprop.0.isra.1", "foo"},
      {"_ZN3FooB5cxx113barEv", "Foo[abi:cxx11]::bar"},
      {"_ZThn8_N3Foo3barEi", "non-virtual thunk to Foo::bar(int)"},
      {"_Z3fooILi5ELb1EXadL_Z3barvEEEvv", "foo"},
      {"_Z1fIXgtLi1ELi2EEEvv", "f"},
      {"_Z4sortIPFbiiEEvT_", "sort"},
      {"_Z3fooIDTcl3barfp_EEET_S1_", "foo"},
  };
  check_demangled(pairs, G_N_ELEMENTS(pairs));
}

static void test_rust(void **state)
{
  (void)state;
  static const struct pair pairs[] = {
      {"_RNvCs1234_7mycrate3foo", "mycrate::foo"},
      {"_RINvNtC3std3mem8align_ofjE", "std::mem::align_of"},
      {"_RNvXCs1234_7mycrateNtB2_3FooNtB2_3Bar3baz", "<mycrate::Foo as mycrate::Bar>::baz"},
      {"_RNCNvCs1234_7mycrate4main0", "mycrate::main::{closure#0}"},
      {"_ZN3foo3bar17h05af221e174051e9E", "foo::bar"},
      {"_ZN4core3ptr42drop_in_place$LT$alloc..string..String$GT$17h0123456789abcdefE", "core::ptr::drop_in_place"},
      {"_ZN50_$LT$T$u20$as$u20$core..convert..Into$LT$U$GT$$GT$4into17h0123456789abcdefE",
       "<T as core::convert::Into>::into"},
      {"_ZN4core3fmt3num52_$LT$impl$u20$core..fmt..Debug$u20$for$u20$usize$GT$3fmt17h0123456789abcdefE",
       "core::fmt::num::<impl core::fmt::Debug for usize>::fmt"},
  };
  check_demangled(pairs, G_N_ELEMENTS(pairs));
}

static void test_d(void **state)
{
  (void)state;
  static const struct pair pairs[] = {
      {"_Dmain", "D main"},
      {"_D3std5stdio7writelnFAyaZv", "std.stdio.writeln"},
      {"_D3std5stdio__T7writelnTiZQlFNfiZv", "std.stdio.writeln"},
      {"_D6object6Object8toHash()", "_D6object6Object8toHash()"},
      {"_D3foo3Bar3bazMxFNbZi", "foo.Bar.baz"},
  };
  check_demangled(pairs, G_N_ELEMENTS(pairs));
}

static void test_others_stay(void **state)
{
  (void)state;
  static const struct pair pairs[] = {{"", ""},
                                      {"_", "_"},
                                      {"main", "main"},
                                      {"_start", "_start"},
                                      {"_Z", "_Z"},
                                      {"_DYNAMIC", "_DYNAMIC"},
                                      {"_Rx", "_Rx"},
                                      {"operator<(a", "operator<(a"},
                                      {"foo.cold", "foo.cold"}};
  check_demangled(pairs, G_N_ELEMENTS(pairs));
}

static void test_simplify(void **state)
{
  (void)state;
  static const struct pair pairs[] = {
      {"std::vector<int>::push_back(int&&)", "std::vector::push_back"},
      {"std::map<int, std::vector<A>>::at(int const&) const", "std::map::at"},
      {"operator<", "operator<"},
      {"operator<<int>", "operator<"},
      {"operator< <int>(int)", "operator<"},
      {"operator<<<char>(char)", "operator<<"},
      {"operator<< <std::char_traits<char> >", "operator<<"},
      {"A::operator<=>(A const&) const", "A::operator<=>"},
      {"A::operator->() const", "A::operator->"},
      {"A::operator->*<int>(int)", "A::operator->*"},
      {"A::operator()(int) const", "A::operator()"},
      {"A<(B)1>::operator>>=(int)", "A::operator>>="},
      {"f<(1>0)>(int)", "f"},
      {"f<&A::operator->, decltype(a->b)>()", "f"},
      {"f<&(A::operator<(int))>", "f"},
      {"my_operator<int>::x", "my_operator::x"},
      {"(anonymous namespace)::f(int)", "(anonymous namespace)::f"},
      {"f(int)::(anonymous class)::operator()(char) const", "f()::(anonymous class)::operator()"},
      {"main::{lambda(std::vector<int>)#1}::operator()(std::vector<int>) const",
       "main::{lambda(std::vector)#1}::operator()"},
      {"main()::<lambda(int)>", "main()::<lambda(int)>"},
      {"f(int (*)(char))", "f"},
      {"f(int) const::g(char)::h", "f()::g()::h"},
      {"sort<bool (*)(int, int)>", "sort"},
      {"plain", "plain"},
      {"", ""},
      /* Brackets that do not match: as it was. */
      {"f<int", "f<int"},
      {"f<(int>", "f<(int>"},
      {"<int>", "<int>"},
      {"(int)", "(int)"},
  };
  check_simplified(pairs, G_N_ELEMENTS(pairs));
}

/* --- names that nobody means well with --- */

static char *repeat(const char *start, const char *part, size_t bytes, const char *end)
{
  GString *text = g_string_new(start);
  while (text->len < bytes)
    g_string_append(text, part);
  g_string_append(text, end);
  return g_string_free(text, FALSE);
}

static const size_t sizes[] = {900, 1100, 4000, 60000, 65530, 1 << 20};

/* Each of them overflows the stack of a demangler that recurses, or that has room on it for what a name may hold. */
static void test_long(void **state)
{
  (void)state;
  static const char *const shapes[][3] = {{"_Z", "P", "i"},
                                          {"_Z1f", "P", "i"},
                                          {"_ZN", "1a", "E"},
                                          {"_Z1f", "I", ""},
                                          {"_Z1fI", "N1aI", ""},
                                          {"_Z1fI", "RT_", "EvT_"},
                                          {"_Z1fI", "1aIRT_E", "EvT_"},
                                          {"_ZN1fI", "1aIRT_E", "EcvT_IiEEv"},
                                          {"_ZZ", "Z1fv", "E1g"},
                                          {"_ZN", "1fI", "iE"},
                                          {"_RN", "v", ""},
                                          {"_R", "Nv", "C1a1b"},
                                          {"_RINvC1a1b", "R", "iE"},
                                          {"_RNvC1a", "B", ""},
                                          {"_D1a", "A", "i"},
                                          {"_D1aF", "A", "iZv"},
                                          {"_D3foo", "FZ", ""},
                                          {"_D", "1a", ""},
                                          {"_ZN3foo", "$LT$", "17h0123456789abcdefE"}};
  for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++)
    for (size_t k = 0; k < G_N_ELEMENTS(sizes); k++) {
      g_autofree char *symbol = repeat(shapes[i][0], shapes[i][1], sizes[k], shapes[i][2]);
      g_autofree char *name = demangle(symbol);
      assert_in_range(strlen(name), 1, (1 << 20) + 100);
    }
}

static void test_long_text(void **state)
{
  (void)state;
  static const char *const parts[] = {"<", ">", "(", ")", "{", "::", "operator<", "a<b>", "f(x)::", "(anonymous "};
  for (size_t i = 0; i < G_N_ELEMENTS(parts); i++) {
    g_autofree char *name = repeat("f", parts[i], 60000, "");
    size_t length = strlen(name);
    demangle_simplify(name);
    assert_in_range(strlen(name), 1, length);
  }
}

/* A few hundred bytes that stand for 2^34 names. */
static void test_endless(void **state)
{
  (void)state;
  static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  g_autoptr(GString) types = g_string_new("St4pairIiiE");
  for (int i = 0; i < 34; i++)
    g_string_append_printf(types, "St4pairIS%c_S%c_E", digits[i], digits[i]);
  static const char *const shapes[][2] = {
      {"_Z1f", ""}, {"_Z1gI", "EvT_"}, {"_ZN1gI", "E1xEv"}, {"_ZZ1gI", "EvvENKUlT_E_clEv"}, {"_ZN1xcv", "Ev"}};
  for (size_t i = 0; i < G_N_ELEMENTS(shapes); i++) {
    g_autofree char *symbol = g_strconcat(shapes[i][0], types->str, shapes[i][1], NULL);
    g_autofree char *name = demangle(symbol);
    assert_in_range(strlen(name), 1, 1 << 20);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cxx),       cmocka_unit_test(test_rust),
                                     cmocka_unit_test(test_d),         cmocka_unit_test(test_others_stay),
                                     cmocka_unit_test(test_simplify),  cmocka_unit_test(test_long),
                                     cmocka_unit_test(test_long_text), cmocka_unit_test(test_endless)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
