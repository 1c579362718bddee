# SPDX-License-Identifier: MIT
"""Whose memory it is: the nearest function that is no allocation plumbing, in every table. Seen to fail: std::__new_allocator::allocate,
alloc::alloc::alloc, xmalloc and g_malloc headed every table."""
import re
import subprocess

from cli.views import Views
from harness import paths, pprof_reader
from harness.case import cases
from harness.tools import need

PLUMBING = """
    std::__new_allocator::allocate
    std::vector::_M_realloc_insert
    std::__cxx11::basic_string::_M_construct
    std::make_shared
    __gnu_cxx::__normal_iterator::operator++
    __cxa_allocate_exception
    operator new
    shop::Item::operator new[]
    libstdc++.so.6.0.30+0x1f0b0
    libc.so.6+0x84a10
    __pthread_once_slow
    alloc::alloc::alloc
    alloc::raw_vec::RawVec::grow_one
    <alloc::vec::Vec as core::clone::Clone>::clone
    <&mut alloc::string::String as core::fmt::Write>::write_str
    core::iter::traits::iterator::Iterator::collect
    <T as alloc::vec::spec_from_elem::SpecFromElem>::from_elem
    std::collections::hash::map::HashMap::insert
    hashbrown::raw::RawTable::reserve_rehash
    <u8 as <[_]>::to_vec_in::ConvertVec>::to_vec
    <&[u8] as core::convert::Into>::into
    <[u8]>::to_vec_in
    <str>::replace
    <str as alloc::borrow::ToOwned>::to_owned
    __rust_alloc
    xmalloc
    xcalloc
    xreallocarray
    je_malloc
    zmalloc_usable
    ztrymalloc_usable_internal
    sqlite3MemMalloc
    sqlite3DbMallocRawNN
    g_malloc0_n
    g_realloc
    g_strdup_printf
    g_memdup2
    g_slice_alloc0
    xstrndup
    git__strdup
    my_asprintf
    av_mallocz_array
    palloc0
    pstrdup
    MemoryContextAllocExtended
    AllocSetAlloc
    apr_palloc
    ngx_pcalloc
    zend_mm_alloc_small
    ggc_internal_alloc
    ggc_internal_cleared_alloc
    _sdsnewlen
    sdscatprintf
    bfd_zalloc
    _objalloc_alloc
    _obstack_newchunk
    mem_alloc
    safe_malloc_or_die
    checked_realloc.constprop.0
    rapidjson::MemoryPoolAllocator::Malloc
    shop::ArenaAllocator::allocate_bytes
    WTF::fastMalloc
    QArrayData::allocate
    llvm::SmallVectorBase::grow_pod
    absl::lts_20220623::container_internal::raw_hash_set::resize
    PyMem_RawMalloc
    _PyObject_GC_New
    PyType_GenericAlloc
    runtime.mallocgc
    runtime.growslice
""".split("\n")[1:-1]

ORDINARY = """
    main
    shop::Cache::insert
    shop::Item::Item
    my::std::thing
    stdlib_init
    core::Engine::load
    alloc::Report::print
    <shop::Iter as core::iter::traits::iterator::Iterator>::next
    <shop::Point as core::fmt::Display>::fmt
    <u8 as shop::Pack>::pack
    <shop::Cart>::add
    sdsHashType
    preallocate_pages
    deallocate
    session_alloc
    allocate_table_of_contents
    AllocationReport::print
    LocateCustomer
    reallocation_report
    duplicate_entries
    strduplicate_finder
    newton_step
    renew_lease
    pool_create
    process_malloc_statistics_page
    g_hash_table_new
    PyList_New
    runtime.main
    fopen
    a.out+0x1234
""".split("\n")[1:-1]


class Names(Views):
    @cases("plumbing", "ordinary")
    def test_names(self, kind):
        """Each name alone, called by a function of the program."""
        names = [name.strip() for name in (PLUMBING if kind == "plumbing" else ORDINARY)]
        stacks = {(name, f"owner_{i}", "main") if name != "main" else ("main", "_start"): (1, 1, 1, i + 1)
                  for i, name in enumerate(names)}
        rows = {row["function"]: row["flat"] for row in self.json("top", self.make(kind, stacks))["rows"]}
        callers = {stack[1]: values[3] for stack, values in stacks.items()}
        leaves = {stack[0]: values[3] for stack, values in stacks.items()}
        expected = callers if kind == "plumbing" else leaves
        self.assertEqual({name: flat for name, flat in rows.items() if flat}, expected)

    def test_groups_are_documented(self):
        """Every group of the list is in the manual."""
        listed = set(re.findall(r'^HEAPPROF_(?:PLUMBING|ALLOCATOR)\("([^"]+)"', (paths.SOURCE / "tools/filter/plumbing.def").read_text(), re.M))
        page = (paths.SOURCE / "docs/heapprof.1").read_text()
        section = re.search(r"^\.SH OWNERS\n(.*?)(?=^\.SH )", page, re.M | re.S)[1]
        self.assertEqual({title for title in re.findall(r"^\.TP\n\.B \"?([^\"\n]+)\"?\n", section, re.M)}, listed)

    def test_names_that_take_for_ever(self):
        """What a profile calls a function is input."""
        path = self.make("hostile", {("_" * 5000 + "x" * 5000 + "_mem" * 5000 + "!", "main"): (1, 1, 1, 1)})
        self.assertIn("main", self.tool("top", path, timeout=60).stdout)


class Stacks(Views):
    def flats(self, stacks, *arguments):
        return {row["function"]: row["flat"] for row in self.json("top", self.make("made", stacks), *arguments)["rows"] if row["flat"]}

    def test_start_up_owns_nothing(self):
        self.assertEqual(self.flats({
            ("xmalloc", "std::locale::init", "call_init.part.0", "_dl_init", "_dl_start_user"): (1, 1, 1, 10),
            ("std::thread::run", "start_thread", "clone3"): (1, 1, 1, 20),
            ("_start",): (1, 1, 1, 30),
            ("_dl_new_object", "dlopen", "load_plugin", "main", "_start"): (1, 1, 1, 40),
        }), {"std::locale::init": 10, "std::thread::run": 20, "_start": 30, "_dl_new_object": 40})

    def test_what_runs_a_thread_owns_nothing(self):
        """Seen to fail: libstdc++.so.6+0xd4490, __pthread_once_slow and execute_native_thread_routine owned all."""
        self.assertEqual(self.flats({
            ("std::thread::_State_impl<f>::_M_run", "libstdc++.so.6+0xd4490", "start_thread", "clone3"): (1, 1, 1, 10),
            ("std::thread::_State_impl<g>::_M_run", "execute_native_thread_routine", "libc.so.6+0x89000"): (1, 1, 1, 20),
            ("std::_Function_handler::_M_invoke", "__pthread_once_slow", "std::thread::_State_impl<h>::_M_run", "libstdc++.so.6+0xd4490",
             "start_thread"): (1, 1, 1, 30),
            ("std::_Function_handler::_M_invoke", "libc.so.6+0x8cc30", "std::future::get", "main", "libc.so.6+0x27000"): (1, 1, 1, 40),
            ("libstdc++.so.6+0xa2000", "call_init", "_dl_init", "_dl_start_user"): (1, 1, 1, 50),
        }), {"std::thread::_State_impl<f>::_M_run": 10, "std::thread::_State_impl<g>::_M_run": 20,
             "std::thread::_State_impl<h>::_M_run": 30, "main": 40, "libstdc++.so.6+0xa2000": 50})

    def test_more_plumbing_by_an_option(self):
        stacks = {("pool_get", "shop::serve", "main"): (1, 1, 1, 10)}
        self.assertEqual(self.flats(stacks), {"pool_get": 10})
        self.assertEqual(self.flats(stacks, "--plumbing=^pool_"), {"shop::serve": 10})
        self.assertEqual(self.flats(stacks, "--plumbing=^pool_", "--leaf"), {"pool_get": 10})
        path = self.make("made", stacks)
        self.check_refuses("top", path, "--plumbing=(", status=2, says=r"'\(' is not a regular expression")

    def test_unnamed_code_of_an_allocator(self):
        """Of a stripped library. Seen to fail: all of sqlite3 was libsqlite3.so.0+0xa74f0's, which sqlite3Malloc calls. What a container
        calls may be anybody's code, and so may what is further inside, as where memory is short."""
        self.assertEqual(self.flats({
            ("made+0x1010", "sqlite3Malloc", "sqlite3_step", "main"): (1, 1, 1, 10),
            ("xmalloc", "made+0x1030", "made+0x1020", "sqlite3Malloc", "made+0x1040", "main"): (1, 1, 1, 20),
            ("made+0x1050", "made+0x1060", "made+0x1070", "xmalloc", "main"): (1, 1, 1, 30),
            ("made+0x1080", "std::vector::push_back", "main"): (1, 1, 1, 40),
            ("made+0x1090",): (1, 1, 1, 50),
            ("named", "xmalloc", "main"): (1, 1, 1, 60),
        }), {"sqlite3_step": 10, "made+0x1040": 20, "made+0x1050": 30, "made+0x1080": 40, "made+0x1090": 50, "named": 60})

    @cases(("made+0x1010", True), ("named", False))
    def test_hint(self, owner, is_told):
        """Seen to fail: it was left to who reads to know what to do about an address."""
        path = self.make("made", {(owner, "main"): (1, 1, 1, 10)})
        self.assertEqual("\nNo owner has a name: heapprof symbolize " in self.tool("top", path).stdout, is_told)

    def test_recursion_counts_once(self):
        rows = self.json("top", self.make("made", {("xmalloc", "f", "xmalloc", "f", "main"): (1, 1, 1, 8)}))["rows"]
        self.assertEqual({row["function"]: (row["flat"], row["cum"]) for row in rows},
                         {"f": (8, 8), "xmalloc": (0, 8), "main": (0, 8)})


class Lambdas(Views):
    """Two lambdas are two owners, by the same names however they were compiled. Seen to fail: with debug information, inlined, both were
    main()::{unnamed}::operator(); inlined into what runs a thread, they had no name at all."""
    SOURCE = """#include <cstdlib>
        #include <thread>
        void *kept[5];
        int main(int count, char **) {
          std::thread([] { kept[3] = std::malloc(3000000); }).join();
          std::thread([] { kept[4] = std::malloc(7000000); }).join();
          auto first = [](int size) { kept[0] = std::malloc(size); };
          auto other = [](int size) { kept[1] = std::malloc(10 * size); };
          auto any = [count](auto size, const char *) { kept[2] = std::malloc(100 * size * count); };
          first(1000), other(1000), any(1000, "");
          quick_exit(0); }\n"""
    OWNERS = {"main::{lambda(int)#3}::operator()": 1000, "main::{lambda(int)#4}::operator()": 10000,
              "main::{lambda(auto:1, char const*)#5}::operator()": 100000, "main::{lambda()#1}::operator()": 3000000,
              "main::{lambda()#2}::operator()": 7000000}
    THREADS = {"std::thread::_State_impl<main::{lambda()#1}>::_M_run": 3000000,
               "std::thread::_State_impl<main::{lambda()#2}>::_M_run": 7000000}

    def owners(self, *flags):
        (self.out_dir / "lambdas.cc").write_text(self.SOURCE)
        program, path = self.out_dir / "lambdas", self.out_dir / "p.pb.gz"
        subprocess.run(["g++", "-pthread", *flags, "-o", program, self.out_dir / "lambdas.cc"], check=True)
        self.tool("run", "-s", "1", "-o", path, "--", program)
        rows = self.json("top", path)["rows"]
        return {row["function"]: row["flat"] for row in rows if row["flat"] and row["function"].startswith(("main::", "std::"))}

    def test_inlined(self):
        self.assertEqual(self.owners("-O2", "-g"), self.OWNERS)
        names = {function.name for function in pprof_reader.load(self.out_dir / "p.pb.gz").functions}
        self.assertLessEqual(set(self.OWNERS), names)

    def test_threads_without_debug_information(self):
        self.assertEqual(self.owners("-O2"), self.THREADS)
        self.assertEqual(self.owners("-O2", "-static-libstdc++"), self.THREADS)


class Tables(Views):
    """Every view names the owner; --leaf gives what pprof says."""
    STACKS = {("std::__new_allocator::allocate", "std::vector::push_back", "shop::fill", "main"): (1, 9, 1, 9),
              ("std::__new_allocator::allocate", "std::map::operator[]", "shop::index", "main"): (1, 4, 1, 4)}

    def test_peek(self):
        text = self.tool("peek", "shop::fill", self.make("made", self.STACKS)).stdout
        self.assertRegex(text, r"(?m)^ *9B +69\.23% +9B +69\.23% +shop::fill$")
        self.assertRegex(self.tool("peek", "--leaf", "shop::fill", self.make("made", self.STACKS)).stdout,
                         r"(?m)^ *0 +0% +9B +69\.23% +shop::fill$")

    def test_tree_ends_at_the_owner(self):
        path = self.make("made", self.STACKS)
        self.assertNotIn("std::", self.tool("tree", path).stdout)
        self.assertRegex(self.tool("tree", path).stdout, r"├ shop::fill\n.*└ shop::index\n")
        self.assertIn("std::vector::push_back", self.tool("tree", path, "--leaf").stdout)
        self.assertRegex(self.tool("tree", "-i", path).stdout, r"(?m)69\.23% +shop::fill\n +main$")

    def test_diff(self):
        old = self.make("old", {("std::__new_allocator::allocate", "shop::fill", "main"): (1, 9, 1, 2)})
        new = self.make("made", self.STACKS)
        rows = {row["function"]: row["flat"] for row in self.json("diff", old, new)["rows"] if row["flat"]}
        self.assertEqual(rows, {"shop::fill": 7, "shop::index": 4})

    def test_summary_of_a_run(self):
        source = self.out_dir / "holds.cc"
        source.write_text("""#include <map>
            #include <string>
            namespace shop { std::map<int, std::string> names;
            __attribute__((noinline)) void fill() { for (int i = 0; i < 20000; i++) names[i] = std::string(100, 'x'); } }
            int main() { shop::fill(); quick_exit(0); }\n""")
        program = self.out_dir / "holds"
        subprocess.run(["g++", "-O1", "-g", "-o", program, source], check=True)
        done = self.tool("run", "-s", "4096", "-o", "p.pb.gz", "--", program)
        self.assertRegex(done.stderr, r"top in use +\S+ shop::fill\n")

    def test_rust(self):
        need("rustc")
        program = self.out_dir / "frames"
        subprocess.run(["rustc", "-O", "-g", "-o", program, paths.TESTS / "cli/frames.rs"], check=True, capture_output=True)
        self.profiled([program], sample=1, seed=1, out=f"{self.out_dir}/rust.pb.gz")
        path = self.out_dir / "rust.pb.gz"
        rows = self.json("top", path, "--sample-index=alloc_space")["rows"]
        owners = {row["function"] for row in rows if row["flat"]}
        self.assertIn("frames::main", owners)
        self.assertFalse([name for name in owners if re.match(r"<?(alloc|std::vec|hashbrown)::", name)], owners)
