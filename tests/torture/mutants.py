# SPDX-License-Identifier: MIT
"""`make mutants`: breaks one rule at a time in a copy of the sources, and demands that a test notices.

A mutant is a change of the sources that violates one invariant, and tests of which at least one must fail. One that survives, or that
no longer applies because the text it changes is gone, fails the run. Arguments choose mutants by name.
"""
import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent


@dataclasses.dataclass
class Mutant:
    name: str
    breaks: str  # what it violates, with the hazard's number
    file: str
    old: str
    new: str
    tests: list


MUTANTS = [
    Mutant("lock_while_unwinding", "I3, U2, G5: a lock is held while the stack is walked", "core/record.c",
           "  uint32_t stack = intern(start, decision);\n",
           "  static _Atomic int held;\n"
           "  while (atomic_exchange(&held, 1) != 0)\n    ;\n"
           "  uint32_t stack = intern(start, decision);\n"
           "  atomic_store(&held, 0);\n",
           ["hazards/test_signals.G5Jump", "hazards/test_unwinding.U3Fork"]),
    Mutant("crowd_stays", "threads that meet in exact mode go on writing each other's lines", "core/record.c",
           "  trail_replace_stack(stack, stacks_part(stack));\n", "  (void)stack;\n", ["preload/test_meeting"]),
    Mutant("crowd_comes_back", "a thread's own record is forgotten with the last walk", "core/record.c",
           "    stack = own_stack_of(stack);\n", "    (void)own_stack_of(stack);\n", ["preload/test_meeting"]),
    Mutant("crowd_twice_in_the_profile", "what threads count apart makes two samples", "core/profile.c",
           "(stack->flags & STACK_OWN) != 0) && add_to_shared", "(stack->flags & 0) != 0) && add_to_shared",
           ["unit/test_lanes", "preload/test_meeting"]),
    Mutant("peak_of_what_is_spared", "what threads have freed counts for the peak", "core/peak.c",
           "  return total - spared;\n", "  return total;\n", ["unit/test_peak"]),
    Mutant("late_peak_of_what_is_spared", "what threads have freed counts for a peak that another one was late to see", "core/peak.c",
           "lanes_have_met() ? total_without_spares(half) : total", "total", ["unit/test_peak"]),
    Mutant("spares_are_inherited", "a child's peak lacks what its parent's threads had freed", "core/stacks.c",
           "  spares_reset();\n", "", ["unit/test_peak"]),
    Mutant("units_inherited_twice", "what a child inherits in exact mode counts twice", "core/settle.c",
           "  if (sampler_interval() == 1) /* the stacks tell them */\n    return;\n", "", ["preload/test_processes"]),
    Mutant("peak_read_by_who_chose_it", "the highest of noisy totals is read where it is highest", "core/peak.c",
           "      keep_if_over(stack, half, 1 - half, false);\n", "      keep_if_over(stack, half, half, false);\n", ["unit/test_peak"]),
    Mutant("peak_is_never_now", "what passes by keeps the peak below what is in use at the end", "core/peak.h",
           "  return moments->is_near && in_use > at_peak;\n", "  return moments->is_near && in_use < at_peak;\n", ["unit/test_peak_halves"]),
    Mutant("unchanged_stack_by_halves", "what is in use at a peak at the end is not the peak", "core/peak.c",
           "  return is_kept ? sum_of_halves(&first, &second) : now;\n", "  return (void)is_kept, sum_of_halves(&first, &second);\n",
           ["unit/test_peak"]),
    Mutant("peak_stays_behind", "what held the peak is not in the profile", "core/profile.c",
           "  read_pair(profile, &peak, PROFILE_PEAK_OBJECTS, sample);\n",
           "  read_pair(profile, &sums.in_use, PROFILE_PEAK_OBJECTS, sample);\n", ["preload/test_peak"]),
    Mutant("moment_ends_at_once", "a peak's moment ends before the top is reached", "core/peak.c",
           "&peak, peak_of(total), memory_order_acq_rel,", "&peak, peak_of(total) | PEAK_IS_OVER, memory_order_acq_rel,", ["unit/test_peak"]),
    Mutant("tree_read_by_who_chose_it", "the highest of noisy sums over processes is read where it is highest", "tools/run/tree_moments.c",
           "  moments->read[chooser] = held->half[1 - chooser];\n", "  moments->read[chooser] = held->half[chooser];\n",
           ["unit/test_tree_moments"]),
    Mutant("moment_unseen", "what a process had between two looks is not in the peak of all", "tools/run/tree_peak.c",
           "  offer_moments(tree);\n  offer_all(tree);\n", "  (void)offer_moments;\n  offer_all(tree);\n",
           ["cli/test_run_tree.Tree.test_moment_that_nobody_saw"]),
    Mutant("same_peak_is_uncertain", "a peak that has not moved differs from itself", "tools/views/change.c",
           "  if (is_equal(old->peak, new->peak) && (is_one || is_untouched(old, new)))\n", "  if ((void)is_one, false)\n",
           ["cli/test_report.Report.test_peaks_of_one_process"]),
    Mutant("peak_moves_by_chance", "a stack that has by chance what it had at another peak makes the peaks one", "tools/views/change.c",
           "    else if (!is_as_at_peak(old) || is_as_at_peak(new) || is_untouched(old, new))\n", "    else if (false)\n",
           ["cli/test_report.Report.test_peaks_of_one_process"]),
    Mutant("low_value_low_variance", "a profile that came out low is believed to be certain of it", "tools/views/limit.c",
           "fmax(growth->old_variance, growth->new_variance / factor)", "growth->old_variance", ["unit/test_limit"]),
    Mutant("nothing_large_missed", "an old profile that missed a large block makes growth", "tools/views/limit.c",
           " + missed(limit, growth, judged);", ";", ["unit/test_limit", "cli/test_limits"]),
    Mutant("limits_not_shared_out", "each of several limits may be wrong as often as all", "tools/views/limit.c",
           "WRONGLY_BROKEN / MAX(judged, 1)", "WRONGLY_BROKEN / MIN(judged, 1)", ["unit/test_limit"]),
    Mutant("leak_of_the_parent", "a forked child leaks what its parent allocated", "tools/run/leaks.c",
           "  forget_inherited(heap);\n", "", ["cli/test_limits"]),
    Mutant("limit_hides_failure", "a broken limit hides the status of the program", "tools/cmd/limit_options.c",
           "  if (status != EXIT_OK)", "  if (false)", ["cli/test_limits"]),
    Mutant("count_leaves_a_mark", "the peak of a part is that of the part before", "core/peak.c",
           "  atomic_store_explicit(&since_mark.bytes_q4, 0, memory_order_relaxed);\n", "", ["unit/test_peak", "preload/test_dumps"]),
    Mutant("count_wakes_sampling", "sampling goes on after a part that was counted in a stopped program", "interpose/api.c",
           "  if (was_stopped)\n", "  if (false)\n", ["preload/test_dumps", "cli/test_benchmarks"]),
    Mutant("count_goes_on_in_a_child", "a forked child ends what its parent began to count", "interpose/api.c",
           "process_is_of_now(word) ? word & ~process_epoch() : COUNTS_NOTHING;", "word & (COUNTS | COUNTS_CHANGES);", ["preload/test_dumps"]),
    Mutant("leaks_of_a_file", "what leaked is not known where the profile is not kept", "tools/run/collect.c",
           "  if (path != NULL && collection->finds_leaks &&", "  if (path != NULL && g_file_test(path, G_FILE_TEST_IS_REGULAR) && collection->finds_leaks &&", ["cli/test_limits"]),
    Mutant("counts_at_any_interval", "samples are taken for counts", "interpose/api.c",
           "if (sampler_interval() != 1 || inert_reason() != NULL)", "if (inert_reason() != NULL)", ["preload/test_dumps"]),
    Mutant("benchmark_counts_its_setup", "what is before BenchmarkCount counts for the benchmark", "include/heapprof_benchmark.h",
           "      is_begun_ = heapprof_count_begin() == 0;\n  }\n\n  void end_part", "      is_begun_ = true;\n  }\n\n  void end_part",
           ["cli/test_benchmarks"]),
    Mutant("jumps_are_not_followed", "what localtime keeps leaks where libc has no names", "tools/run/leaks.c",
           "  name_nameless(heap);\n", "", ["cli/test_limits"]),
    Mutant("any_jump_keeps", "what fopen has jumped to is named after it, and whoever keeps", "tools/run/leaks.c",
           "    all = kept_is_keeper(g_ptr_array_index(names, i));\n", "    all = true;\n", ["cli/test_limits"]),
    Mutant("libc_leaks", "what libc keeps to its end has leaked", "tools/run/leaks.c",
           "  forget_kept(heap, &leaks->left_out);\n", "", ["cli/test_limits"]),
    Mutant("kept_by_its_name", "a program's own function counts as the one of libc that is called so", "tools/filter/kept.c",
           "  if (!is_in_library && !is_plumbing)\n    return PLACE_ELSEWHERE;\n", "", ["cli/test_limits"]),
    Mutant("kept_by_plumbing", "a thread of which only the language's library is known keeps what it allocates", "tools/filter/kept.c",
           "is_all_theirs && place == PLACE_LIBRARY;", "is_all_theirs;", ["cli/test_limits"]),
    Mutant("junit_takes_any_file", "a JUnit file of somebody else is overwritten", "tools/views/junit.c",
           "|| is_ours_or_empty(path))", "|| true)", ["cli/test_limits"]),
    Mutant("junit_knows_no_error", "what could not be checked passes in the JUnit file", "tools/views/junit.c",
           'outcome->verdict == LIMIT_BROKEN ? "failure" : "error";', '"failure";', ["cli/test_limits"]),
    Mutant("folded_to_the_leaf", "folded stacks end where memory is got, not at their owner", "tools/views/folded.c",
           "    folding->depths[i] -= stack_owner(stack, places);\n", "    (void)stack;\n",
           ["cli/test_folded.Folded.test_ends_at_the_owner", "cli/test_folded.Folded.test_owner_that_is_inlined"]),
    Mutant("folded_skips_too_much", "of stacks that begin alike more is skipped than the shorter has", "tools/views/folded.c",
           "    if (places > one->places_left || places > other->places_left)\n      return;\n", "",
           ["cli/test_folded.Folded.test_ends_at_the_owner", "cli/test_folded.Folded.test_owner_that_is_inlined"]),
    Mutant("page_knows_no_owner", "the page's stacks have no owners", "tools/views/page_tree.c",
           "  stack.owner = stack_owner(places, stack.frame_count);\n", "  stack.owner = 0;\n",
           ["unit/test_heap_json", "cli/test_report.Report.test_owners"]),
    Mutant("page_without_resident", "the page of a process tells nothing of its resident memory", "tools/views/heap_json.c",
           "  if (resident == NULL)\n", "  if (resident != NULL)\n", ["cli/test_report.Report.test_of_a_process"]),
    Mutant("unmatched_unsaid", "nobody says that an expression matches nothing", "tools/filter/expression.c",
           "  if (unmatched != NULL)\n", "  if (unmatched != NULL && unmatched->len > 1000)\n",
           ["cli/test_top.Live.test_filter", "cli/test_pprof_language"]),
    Mutant("haskell_is_advised", "options of a C compiler are advised for Haskell code", "tools/views/cut_share.c",
           "  if (function != HEAP_NONE && is_of_ghc(heap_function(heap, function)->name))\n    return haskell;\n", "", ["unit/test_cut_share"]),
    Mutant("part_counted_twice", "what is taken out of a mapping stays in it: the parts are more than the kernel counts", "tools/resident/account.c",
           "  *left -= bytes;\n", "", ["unit/test_resident_account", "cli/test_rss"]),
    Mutant("neighbours_not_told_apart", "a stack takes along what the kernel merged with it", "tools/resident/account.c",
           "{mapping->start, highest, ACCOUNT_STACKS, 0, 0}", "{mapping->start, mapping->limit, ACCOUNT_STACKS, 0, 0}", ["unit/test_resident_account"]),
    Mutant("rounding_not_averaged", "of many sizes at one stack the last one's rounding counts for all", "core/stacks.c",
           "/ (double)(64 - __builtin_clzll(samples));", "/ 1;", ["unit/test_stacks"]),
    Mutant("nothing_seen", "where samples lay is not noted: the allocator's mappings count as the program's", "core/stacks.c",
           "  region_note_seen(pointer);\n", "", ["cli/test_rss"]),
    Mutant("asked_in_a_handler", "G4: jemalloc's locks are taken in a handler that may have interrupted their holder", "core/unwind.c",
           "recorded >> TRAIL_ADDRESS_BITS != 0 || step_is_over_signal(recorded);", "recorded >> TRAIL_ADDRESS_BITS != 0;", ["cli/test_rss.Resident.test_jemalloc_is_not_asked"]),
    Mutant("large_not_seen", "where large objects lay is lost to small ones", "core/region.c",
           "step < SEEN_REACH", "step < 1", ["unit/test_region"]),
    Mutant("stack_taken_for_aligned", "I2, A9: a caller's stack is taken for aligned", "core/arch/x86_64.h",
           "__attribute__((force_align_arg_pointer))", "", ["hazards/test_allocators.Row9Misaligned", "policy/test_library"]),
    Mutant("descriptor_left_open", "I5, U1: the state file stays open when it grows", "core/region.c",
           "  char *base = ours ? map_file(fd, from, to) : NULL;\n  sys_close(fd);\n",
           "  char *base = ours ? map_file(fd, from, to) : NULL;\n",
           ["hazards/test_followers.U1Growth"]),
    Mutant("pid_for_fork", "I9, P1: another pid is taken for a fork", "core/process.h",
           "  return LIKELY(atomic_load_explicit(process_token, memory_order_acquire) != 0);\n",
           "  extern int getpid(void);\n"
           "  static int known;\n"
           "  int pid = getpid();\n"
           "  if (known == 0)\n    known = pid;\n"
           "  if (pid != known) {\n    known = pid;\n    atomic_store(process_token, 0);\n  }\n"
           "  return LIKELY(atomic_load_explicit(process_token, memory_order_acquire) != 0);\n",
           ["hazards/test_processes.P1"]),
    Mutant("forks_unnoticed", "I9, P2: a forked child writes its parent's region", "core/process.c",
           "  (void)sys_madvise(fresh, PAGE_BYTES, MADV_WIPEONFORK);", "",
           ["hazards/test_followers.P2"]),
    Mutant("unsized_reach_on", "a symbol without a size names what lies behind its section", "core/elfsym.c",
           "  uint64_t end = end_of(file, symbol);\n", "  (void)end_of;\n  uint64_t end = symbol->st_value + reach_of(symbol);\n", ["unit/test_elfsym"]),
    Mutant("record_after_free", "I8, A1: the table is updated after the real free", "interpose/hooks_c.c",
           "  record_free(pointer);\n  real.free(pointer);\n", "  real.free(pointer);\n  record_free(pointer);\n",
           ["hazards/test_allocators.Row1", "hazards/test_handover"]),
    Mutant("realloc_not_put_back", "I8, A2: a failed realloc loses the entry", "interpose/allocation.c",
           "    record_put_back(resize->pointer, resize->entry);\n", "    record_taken_was_freed(resize->entry);\n",
           ["hazards/test_allocators.Row2"]),
    Mutant("errno_changed", "I8, A6: errno is not what the real function left", "core/cfi/objects.c",
           "  signals_restore(before);\n  errno = saved_errno;\n", "  signals_restore(before);\n  errno = saved_errno ^ 1;\n",
           ["preload/test_exact.Exact.test_totals[errno_keep", "hazards/test_allocators.Row6"]),
    Mutant("stale_rules", "U4: rules outlive the library they were of", "core/rules.h",
           "(uint64_t)pc ^ atomic_load_explicit(&rule_generation, memory_order_acquire) << 48", "(uint64_t)pc", ["hazards/test_unwinding.U4", "unit/test_rules"]),
    Mutant("module_slots_used_up", "U4: the slots of unloaded files are not used again", "core/modules.c",
           "    forget(oldest);\n  return oldest;\n", "    return MODULES_MAX;\n  return oldest;\n", ["hazards/test_unwinding.U4Lib"]),
    Mutant("past_places_forgotten", "U4: code gets the names of a file that lay there before", "core/modules.c",
           "      address_map_add_past(place.low, place.high);\n", "      (void)place;\n", ["hazards/test_unwinding.U4Lib"]),
    Mutant("short_build_id", "a build id whose length is no multiple of 4 is not seen", "core/build_id.c",
           "    if (end > size)\n", "    if (padded(end, pad) > size)\n", ["preload/test_names.Readers.test_build", "unit/test_build_id"]),
    Mutant("names_of_another_file", "names are left to be taken from a file that took the place of the one that ran", "tools/symbols/symbols.c",
           "    mapping->has_functions = true;\n", "", ["preload/test_names.Running"]),
    Mutant("leaf_for_owner", "memory counts for std::vector, not for who fills it", "tools/views/places.c",
           "    if (!function_is_plumbing(stack[i].role))\n", "    if (!function_is_start(stack[i].role))\n", ["cli/test_owner", "cli/test_report.Report.test_stacks"]),
    Mutant("start_owns", "what starts a program owns what was allocated before main", "tools/views/places.c",
           "function_is_start(stack[end - 1].role)", "false", ["cli/test_owner.Stacks"]),
    Mutant("runtime_owns", "libstdc++, which runs a thread, owns all that its function allocated", "tools/heap/function.h",
           "  return role == FUNCTION_START || role == FUNCTION_RUNTIME;\n", "  return role == FUNCTION_START;\n", ["cli/test_owner.Stacks"]),
    Mutant("lambdas_alike", "inlined lambdas of one function have one name", "tools/symbols/closures.c",
           "closure->parameters, i + 1);", "closure->parameters, 1u);", ["cli/test_owner.Lambdas.test_inlined"]),
    Mutant("ignored_counts", "a stack with an ignored frame is looked at", "tools/filter/name_filter.c",
           "  return seen == PLACE_FOCUSED;\n", "  return (seen & PLACE_FOCUSED) != 0;\n", ["cli/test_pprof_language.Language.test_filters"]),
    Mutant("names_go_first", "on narrow terminals names go before columns", "tools/terminal/table.c",
           "  return least;\n", "  return 1;\n", ["cli/test_narrow", "unit/test_table"]),
    Mutant("map_behind_a_link", "names of generated code are read through a link that anybody may have put into /tmp",
           "tools/source/generated_code.c", "O_NOFOLLOW | ", "", ["cli/test_generated_code.GeneratedCode.test_no_file"]),
    Mutant("map_of_anybody", "names of generated code are read from a file that another user has put into /tmp", "tools/source/generated_code.c",
           "  else if (status.st_uid != process->owner && status.st_uid != 0)\n", "  else if (false)\n",
           ["cli/test_generated_code.GeneratedCode.test_files_of_others"]),
    Mutant("start_of_the_gap", "code of a function is taken for what lies behind it", "tools/symbols/function_starts.c",
           "  if (last != NULL && address < last->limit)\n", "  if (last != NULL && address < last->start)\n",
           ["cli/test_symbolize.Nameless.test_starts"]),
    Mutant("whole_file_one_row", "a place without a symbol has no function", "tools/symbols/object_symbols.c",
           "  if (resolve_rest(&lookup, origin) > 0)\n", "  if (resolve_rest(&lookup, origin) > UINT32_MAX - 1)\n",
           ["cli/test_symbolize.Nameless.test_starts"]),
    Mutant("loader_for_program", "a program that was started by naming the loader is taken for the loader", "interpose/lifecycle.c",
           "  return getauxval(AT_BASE) == 0;\n", "  return false;\n", ["preload/test_names.Running"]),
    Mutant("trail_unchecked", "U8: the last walk is believed without a look at the stack", "core/trail.h",
           " ||\n      arch_strip(return_address) != trail_pc(next) + 1)", ")", ["unit/test_unwind"]),
    Mutant("trail_not_recorded", "a stack whose outer frames are those of the last walk loses them", "core/unwind.c",
           "  if (trail->left_count > 0)\n", "  if (trail->left_count > UINT8_MAX)\n", ["unit/test_unwind"]),
    Mutant("trail_beyond_depth", "a stack has more frames than are to be kept where its outer ones are those of the last walk", "core/unwind.c",
           "  return LIKELY(count > 0 && count + (unsigned)known <= walk->depth);\n", "  return LIKELY(count > 0);\n",
           ["unit/test_unwind"]),
    Mutant("trail_outlives_rules", "U4: the last walk is believed after a library was unloaded", "core/trail.c",
           "    trail->count = 0;\n    trail->generation", "    trail->generation", ["unit/test_unwind"]),
    Mutant("left_lock_stays", "G5: a lock that a frame was left with by siglongjmp stays held", "core/lock.h",
           "  if (free != self || here <= atomic_load_explicit(&lock->frame, memory_order_relaxed))\n", "  if (free != 0)\n",
           ["unit/test_unwind"]),
    Mutant("hole_takes_the_rest", "what is behind a hole is forgotten", "core/mappings/mapping_table.c",
           "    tail = split(slot, range.limit, tail);\n", "    tail = 0;\n", ["unit/test_mappings", "preload/test_mappings"]),
    Mutant("given_again_forgotten", "an address that was given out again is forgotten with what was there before", "core/mappings/mapping_table.c",
           "mappings[slot].event < event ? cut(slot, word, range) : word", "cut(slot, word, range)", ["unit/test_mappings"]),
    Mutant("errno_before_relocation", "A10: a resolver's call that fails sets errno where it is not there yet", "interpose/fallback.c",
           "  if (__errno_location != NULL)\n    errno = number;", "  errno = number;", ["hazards/test_allocators.Row10Mappings.test_resolver"]),
    Mutant("waits_for_itself", "A10: a handler waits for the thread that it interrupted", "core/mappings/mapping_table.c",
           "      if (is_held_by_us(slot))\n", "      if (is_held_by_us(slot) && slot == MAPPING_SLOTS)\n", ["unit/test_mappings"]),
    Mutant("child_counts_for_its_parent", "a forked child writes to its parent's sums", "core/mappings/mapping_table.c",
           "  return mapping->counted_in == epoch_number() &&\n         (process_is_settled() || atomic_load_explicit(&is_adopting, memory_order_relaxed));\n",
           "  return mapping->counted_in != 0;\n", ["preload/test_mappings"]),
    Mutant("allocator_maps_as_the_program", "the allocator's mappings are the program's", "interpose/hooks_mapping.c",
           "(flags & MAP_ANONYMOUS) == 0 || real_is_allocators_code(from->return_address)", "(flags & MAP_ANONYMOUS) == 0", ["preload/test_mappings"]),
    Mutant("mapping_asks_the_kernel", "A10: a mapping is noted by a call that a filter kills at", "core/mappings/mappings.c",
           "static bool is_ready(void)\n{\n", "static bool is_ready(void)\n{\n  (void)sys_call_always(SYS_gettid, 0, 0, 0, 0, 0, 0);\n",
           ["hazards/test_allocators.Row10"]),
    Mutant("mapping_changes_errno", "A10: errno is not what the real call left", "interpose/hooks_mapping.c",
           "  mappings_note((uintptr_t)start, bytes_mapped(bytes, flags), kind, from);\n  errno = saved_errno;\n",
           "  mappings_note((uintptr_t)start, bytes_mapped(bytes, flags), kind, from);\n  errno = 0, (void)saved_errno;\n",
           ["hazards/test_allocators.Row10"]),
    Mutant("mapped_by_nobody", "what is resident of a mapping has no owner", "tools/resident/resident_memory.c",
           "    if (!holds_thread(range, tops))\n", "    if (false)\n", ["cli/test_rss"]),
    Mutant("tally_unordered", "C11: part of a sum is seen without the sample it is of", "core/tally.c",
           "&tally->objects_q16, objects_q16, memory_order_release", "&tally->objects_q16, objects_q16, memory_order_relaxed",
           ["unit/test_tally_order"]),
    Mutant("slot_unordered", "C11: a slot is seen before the node it leads to", "core/live/live_index.c",
           "  memory_order_seq_cst, memory_order_relaxed))\n        return true;\n    }\n",
           "  memory_order_relaxed, memory_order_relaxed))\n        return true;\n    }\n", ["unit/test_live_order"]),
    Mutant("late_entries_stay", "C11: an entry that came too late for the split of its page is left where nobody looks", "core/live/live_index.c",
           "LIKELY(is_still_right(hash, place.page))", "true", ["unit/test_live_order"]),
    Mutant("moved_twice", "C11: a helper that comes too late moves an entry once more", "core/live/live_index.c",
           "  uint64_t fresh = 0;\n  count_passed(", "  uint64_t fresh = atomic_load(slot_at(to));\n  count_passed(", ["unit/test_live_order"]),
    Mutant("passed_unnoticed", "C11: an entry is moved behind a full line, which does not count it", "core/live/live_index.c",
           "  count_passed(to, slot);\n", "  (void)count_passed;\n", ["unit/test_live", "unit/test_live_order"]),
    Mutant("moves_unfinished", "C11: a look-up stops at an entry that is being moved", "core/live/live_index.c",
           "    if (UNLIKELY(is_moving(found.slot)))\n", "    if (UNLIKELY(is_moving(found.slot)))\n      return (struct found){.slot = 0};\n    else if (false)\n",
           ["unit/test_live_order"]),
    Mutant("moved_ones_count_twice", "P2: a child counts an entry twice that is moved while it adopts", "core/live/live.c",
           "  if (live_node_adoption(node) == adoption)\n    return;\n", "", ["unit/test_live_order", "unit/test_live"]),
    Mutant("pointer_half_known", "I11: a node of another pointer with the same slot is taken for this one's", "core/live/live_node.h",
           "  return atomic_load_explicit(&node->rest_or_next, memory_order_relaxed) == (uint32_t)rest &&\n", "  return\n", ["unit/test_live_order"]),
    Mutant("shelf_unordered", "C11: a shelf is seen before the older one that it leads to", "core/live/live_shelves.c",
           "fresh, memory_order_release,", "fresh, memory_order_relaxed,", ["unit/test_live_exact_order"]),
    Mutant("word_unordered", "C11: the word of exact mode is seen before the node it leads to", "core/live/live_shelves.c",
           "word, memory_order_release,", "word, memory_order_relaxed,", ["unit/test_live_exact_order"]),
    Mutant("older_shelves_unseen", "I11: in exact mode an object is not found once its block has another shelf", "core/live/live_shelves.c",
           "  return (shelf & HAS_OLDER) != 0 ?", "  return shelf == NO_SHELF ?", ["unit/test_live_exact"]),
    Mutant("odd_addresses_alike", "I11: in exact mode an object at an odd address is taken for its neighbour", "core/live/live_shelves.c",
           "  return (uintptr_t)pointer % LIVE_WORD_PLACE_BYTES == 0;\n", "  return true;\n", ["unit/test_live_exact"]),
    Mutant("large_sizes_cut", "in exact mode an object of 64 MiB has another size when it is freed", "core/live/live_word.h",
           " && entry.size_bytes >> LIVE_WORD_SIZE_BITS == 0", "", ["unit/test_live_exact"]),
    Mutant("mark_left_behind", "P2: in exact mode a child does not count a free that came while it adopted", "core/live/live_exact.c",
           "  live_node_set_adoption(live_node_at(node), live_word_adoption(word));\n", "", ["unit/test_live_exact"]),
    Mutant("part_unwalked", "P2: in exact mode a child does not adopt what lies where nothing lay before", "core/live/live_shelves.c",
           "  live_directory_note(pointer);\n", "", ["unit/test_live_exact"]),
    Mutant("taken_twice", "in exact mode what a program frees twice takes another object with it", "core/live/live_shelves.c",
           "    if (((word ^ found) & ~LIVE_WORD_ADOPTION_MASK) != 0)\n      return 0;\n", "    ;\n", ["unit/test_live_exact_order"]),
    Mutant("exact_unmarked", "I4: in exact mode a free of a sample is taken for that of another object", "core/live/live_exact.c",
           "  live_filter_hold_forever(pointer, live_index_hash(pointer));\n", "  live_filter_mark_forever(pointer);\n", ["unit/test_live_exact"]),
    Mutant("exact_mode_unnoticed", "exact mode has the table of large intervals", "interpose/lifecycle.c",
           "  live_init(config.sample_interval_bytes == 1);\n", "", ["preload/test_memory"]),
    Mutant("nodes_stay_with_the_freeing", "memory for live samples that other threads free is never used again", "core/live/live_node.c",
           "  for (unsigned i = 0; i < LIVE_NODE_LISTS; i++) {\n", "  for (unsigned i = 0; i < 1; i++) {\n", ["unit/test_live"]),
    Mutant("lock_outlives_fork", "U3: a lock that a thread of the parent held stays held in a child", "core/lock.h",
           "(!process_is_of_now(free) && ", "(false && ", ["unit/test_lock"]),
    Mutant("releases_for_others", "G5: the first holder of a lock that was taken over releases it for another thread", "core/lock.h",
           "  (void)atomic_compare", "  atomic_store(&lock->holder, 0);\n  (void)atomic_compare", ["unit/test_lock"]),
    Mutant("frame_of_last_holder", "G5: a lock that was left as it was taken is held for ever", "core/lock.h",
           "atomic_store_explicit(&lock->frame, 0, memory_order_relaxed);", ";", ["unit/test_lock"]),
    Mutant("vain_look_is_shared", "I4: a free of what is not in the table writes what threads share", "core/timing.c",
           "  if (is_found && ticks > 0)\n", "  if (ticks > 0)\n", ["preload/test_fast_path_writes"]),
    Mutant("unbounded_reads", "I6, U7: the stack is read wherever a rule leads", "core/stack_bounds.h",
           "  if (UNLIKELY(address < window->low || address >= window->high) && !stack_window_move(window, address))\n    return false;\n",
           "", ["hazards/test_unwinding.U7"]),
    Mutant("buffer_on_the_stack", "U6: the stack that is walked is written to the one that it is of", "core/record.c",
           "  uint32_t stack = intern_walk(start, window, NULL, &scratch->room, flags);\n",
           "  struct walk_room room;\n  uint32_t stack = intern_walk(start, window, NULL, &room, flags);\n",
           ["policy/test_library.Stack", "hazards/test_unwinding.U6", "hazards/test_runtimes.U6FullDepth"]),
    Mutant("own_stack_forgotten", "I4, U9: what is known of the own stack is asked for again", "core/stack_bounds.c",
           "    thread->stack_low -= PAGE_BYTES;\n  }\n  return true;\n", "    thread->stack_low -= PAGE_BYTES;\n  }\n  thread->stack_low = page_of(thread->stack_high);\n  return true;\n",
           ["hazards/test_unwinding.U9"]),
    Mutant("sample_scattered", "the code of a sample lies where the linker puts it", "core/compiler.h",
           "#define SAMPLED __attribute__((hot))\n", "#define SAMPLED\n", ["preload/test_sample_code"]),
    Mutant("rules_scattered", "each rule of a library has a page of the cache to itself", "core/rules.h",
           "pc / ((1 << RULE_CACHE_CODE_SHIFT) / RULE_CACHE_PAGE_SETS) & rule_cache_more()",
           "((uint64_t)pc * RULE_CACHE_FACTOR >> 40) & rule_cache_more()", ["unit/test_rules"]),
    Mutant("title_not_read", "a program that has changed its title is called as it was started", "core/command_line.c",
           "shown(*byte) == line[i] : *byte == '\\0';", "true : true;", ["unit/test_command_line"]),
    Mutant("rules_begin_large", "the rules of a short process are scattered over 64 pages", "core/rules.c",
           "_Atomic uint64_t rule_cache_more_sets;\n", "_Atomic uint64_t rule_cache_more_sets = RULE_CACHE_SETS - RULE_CACHE_PAGE_SETS;\n",
           ["unit/test_rules", "preload/test_start"]),
    Mutant("rules_lost_in_growth", "a cache of rules that grows forgets those it has", "core/rules.c",
           "      move(&rule_cache[number][way]);\n", "      (void)move, (void)way;\n", ["unit/test_rules"]),
    Mutant("frame_packed_short", "U9: no rule for frames of more than 8 MiB", "core/rules.c",
           "!fits(rule.cfa_offset, RULE_CFA_BITS, 1)", "!fits(rule.cfa_offset, 24, 1)", ["unit/test_rules"]),
    Mutant("ends_at_zero", "U10: 0 in rbp ends a stack in silence", "core/steps.c",
           "  if (bp < frame->sp || is_too_far", "  if (bp == 0)\n    return STEP_OUT;\n  if (bp < frame->sp || is_too_far", ["hazards/test_unwinding.U10"]),
    Mutant("other_stacks_cut", "U7: frame pointers of generated code are not followed to its own stack", "core/steps.c",
           "    return step_to_other_stack(window, frame);\n", "    return STEP_LOST;\n", ["hazards/test_unwinding.U7OtherStack"]),
    Mutant("any_data_is_a_frame", "U7: what a wild frame pointer leads to is taken for a frame", "core/steps.c",
           " || saved_bp <= bp || !is_generated(return_address) ||\n      !sys_is_readable(return_address - sizeof bp) || !arch_is_behind_call((const uint8_t *)return_address))", ")",
           ["hazards/test_unwinding.U7OtherStack"]),
    Mutant("anybody_is_erlang", "U7: wild frame pointers of other programs are followed off the stack", "core/modules.c",
           "return slash != NULL && strncmp(", "return slash != NULL || strncmp(", ["hazards/test_unwinding.U7OtherStack"]),
    Mutant("registered_unseen", "U7: code that the program made has no unwind information", "core/cfi/entries.c",
           "ENTRIES_BUSY : find_registered(pc, reader, span);\n", "ENTRIES_BUSY : ENTRIES_NONE;\n", ["hazards/test_unwinding.U7Registered"]),
    Mutant("runtime_not_told", "U7: the C runtime that a plug-in alone has is not told of code", "interpose/hooks_frames.c",
           "next == fallback ? provider_find(caller, symbol) : NULL;", "NULL;", ["hazards/test_unwinding.U7Registered"]),
    Mutant("restored_at_once", "U7: a remembered state counts as restored before it is", "core/cfi/cfa_program.c",
           "  while (depth > 0 && ahead.at < ahead.end && machine->location <= pc && ", "  while (depth > 0 && ahead.at < ahead.end && ",
           ["unit/test_cfi", "oracle/test_rows"]),
    Mutant("rules_not_restored", "U7: a register is restored to nothing, not to what the CIE says", "core/cfi/cfa_program.c",
           "    machine->row.rules[slot] = machine->initial[slot];\n", "    machine->row.rules[slot] = 0;\n", ["unit/test_cfi"]),
    Mutant("plt_unfolded", "U7: the PLT's expression is off by one byte of code", "core/cfi/expression.c",
           "result = (int64_t)left >= (int64_t)right;", "result = (int64_t)left > (int64_t)right;", ["unit/test_cfi", "oracle/test_rows"]),
    Mutant("cursor_unbounded", "U7: an entry is read beyond its object", "core/cfi/bytes.h",
           "  if (UNLIKELY(size > bytes->end - at)) {", "  if (UNLIKELY(bytes->end == 0)) {", ["unit/test_cfi"]),
    Mutant("unloading_at_once", "U4: dlclose waits for nobody who reads", "core/cfi/readers.c",
           "    for (; is_held_by(lock, holder) && attempts < SPINS + YIELDS; attempts++) {", "    for (; false; attempts++) {",
           ["unit/test_cfi"]),
    Mutant("unloading_forever", "U4: after one dlclose no place of a plug-in is compiled", "core/cfi/readers.c",
           "return count == process_epoch() || !process_is_of_now(count);", "return count == 0 || !process_is_of_now(count);",
           ["unit/test_cfi", "hazards/test_unwinding.U4"]),
    Mutant("contexts_cut", "U10: the end of a coroutine's stack is not known for one", "core/cfi/entries.c",
           "  if (is_end_of_context(&object, pc + 1) || is_beginning(&object, pc) ||", "  if (is_beginning(&object, pc) ||",
           ["hazards/test_unwinding.U10"]),
    Mutant("constructors_cut", "U10: where a process begins is not known for the end of a stack", "core/cfi/entries.c",
           "  if (is_end_of_context(&object, pc + 1) || is_beginning(&object, pc) ||", "  if (is_end_of_context(&object, pc + 1) ||",
           ["hazards/test_unwinding.U10"]),
    Mutant("registers_forgotten", "U12: what other registers lead to ends the stack", "core/steps.c",
           "    careful->registers.known = ARCH_REGISTERS_READ;\n", "    careful->registers.known = 0;\n",
           ["hazards/test_unwinding.U12", "unit/test_single_step"]),
    Mutant("registers_need_calls", "U12: rows that ask for other registers are read with signals blocked, and so not behind a filter", "core/steps.c",
           "    if (recipe_register(&careful->recipe) == RECIPE_NO_REGISTER)\n", "    if (true)\n", ["hazards/test_unwinding.U12"]),
    Mutant("objects_unforeseen", "U12, P8: behind a filter nothing is known of objects that no sample came through", "core/confinement.c",
           "      objects_foresee();\n", "      (void)0;\n", ["hazards/test_unwinding.U12"]),
    Mutant("recipe_from_elsewhere", "U12: a register is taken from its caller's frame where it counts from rbp", "core/cfi/step.c",
           "(saved.way == RULE_BP_AT_CFA ? cfa : bp)", "cfa", ["unit/test_recipes"]),
    Mutant("recipe_words_mixed", "U12: a recipe that two threads put at once is half of each", "core/cfi/recipes.c",
           "(get(&entries[way].key_xor_words) ^ mix(recipe)) == key", "get(&entries[way].key_xor_words) != 0", ["unit/test_recipes"]),
    Mutant("interrupted_stack_stays", "U12: what a handler interrupted is looked for on the handler's stack", "core/steps.c",
           "  if (registers->is_interrupted)\n    stack_window_cross(window, now.sp);\n", "", ["unit/test_single_step"]),
    Mutant("moved_stacks_believed", "U13: what lies where a stack of Go was is taken for it", "core/stack_bounds.c",
           "  return window->left == 0 || (bp >= window->left && bp - window->left < CALL_BACK_MAX_BYTES);\n", "  return true;\n",
           ["unit/test_stack_bounds"]),
    Mutant("goroutines_cut", "U13: Go's frame pointers are not followed to another stack", "core/cfi/entries.c",
           "  return is_kept_frame(&object, pc + 1) ? ENTRIES_KEPT_FRAME : ENTRIES_NONE;\n", "  return ENTRIES_NONE;\n",
           ["hazards/test_runtimes.U13"]),
    Mutant("cut_for_no_reason", "U10: a cut stack does not tell why it was cut", "core/cuts.h",
           "return STACK_TRUNCATED | (uint32_t)cut << STACK_CUT_SHIFT;", "return STACK_TRUNCATED | ((uint32_t)cut & 0);",
           ["hazards/test_unwinding.U10", "preload/test_dumps"]),
    Mutant("foreign_passes_for_own", "U10: who reads why a coroutine's stack was cut suspects the thread's", "core/stack_bounds.c",
           "  return window->high == this_thread.stack_high;\n", "  return window->high != 0;\n", ["hazards/test_unwinding.U10"]),
    Mutant("cut_share_untold", "U10: no view says that most of it is in cut stacks", "tools/views/cut_share.c",
           "  if (sum <= SMALL_SHARE * share->whole)\n", "  if (sum <= share->whole)\n", ["cli/test_cut", "unit/test_cut_share"]),
    Mutant("any_file_is_blamed", "U10: a file is blamed for cut stacks that end elsewhere", "tools/views/cut_share.c",
           "return part > all / 2 ? leader : NULL;", "return part > 0 ? leader : NULL;", ["unit/test_cut_share"]),
    Mutant("calls_go_nowhere", "U11: who called a null pointer is not found", "core/steps.c",
           "  if (!is_astray)\n", "  if (!is_astray || true)\n", ["hazards/test_unwinding.U11"]),
    Mutant("overflow_unread", "U11: a frame above a guard page is not read", "core/stack_bounds.c",
           "  window->floor = sp - RED_ZONE_BYTES;\n  window->low = window->high = sp;\n",
           "  window->floor = UINTPTR_MAX;\n  window->low = window->high = sp;\n", ["hazards/test_unwinding.U11"]),
    Mutant("no_bootstrap", "S1: dlsym's own requests find no memory", "interpose/bootstrap.c",
           "void *bootstrap_get(size_t size)\n{\n", "void *bootstrap_get(size_t size)\n{\n  return NULL;\n",
           ["hazards/test_startup.S1", "preload/test_programs"]),
    Mutant("asks_dlsym_in_vain", "S7: what is not there is looked up by dlsym, which allocates", "interpose/inert.c",
           "  const char *mark = object_find_exported(marks, COUNT_OF(marks));\n",
           "  const char *mark = dlsym(RTLD_DEFAULT, marks[0]) != NULL ? marks[0] : object_find_exported(marks, COUNT_OF(marks));\n",
           ["hazards/test_startup.S7"]),
    Mutant("old_tables_unread", "A3: an allocator that has only the older table of names is passed over", "interpose/object.c",
           "    case DT_HASH: object->sysv_hash = object_at(object, entry); break;\n", "",
           ["hazards/test_allocators.Row5Checking.test_is_found"]),
    Mutant("early_state_file", "S7: the state file is made by a process that never samples", "interpose/lifecycle.c",
           "  fork_init();\n", "  fork_init();\n  settle_begin();\n", ["preload/test_start"]),
    Mutant("bootstrap_size_unknown", "S1: the real allocator is asked about an object of the bootstrap arena", "interpose/real.c",
           "bootstrap_is_used() ? careful_malloc_usable_size : ", "", ["hazards/test_startup.S1"]),
    Mutant("no_alternate_stack", "G2: the handler does not ask for the signal stack", "interpose/signal.c",
           "SA_ONSTACK | SA_RESTART", "SA_RESTART", ["hazards/test_planted.G2"]),
    Mutant("takes_the_signal", "G1: the signal is taken from a program that uses it", "interpose/signal.c",
           " || (before.sa_flags & SA_SIGINFO) != 0 || before.sa_handler != SIG_DFL", "", ["hazards/test_signals.G1", "preload/test_dumps"]),
    Mutant("follows_symlinks", "I10, P7: a planted name is followed", "core/region.c",
           "O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW", "O_RDWR | O_CREAT", ["hazards/test_planted.P7"]),
    Mutant("descriptors_low", "I5, U1: our descriptors keep the number that the program's next file gets", "core/descriptor.c",
           "  int high = (int)sys_call(", "  return low;\n  int high = (int)sys_call(", ["torture/test_resources.Met.test_at_every_moment[close"]),
    Mutant("second_exit_does_not_wait", "P5: an exit cuts off the dump of another thread's exit", "interpose/lifecycle.c",
           "  if (!dump_wait_for_others() && !is_first)", "  if (false)", ["hazards/test_processes.P5Exit.test_two_exits"]),
    Mutant("exit_is_inherited", "P5: a child's exit is taken for its parent's", "interpose/lifecycle.c",
           "  return atomic_exchange(&exited_pid, self) != self;\n", "  (void)self;\n  return atomic_exchange(&exited_pid, 1) == 0;\n",
           ["hazards/test_late_fork"]),
    Mutant("foreign_links_followed", "P7: -f writes where somebody else's symbolic link leads", "tools/heap/save.c",
           "    if (is_of_somebody_else(&status))\n", "    if (false)\n", ["cli/test_merge.Foreign"]),
    Mutant("files_beside_devices", "P7: a file is made beside a device or pipe", "core/dump.c",
           "  enum writer_place place = writer_look(name);\n", "  enum writer_place place = WRITER_FILE;\n", ["preload/test_files"]),
    Mutant("overwrites", "I10: a profile takes the place of a file that is there", "core/writer.c",
           "  int result = sys_rename_noreplace(writer->path, final_path);",
           "  int result = (int)sys_call(SYS_rename, (long)writer->path, (long)final_path, 0, 0, 0, 0);", ["preload/test_files", "preload/test_dumps"]),
    Mutant("not_reserved", "P7: pages of a full tmpfs are touched", "core/region.c",
           "    result = sys_fallocate(fd, from, to - from);\n", "    result = sys_ftruncate(fd, to);\n",
           ["torture/test_resources", "preload/test_files"]),
    Mutant("not_confined", "P8: system calls behind a seccomp filter", "core/confinement.c",
           "  atomic_fetch_add(&sys_filters, 1);\n", "", ["hazards/test_confinement"]),
    Mutant("early_filter_refused", "P8: a filter from before our start is refused as if the call were ours", "interpose/fallback.c",
           "  return finish_call(sys_call_always(ARCH_SYSCALL_ALL", "  return finish_call(sys_call(ARCH_SYSCALL_ALL", ["hazards/test_confinement"]),
    Mutant("refusal_confines", "P8: a question confines for good", "core/confinement.c",
           "  atomic_fetch_sub(&sys_filters, 1);\n", "", ["hazards/test_confinement"]),
    Mutant("refused_is_readable", "P8: what may not be asked counts as readable", "core/sys.h",
           "0, 8, 0, 0) == -EINVAL;", "0, 8, 0, 0) != -EFAULT;", ["hazards/test_confinement"]),
    Mutant("runtime_unseen", "A4: a plug-in's operator new fails, and nobody throws", "interpose/cxx_runtime.c",
           "  (void)object_each(find_runtime, &search);\n", "  (void)find_runtime;\n", ["hazards/test_allocators.Row4Plugin"]),
    Mutant("probe_unpaired", "A5: what operator new made for a probe is given to free", "interpose/hooks_cxx.c",
           "real.delete_symbol delete_arguments;", "real.free(pointer);", ["hazards/test_allocators.Row5"]),
    Mutant("strong_import", "P3: a name that only glibc has is needed", "core/libc.h",
           "#pragma weak on_exit\n", "", ["hazards/test_followers.P3Musl", "policy/test_library.Library.test_imports_of"]),
    Mutant("musl_calloc_by_name", "U15: musl's calloc is counted once more by the malloc that it calls", "interpose/real.c",
           "  real.calloc = completion.calloc;\n", "", ["preload/test_musl.Musl.test_exact"]),
    Mutant("code_not_read", "U15: code of musl is taken for code that nobody knows", "core/cfi/leaving.c",
           "  if (!libc_is_musl() ||", "  if (libc_is_musl() || !libc_is_musl() ||", ["preload/test_musl.Musl.test_callers", "hazards/test_followers.U15"]),
    Mutant("own_opening_unseen", "U15: constructors of what is being opened are of no object", "core/loader/loaded.c",
           "(under_way == 0 || is_own)", "(under_way == 0 || (is_own && false))", ["hazards/test_followers.U15Musl.test_exact"]),
    Mutant("temporaries_restore", "U15: what a function pushes on its way out counts as saved by it", "core/arch/x86_64_leaving.c",
           " && on->sp >= on->reached)", ")", ["unit/test_leaving"]),
    Mutant("next_function_read", "U15: what lies behind a call that never returns is taken for the end of the function", "core/arch/x86_64_leaving.c",
           "leaving->return_at % ALIGNMENT == WORD", "leaving->return_at % WORD == 0", ["unit/test_leaving"]),
    Mutant("deep_binding_stays", "A3: what RTLD_DEEPBIND bound past us stays so", "interpose/rebind.c",
           "  atomic_compare_exchange_strong((_Atomic uintptr_t *)place, &expected, hook);\n", "  (void)expected, (void)hook;\n",
           ["hazards/test_allocators.Row3DeepBind"]),
    Mutant("deep_data_stays", "A3: addresses in tables are not bound again", "interpose/rebind.c",
           " && type != ARCH_RELOCATION_ADDRESS)", ")", ["hazards/test_allocators.Row3DeepBind"]),
    Mutant("lazy_is_guessed", "A3: a lazy binding is settled though another allocator may be meant", "interpose/rebind.c",
           "is_unresolved && !scan->is_ambiguous", "is_unresolved", ["hazards/test_allocators.Row3DeepBind"]),
    Mutant("uncovered_unsaid", "A3: what allocates past us is not counted", "interpose/uncovered.c",
           "  atomic_fetch_add_explicit(&header->uncovered_objects, 1, memory_order_relaxed);\n", "", ["hazards/test_allocators.Row3Uncovered"]),
    Mutant("others_unnoticed", "A3: a plug-in with an allocator of its own is taken for covered", "interpose/rebind.c",
           "  if (scan->is_elsewhere)\n", "  if (false)\n", ["hazards/test_allocators.Row3Uncovered"]),
    Mutant("failed_opens_count", "A3: what dlmopen could not open counts as uncovered", "interpose/hooks_process.c",
           "  if (handle != NULL)\n", "  if (true)\n", ["hazards/test_allocators.Row3Uncovered"]),
    Mutant("replaced_is_dead", "P3: a process that executed another program is said to have ended", "tools/state/targets.c",
           "    target->is_replaced = is_replaced(target);\n", "    target->is_replaced = is_replaced(target) && false;\n",
           ["cli/test_ls.Executed"]),
    Mutant("clock_is_believed", "P3: a clock that was set makes a state file look like a dead process's", "core/region.c",
           "header->created_boot_ns != 0 && sys_is_in_memory(region.path)", "false", ["hazards/test_followers.P3Clock"]),
    Mutant("bsd_unhooked", "A3: what a reallocf frees is not taken out", "interpose/hooks_c.c",
           "  void *resized = real.reallocf(pointer, size);\n  resize_end(&resize, true);\n",
           "  void *resized = real.reallocf(pointer, size);\n  resize_end(&resize, false);\n", ["hazards/test_allocators.Row3Bsd"]),
    Mutant("unweighted", "I11: a sample stands for itself only", "core/sampler.c",
           "    weight = 1 / prng_one_minus_exp(((double)size_bytes + 1) / (double)interval_bytes);\n", "",
           ["unit/test_sampler", "stat/"]),
    Mutant("units_not_inherited", "a child's exact_units begin without what its estimates begin with", "core/settle.c",
           "  inherit_units();\n", "  (void)inherit_units;\n", ["preload/test_processes", "unit/test_settle"]),
    Mutant("sums_do_not_wrap", "what is in use is lost when a sum begins anew at 2^64", "core/tally.c",
           "  return between <= INT64_MAX ? between : 0;\n", "  return from > take ? between : 0;\n", ["unit/test_stacks"]),
    Mutant("child_keeps_tallies", "I9: a child starts with its parent's sums", "core/settle.c",
           "  stacks_inherit();\n", "", ["preload/test_processes"]),
    Mutant("child_keeps_buckets", "I9: what a child allocates counts as inherited", "core/stacks.c",
           "      stack->flags |= STACK_INHERITED;\n", "      (void)0;\n", ["cli/test_merge.Family"]),
    Mutant("state_left_behind", "the state file outlives a clean exit", "interpose/lifecycle.c",
           "    region_remove_file();", "    (void)0;", ["preload/test_files", "preload/test_dumps"]),
    Mutant("thread_per_process", "I5, S6: a helper thread", "interpose/fork.c",
           "  (void)__register_atfork(before_fork, release, after_fork_in_child, __ehdr_start);\n",
           "  (void)__register_atfork(before_fork, release, after_fork_in_child, __ehdr_start);\n"
           "  static char stack[65536] __attribute__((aligned(16)));\n"
           "  extern int clone(int (*)(void *), void *, int, void *, ...);\n"
           "  extern int pause(void);\n"
           "  (void)clone((int (*)(void *))(void *)pause, stack + sizeof stack, 0x10f00, NULL);\n",
           ["hazards/test_startup.S6"]),
    Mutant("counts_twice", "A5: a request is counted by two hooks", "interpose/hooks_c.c",
           "  if (reallocarray_counts_inside())\n", "  if (reallocarray_counts_inside() && false)\n", ["hazards/test_allocators.Row3", "preload/test_exact"]),
    Mutant("own_malloc_unnoticed", "A7: a program with its own malloc is taken for one that calls ours", "interpose/lifecycle.c",
           "real_is_interposed() ? NULL : take_over_own_malloc(executable);", "true ? NULL : take_over_own_malloc(executable);", ["hazards/test_allocators.Row7OwnMalloc"]),
    Mutant("short_group", "E1: an instruction with an operand behind it is read too short", "core/arch/x86_64_instruction.c",
           "  case 0xf6: return member > 1 || skip(reader, 1);\n", "  case 0xf6: return true;\n", ["oracle/test_entries"]),
    Mutant("moved_unchanged", "E1: what an instruction addresses is not worked out anew", "core/arch/x86_64_entry.c",
           "  memcpy(writing->room + distance_at, &distance, sizeof distance);\n", "  (void)distance_at;\n", ["unit/test_entry"]),
    Mutant("parts_unread", "E2: code elsewhere that comes back to the first instructions is not looked at", "core/arch/x86_64_entry.c",
           "  for (; reason == NULL && reach.done < reach.count; reach.done++)\n",
           "  for (; reason == NULL && reach.done < 1; reach.done++)\n", ["unit/test_entry"]),
    Mutant("tables_pass", "E2: a jump by a table is taken for one to another function", "core/arch/x86_64_entry.c",
           "  return *modrm >> 6 != 3 && !has_index;\n", "  (void)has_index;\n  return *modrm >> 6 != 3;\n", ["unit/test_entry"]),
    Mutant("pointer_by_two_ways", "E2: another way to a jump than that with the load is not seen", "core/arch/x86_64_entry.c",
           "  return reason == NULL && reach.pointer_end != 0 ? reach_once() : reason;\n", "  return reason;\n", ["unit/test_entry"]),
    Mutant("calls_move", "E3: a call that was moved returns to its room", "core/arch/x86_64_entry.c",
           "  if (instruction->kind == INSTRUCTION_CALL) {\n    put_call", "  if (false) {\n    put_call", ["unit/test_entry"]),
    Mutant("changes_stay", "E4: pages that were exchanged before one could not be stay", "interpose/patch/patch.c",
           "put_pages(work.copies + kept_bytes, done) < done;\n", "(kept_bytes > 0 && done > 0);\n", ["hazards/test_entries.E4"]),
    Mutant("threads_unnoticed", "E5: code changes while other threads may run it", "interpose/patch/patch.c",
           "status.st_nlink == 3;\n", "status.st_nlink >= 3;\n", ["hazards/test_entries.E5"]),
    Mutant("changes_unnoticed", "E8: what others have changed is taken over for good", "interpose/patch/patch.c",
           "  return is_same ? NULL : ", "  return is_same || true ? NULL : ", ["hazards/test_entries.E8"]),
    Mutant("own_is_somebody_elses", "E9: what is bound to the program's own allocator is taken for past us", "interpose/rebind.c",
           " || real_is_allocator(object) || ", " || ", ["hazards/test_entries.E9"]),
    Mutant("beside_unseen", "E10: what only .symtab tells of is not looked for", "interpose/patch/beside.c",
           "  bool is_read = may_have_symbols(&executable) && ", "  bool is_read = false && may_have_symbols(&executable) && ", ["preload/test_beside"]),
    Mutant("beside_unnamed", "E10: what a stripped program exports is not looked for", "interpose/patch/beside.c",
           "!is_read && !note_exports(&executable))", "!is_read && ((void)note_exports, true))", ["preload/test_beside"]),
    Mutant("one_real_for_all", "E10: memory of one allocator is taken from another", "interpose/patch/hooks_whole.c",
           "#define REAL(symbol) beside[1].symbol", "#define REAL(symbol) beside[0].symbol", ["preload/test_beside"]),
    Mutant("stays_in_the_way", "E6: the next malloc behind the program's leads back to the program's", "interpose/patch/own.c",
           "  const char *reason = step_aside(aside, &aside_count);\n", "  (void)step_aside;\n  const char *reason = NULL;\n",
           ["preload/test_own_allocator"]),
    Mutant("counted_inside", "E7: what calloc and realloc come to is counted again", "core/sampler.h",
           "  this_thread.countdown = before.countdown + SAMPLER_PAUSE_UNITS;\n", "", ["preload/test_own_allocator"]),
    Mutant("sanitizer_unnoticed", "A7: a sanitizer is not recognised", "interpose/inert.c",
           "  if (other != NULL)\n", "  if (false)\n",
           ["hazards/test_allocators.Row7Sanitizers"]),
    Mutant("looks_up_early", "A7: what the real syscall is is looked up under the program's lock", "interpose/hooks_process.c",
           "  return LIKELY(real.syscall != NULL) ? real",
           "  extern void *dlsym(void *where, const char *name);\n  (void)dlsym((void *)-1l, \"nothing\");\n"
           "  return LIKELY(real.syscall != NULL) ? real",
           ["hazards/test_allocators.Row7Lock"]),
    Mutant("vfork_confines", "P8: a vfork child that confines itself confines its parent", "core/confinement.c",
           "  return process_is_settled() && pid > 0 && header->pid != (uint32_t)pid;",
           "  return process_is_settled() && pid > 0 && header->pid == 0;", ["hazards/test_confinement.P8Vfork"]),
    Mutant("growth_is_left", "G5, I5: a handler can jump out of the growth of the state file, whose descriptor stays open", "core/on_stack.h",
           "  struct blocked_signals before = signals_block();\n  arch_call", "  struct blocked_signals before = {0};\n  arch_call",
           ["torture/test_resources.Left"]),
    Mutant("strict_maps", "P8: memory is mapped under strict seccomp", "core/sys.h",
           "(number == SYS_mmap && atomic_load_explicit(&sys_strict_filters, memory_order_relaxed) == 0)", "number == SYS_mmap", ["hazards/test_confinement.P8Clock"]),
    Mutant("clock_is_read", "P8: the processor's clock is read where that is a fault", "core/sys.h",
           "memory_order_relaxed) != 0);\n}\n\n/* For a call", "memory_order_relaxed) > 1000);\n}\n\n/* For a call",
           ["hazards/test_confinement.P8Clock"]),
    Mutant("growth_unchecked", "P9: the state region grows into memory that was refused", "core/region.c",
           "  char *base = map_more(segment_start(segment), segment_end(segment));\n  if (base == NULL)\n    return false;\n",
           "  char *base = map_more(segment_start(segment), segment_end(segment));\n", ["hazards/test_memory_limit"]),
    Mutant("scratch_unchecked", "P9: a dump uses memory that was refused", "core/arena.c",
           "  struct arena_chunk *chunk = size > room ? sys_map_anonymous(size) : NULL;\n  if (chunk == NULL)\n    return false;\n",
           "  struct arena_chunk *chunk = size > room ? sys_map_anonymous(size) : NULL;\n", ["torture/test_limits.AddressSpace"]),
    Mutant("long_message_overwritten", "P6: what is packed after a long message overwrites its end", "core/packer.h",
           "  if (more > 0)\n    memmove(begin + 1 + more, begin + 1, size);\n", "", ["unit/test_profile"]),
    Mutant("one_read_of_sections", "I6: of a file with many sections only the first are seen", "core/elfsym.c",
           "  if (!is_there && !read_sections(file, index))\n", "  if (!is_there && (index >= SECTIONS_AT_A_TIME || !read_sections(file, index)))\n",
           ["unit/test_elfsym"]),
    Mutant("chatters", "P3: a line on standard error for each profile", "core/dump.c",
           "  } else if (settings->verbose >= 1) {", "  } else {", ["hazards/test_followers.P3Chain"]),
    Mutant("dumps_by_signal", "G3: heapprof dump sends a signal", "tools/cmd/cmd_dump.c",
           "  if (target == NULL || target->is_alive)\n",
           "  extern int kill(int, int);\n  if (target != NULL)\n    (void)kill(target->pid, 12);\n"
           "  if (target == NULL || target->is_alive)\n", ["hazards/test_followers.G3Poll"]),
    Mutant("size_not_asked", "P7: the state file grows over RLIMIT_FSIZE", "core/region.c",
           "  return sys_get_limit(RLIMIT_FSIZE, &limit) != 0 || limit", "  return true || limit",
           ["torture/test_limits.FileSize", "preload/test_files"]),
    Mutant("stacks_not_found", "a stack that is known is made anew", "core/stacks.c",
           "is_same_stack((uint32_t)value, pcs, depth, flags))",
           "is_same_stack((uint32_t)value, pcs, depth, flags) && depth == 0)", ["unit/test_stacks", "torture/test_soak"]),
    Mutant("written_but_unreadable", "P6: a profile is written that nothing reads, and its state file removed", "tools/heap/save.c",
           "  if (message->len > LOAD_BYTES_MAX) {", "  if (false) {", ["unit/test_load"]),
    Mutant("all_addresses_are_kept", "P6: a state file with more code than a profile holds fills memory", "tools/state/region_heap.c",
           "  return stacks->location_bytes + stacks->id_bytes > LOAD_BYTES_MAX;\n", "  return stacks->location_bytes == UINT64_MAX;\n",
           ["cli/test_recover.Recover.test_as_many_addresses"]),
    Mutant("holes_are_read", "P10: the holes of a sparse state file are read", "tools/state/region_bytes.c",
           "  off_t data = lseek(", "  return at;\n  off_t data = lseek(", ["unit/test_region_file"]),
    Mutant("lease_signal_ends", "P10: who opens a state file ends whoever lists it", "tools/state/state_files.c",
           "{.sa_handler = SIG_IGN}", "{.sa_handler = SIG_DFL}", ["cli/test_ls.List.test_file_that_is_opened"]),
    Mutant("pipe_is_waited_for", "P10: a pipe among state files is waited for", "tools/state/region_bytes.c",
           "O_RDONLY | O_NONBLOCK | O_NOCTTY", "O_RDONLY | O_NOCTTY", ["cli/test_ls.Clean.test_what_is_no_state"]),
    Mutant("foreign_pipe_is_opened", "P7: -f waits for the reader of somebody else's pipe", "tools/heap/save.c",
           "      return !(S_ISFIFO(status.st_mode) && is_of_somebody_else(&status)) ||\n", "      return true ||\n",
           ["cli/test_merge.Foreign"]),
    Mutant("names_with_slashes", "P7: a name of the host or the program leads out of the folder", "core/text.c",
           "*c == '/' || *c <= ' '", "*c <= ' '", ["unit/test_text"]),
    Mutant("terminal_is_commanded", "P10: control and formatting characters of a name reach the terminal", "tools/terminal/say.c",
           "  if (isatty(STDOUT_FILENO))\n    put_printable(stdout, name);\n", "  if (false)\n    put_printable(stdout, name);\n",
           ["cli/test_recover.Recover.test_names_on_a_terminal", "policy/test_sources"]),
    Mutant("controls_are_shown", "P10: control characters of a name reach what is shown", "tools/terminal/shown.c",
           "  case G_UNICODE_CONTROL:\n", "", ["cli/test_top", "cli/test_info"]),
    Mutant("usual_directory_too", "P10: who names a state directory gets the usual one, too", "tools/state/state_files.c",
           "    add_real_path(directories, chosen); /* that one is meant, and no other */\n    return directories;\n",
           "    add_real_path(directories, chosen);\n", ["cli/test_recover.Recover.test_all_means"]),
    Mutant("dry_run_removes", "P10: --dry-run does what it only shows", "tools/cmd/cmd_recover.c",
           "  if (job->is_dry) {", "  if (false) {", ["cli/test_recover.Recover.test_dry_run"]),
    Mutant("valgrind_unnoticed", "A7: valgrind is not recognised", "interpose/inert.c",
           "  if (mark == NULL)\n    return NULL;\n", "  if (mark != marks[0])\n    return NULL;\n", ["hazards/test_allocators.Row7"]),
    Mutant("earlier_runs_file", "a file of an earlier run is taken for one of this run", "tools/run/run_summary.c",
           "collection->program, result->started_ns);", "collection->program, 0);", ["cli/test_run.Signals.test_file_of_an_earlier_run"]),
    Mutant("moved_is_lost", "an installation that was moved does not find its library", "tools/run/shim.c",
           "  g_autofree char *prefix = g_path_get_dirname(folder);\n", "  g_autofree char *prefix = g_strdup(HEAPPROF_BINDIR);\n",
           ["cli/test_run.Status.test_moved"]),
    Mutant("no_state_file", "P6: what is known is in private memory", "core/region.c",
           "  int fd = state_directory[0] != '\\0' ? create_file() : -1;", "  int fd = -1;", ["cli/test_reliability_region"]),
    Mutant("text_calls_return_here", "a text profile's return addresses are taken for calls", "tools/heap/legacy.c",
           "address - (address > 0 && !is_call)", "address", ["unit/test_legacy"]),
    Mutant("text_rate_is_whole", "the rate of Go's text profiles is taken for the interval", "tools/heap/legacy_rows.c",
           "rate / 2", "rate", ["unit/test_legacy"]),
    Mutant("text_is_certain", "mixed sizes of a text profile get the interval of one size", "tools/heap/legacy_estimate.c",
           "    return bytes % objects == 0;", "    return true;", ["unit/test_legacy"]),
    Mutant("text_explodes", "short lines of a text profile become long ones without end", "tools/heap/legacy_maps.c",
           "strnlen(variable->value, NAME_MAX)", "strlen(variable->value)", ["unit/test_legacy"]),
    Mutant("serve_any_host", "a page of somebody else may ask, by a name of its own", "tools/serve/access.c",
           "host == NULL || is_known_host(access, host)", "host == NULL || is_known_host(access, host) || true",
           ["cli/test_serve.Access.test_a_page"]),
    Mutant("serve_any_token", "any token is the right one", "tools/serve/access.c",
           "  return difference == 0;", "  return difference == 0 || digest[0] != '\\0';", ["cli/test_serve.Access.test_token"]),
    Mutant("serve_delta_of_nothing", "a delta has all since the start", "tools/scrape/marks.c",
           "    subtract(heap, i, &then);", "    (void)subtract;", ["cli/test_serve.Deltas.test_seconds"]),
    Mutant("push_marks_apart", "a profile of differences is kept without what it was taken from", "tools/push/gather.c",
           "  note_newest(gather, source, name);\n}\n\nstatic void gather_one", "}\n\nstatic void gather_one",
           ["cli/test_push.Outage.test_nothing_is"]),
    Mutant("push_follows", "a redirection takes profiles and a token to somebody else", "tools/push/post.c",
           "CURLOPT_FOLLOWLOCATION, 0L", "CURLOPT_FOLLOWLOCATION, 1L", ["cli/test_push.Answers.test_a_redirection"]),
    Mutant("push_takes_any_page", "a page with status 200 is taken for a yes", "tools/push/verdict.c",
           "status == OK && is_of_push(type)", "status == OK && (is_of_push(type) || type != NULL)", ["cli/test_push.Answers.test_a_page"]),
    Mutant("push_without_bound", "the queue grows without end", "tools/push/gather.c",
           "  if (gather->bytes + bytes <= queue->bytes_max)\n    return true;\n  gather->bytes", "  if (gather->bytes + bytes > 0)\n    return true;\n  gather->bytes",
           ["cli/test_push.Queue.test_full"]),
    Mutant("push_drops_the_others", "one profile that is refused takes its neighbours along", "tools/push/push.c",
           "  if (push->sent->len > 1) {", "  if (push->sent->len > 1000) {", ["cli/test_push.Answers.test_one_that"]),
    Mutant("serve_slow_client_stays", "who sends byte by byte keeps its connection", "tools/http/visitors.c",
           "  (void)shutdown(visitor->fd, SHUT_RDWR);", "  (void)visitor->fd;", ["cli/test_serve.Patience.test_who_sends"]),
    Mutant("serve_gone_ones_stay", "who goes in the middle of a request keeps its connection until its time is over", "tools/http/visitors.c",
           " && peek(visitor) == 0;", " && peek(visitor) == 2;", ["cli/test_serve.Patience.test_who_goes"]),
    Mutant("serve_idle_ones_stay", "connections that do nothing keep others out", "tools/http/visitors.c",
           ">= BUSY_SECONDS *", ">= 1000 * BUSY_SECONDS *", ["cli/test_serve.Patience.test_who_idles"]),
    Mutant("serve_differences_fill", "who waits for an hour keeps others out", "tools/http/question.c",
           ">= DELTA_SLEEPERS_MAX)", ">= 2 * DELTA_SLEEPERS_MAX)", ["cli/test_serve.Patience.test_many_differences"]),
    Mutant("serve_first_host", "of two names the first is judged", "tools/http/refusal.c",
           "  return count > 1;", "  return count > 2;", ["cli/test_serve.Access.test_two_hosts"]),
    Mutant("push_once_forgets", "what is not in the queue was all taken", "tools/push/gatherer.c",
           "  return is_complete || gatherer->every_us != 0 ? 0 : STATUS_INCOMPLETE;", "  return is_complete ? 0 : 0;",
           ["cli/test_push.Queue.test_full_disk"]),
    Mutant("serve_names_without_end", "every owner that ever was becomes a series", "tools/serve/sites.c",
           "if (*names >= names_max)", "if (*names >= names_max && false)", ["cli/test_serve.Metrics.test_sites_are"]),
    Mutant("serve_gone_client_waits", "a delta goes on for a client that has gone", "tools/http/sleep.c",
           "(GIOCondition)(POLLRDHUP | G_IO_HUP | G_IO_ERR)", "G_IO_ERR", ["cli/test_serve.Deltas.test_nobody"]),
    Mutant("live_history_grows", "what is remembered has no bound", "tools/live/history.c",
           "while (history->moment_bytes > HISTORY_MOMENT_BYTES_MAX)", "while (false)", ["unit/test_history"]),
    Mutant("live_change_of_now", "what changed is what is there now", "tools/serve/live_answer.c",
           "  moment_put(heap, keys, moment, pulse->moment_bytes);", "  (void)moment;", ["cli/test_serve_page.Timeline.test_what_changed"]),
    Mutant("child_is_its_parent", "a forked child that has its parent's state only is a process of its own", "tools/state/targets.c",
           "  if (target->summary.pid != mapping->inner_pid) {\n", "  if (false) {\n", ["cli/test_ls.List.test_forked"]),
    Mutant("gone_with_its_first_thread", "a process whose first thread has ended is not found", "tools/state/process_maps.c",
           "    if (atoi(name) != pid && add_maps(", "    if (atoi(name) == pid && add_maps(", ["cli/test_ls.List.test_first_thread"]),
    Mutant("any_of_one_name", "of several processes of one name some one is served", "tools/scrape/served.c",
           "  if (count == 1)\n", "  if (count >= 1)\n", ["cli/test_serve.Found.test_several"]),
    Mutant("record_without_journal", "R1: a kill leaves half a moment", "tools/record/store.c",
           "PRAGMA journal_mode=WAL", "PRAGMA journal_mode=OFF", ["unit/test_record", "cli/test_record"]),
    Mutant("record_full_disk_ends_it", "R2: a full disk ends the recorder", "tools/record/record.c",
           "  bool may_pass = error->code == STORE_ERROR_NO_ROOM &&", "  bool may_pass = error->code != STORE_ERROR_NO_ROOM &&",
           ["cli/test_record.FullDisk"]),
    Mutant("record_believes_what_was_lost", "R2: what found no room is taken for stored", "tools/record/recorder.c",
           "  store_rollback(recorder->store);\n  forget(recorder);\n", "  store_rollback(recorder->store);\n", ["unit/test_record"]),
    Mutant("record_without_size", "R3: the file grows past --size", "tools/record/upkeep.c",
           "upkeep->size_bytes / 4 * 3", "upkeep->size_bytes * 4", ["unit/test_record"]),
    Mutant("record_thins_too_little", "R3: twice as much stays as is said", "tools/record/upkeep.c",
           "{24 * HOUR_NS, HOUR_NS / 6}", "{24 * HOUR_NS, HOUR_NS / 12}", ["unit/test_record"]),
    Mutant("record_thins_the_last", "R3: what is left of a step is not its end", "tools/record/chain.c",
           "  return time_ns / MAX(thinner->thinning->step_ns, 1);", "  return (time_ns + thinner->thinning->step_ns / 2) / MAX(thinner->thinning->step_ns, 1);",
           ["unit/test_record"]),
    Mutant("record_keeps_each_time", "R4: a condition that holds keeps a profile each time", "tools/record/watch.c",
           "value <= *before * 1.1", "value <= *before * 0.1", ["unit/test_record"]),
    Mutant("record_keeps_for_ever", "R4: the last profiles of a condition are all of them", "tools/record/watch.c",
           "ORDER BY id DESC LIMIT ?3)", "ORDER BY id DESC LIMIT ?3 + 100)", ["cli/test_record.Conditions.test_first"]),
    Mutant("record_growth_by_chance", "R4: growth that chance explains keeps a profile", "tools/record/watch.c",
           "*value <= condition->bound || is_beyond_chance(watched, then_ns, *value - condition->bound, holds, error)",
           "*value <= condition->bound || ((*holds = true) && is_beyond_chance(watched, then_ns, 1e18, &(bool){false}, error))",
           ["unit/test_record"]),
    Mutant("record_any_schema", "R5: a database may have triggers of its own", "tools/record/store.c",
           "is_ours = *expected != NULL && g_strcmp0(sql, *expected) == 0;\n    expected += is_ours;",
           "is_ours = true;\n    expected += *expected != NULL && g_strcmp0(sql, *expected) == 0;", ["cli/test_record.Refusals.test_other_tables"]),
    Mutant("record_beside_another", "R5: two recorders write one file", "tools/record/store.c",
           "flock(store->lock, LOCK_EX | LOCK_NB) != 0", "flock(store->lock, LOCK_SH | LOCK_NB) != 0", ["cli/test_record.Refusals.test_two"]),
    Mutant("record_for_all", "R5: what is recorded into an empty file, all may read", "tools/record/store.c",
           "  return fchmod(fd, S_IRUSR | S_IWUSR) == 0 ||", "  return fd >= 0 ||", ["cli/test_record.Refusals.test_mode"]),
    Mutant("record_two_names", "R5: a file is recorded into by one of its names", "tools/record/store.c",
           "  return status.st_nlink <= 1 ||", "  return status.st_nlink <= 9 ||", ["cli/test_record.Refusals.test_other_names"]),
    Mutant("recording_of_two_states", "R6: a reader takes names of one state and stacks of another", "tools/record/store.c",
           'return store_do(store, error, "BEGIN", "");', 'return store_do(store, error, "SELECT 1", "");', ["unit/test_record"]),
    Mutant("recording_leaves_files", "R6: who reads a file at rest leaves two beside it", "tools/record/store.c",
           "    put_to_rest(store);\n", "    (void)put_to_rest;\n", ["cli/test_record.Refusals.test_nothing"]),
    Mutant("recording_word_is_a_process", "a time that cannot be read is taken for a process", "tools/source/recorded_moment.c",
           'add_word(words, "at", at + 1);', 'add_word(words, is_time(at + 1) ? "at" : "process", at + 1);', ["cli/test_record.Moments.test_names"]),
    Mutant("served_moment_is_the_last", "whatever moment is asked for, it is the last", "tools/serve/recorded_answer.c",
           "  if (at[0] != '\\0')\n", "  if (at[0] == '/')\n", ["cli/test_serve_recording"]),
    Mutant("timeline_without_peaks", "a timeline has some moment of each part, not the largest", "tools/record/past.c",
           "max(in_use) AS in_use", "min(in_use) AS in_use", ["unit/test_record"]),
]


def say(text):
    print(text, flush=True)


class Tree:
    """A copy of the sources and of what was built of them. What a mutant changed is put back from the first copy, with its times, so that
    make builds nothing but what the next mutant changes."""
    LEFT_OUT = (".git", "node_modules", "heapprof-[0-9]*", "demo", "__pycache__", "built")

    def __init__(self, folder, pristine):
        self.folder, self.pristine = folder, pristine
        shutil.copytree(pristine, folder, symlinks=True, ignore=shutil.ignore_patterns(*self.LEFT_OUT))

    def put_back(self):
        for folder, _, names in os.walk(self.pristine):
            here = self.folder / os.path.relpath(folder, self.pristine)
            here.mkdir(exist_ok=True)  # what tests compile has a folder that may not have been there
            for name in names:
                source, copy = pathlib.Path(folder, name), here / name
                if not source.is_symlink() and (not copy.exists() or copy.stat().st_mtime_ns != source.stat().st_mtime_ns):
                    copy.unlink(missing_ok=True)  # it may be mapped
                    shutil.copy2(source, copy)

    def build(self, tests):
        """The library, the command and what it becomes, and of the unit tests those that are asked for. None, or what the compiler said."""
        programs = [path.name for path in sorted(self.pristine.glob("heapprof-*")) if path.is_file() and os.access(path, os.X_OK)]
        units = [f"tests/unit/{path.stem}" for path in sorted((self.folder / "tests/unit").glob("test_*.c"))
                 if any(test.startswith(f"unit/{path.stem}") or f"unit/{path.stem}".startswith(test) for test in tests)]
        done = subprocess.run(["make", "-s", "libheapprof.so", "heapprof", *programs, *units], cwd=self.folder, capture_output=True, text=True)
        return done.stderr[-1000:] if done.returncode != 0 else None

    def run_tests(self, tests, *options):
        """Returns the names of those that failed, and the last line."""
        environment = {**os.environ, "HEAPPROF_LIB": f"{self.folder}/libheapprof.so", "HEAPPROF_BUILDDIR": str(self.folder),
                       "HEAPPROF_SRCDIR": str(self.folder)}
        done = subprocess.run([sys.executable, "tests/run", *options, *tests], cwd=self.folder, env=environment, capture_output=True,
                              text=True)
        lines = done.stdout.splitlines() or [done.stderr[-200:]]
        return [line.split()[1] for line in lines if line.startswith("FAILED")], lines[-1]

    def judge(self, mutant):
        """Returns (was it noticed, by which test or why not)."""
        self.put_back()
        path = self.folder / mutant.file
        original = path.read_text()
        if mutant.old not in original:
            return False, f"does not apply: {mutant.file} no longer has the text it changes"
        path.write_text(original.replace(mutant.old, mutant.new, 1))
        problem = self.build(mutant.tests)
        if problem:
            return False, f"does not compile: {problem}"
        failures, summary = self.run_tests(mutant.tests, "--jobs=1", "--until-failure")
        return (True, failures[0]) if failures else (False, f"SURVIVES: {summary}")


def make_trees(folder, count):
    """The first is built as the sources are, the others are copies of it."""
    first = Tree(folder / "pristine", SOURCE)
    for target in ("all", "check-build"):  # one after the other: both make the library
        done = subprocess.run(["make", "-s", f"-j{os.cpu_count()}", target], cwd=first.folder, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"the sources do not build: {done.stderr[-1000:]}")
    return first, [Tree(folder / f"worker.{n}", first.folder) for n in range(count)]


def check_control(tree, mutants):
    """Without a mutant all those tests pass: else a failure would show nothing. It also compiles what tests compile for themselves."""
    failures, summary = tree.run_tests(sorted({test for mutant in mutants for test in mutant.tests}))
    say(f"control    {summary}")
    if failures:
        sys.exit(f"these fail without any mutant: {', '.join(failures)}")


def judge_all(mutants, trees):
    """Each in the first tree that is free. Returns how many were not noticed."""
    free = queue.SimpleQueue()
    for tree in trees:
        free.put(tree)

    def judge(mutant):
        tree, started = free.get(), time.monotonic()
        try:
            is_noticed, text = tree.judge(mutant)
        finally:
            free.put(tree)
        say(f"{'killed' if is_noticed else 'FAILED':<10} {mutant.name} ({time.monotonic() - started:.0f} s): {mutant.breaks}\n"
            f"           {'noticed by ' if is_noticed else ''}{text}")
        return is_noticed

    with concurrent.futures.ThreadPoolExecutor(len(trees)) as pool:
        return list(pool.map(judge, mutants)).count(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="mutants to try; all")
    parser.add_argument("--skip-control", action="store_true", help="do not run the tests on the unchanged sources first")
    parser.add_argument("--jobs", type=int, default=2, help="mutants at a time (2)")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if not options.names or mutant.name in options.names]
    if not chosen:
        parser.error(f"there is none of these names; there are {', '.join(mutant.name for mutant in MUTANTS)}")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants.", ignore_cleanup_errors=True) as folder:
        first, trees = make_trees(pathlib.Path(folder), options.jobs)
        if not options.skip_control:
            check_control(first, chosen)
        survivors = judge_all(chosen, trees)
    say(f"{len(chosen) - survivors} killed, {survivors} failed ({time.monotonic() - started:.0f} s)")
    return survivors != 0


if __name__ == "__main__":
    sys.exit(main())
