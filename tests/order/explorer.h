/* SPDX-License-Identifier: MIT */
/* Runs a few threads of real code in every order, and lets every load return whatever C11 allows it to.
 *
 * The code under test is compiled with tests/order/explored.h in front of it: each atomic operation comes here, and plain accesses
 * come here by the compiler's thread instrumentation, whose run-time library is replaced by this one. The threads are coroutines. All
 * executions are tried, depth first; a state that was met before is not gone through again.
 *
 * The model: every location has its writes in modification order. A thread has a view, the oldest write of each location that it may
 * still read; a write carries the view that its release gives away; acquiring takes it over. A store may come anywhere in modification
 * order behind the thread's view, a read-modify-write right behind what it reads, and hands on the view of that (release sequences).
 * Plain accesses that no order separates are races, and violations.
 *
 * What it does not show: a load that returns a store which its own thread's later stores made possible (load buffering); compare and
 * exchange failing for no reason; that a seq_cst fence and a seq_cst access order each other, so what passes needs no more; later relaxed stores of a thread do not continue its release sequence, as since C17.
 *
 * Threads: one. Memory: static, and a set of states that grows. Failure: a violation ends the exploration.
 */
#ifndef HEAPPROF_EXPLORER_H
#define HEAPPROF_EXPLORER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXPLORER_THREADS = 3 };

struct explorer_scenario {
  const char *name;
  void (*set_up)(void); /* alone, once, before all executions; or NULL */
  void (*threads[EXPLORER_THREADS])(void);
  void (*finish)(void); /* alone, at the end of each execution, sees the last write of each location; or NULL */
};

struct explorer_outcome {
  uint64_t executions; /* begun; most end early in a state that was met before */
  uint64_t states;
  char violation[160]; /* "": none */
};

/* One memory order in the code under test. */
struct explorer_site {
  const char *file, *function, *operation;
  int line;
  int order;
};

/* Not to be run twice in one process: statics of the code under test are not reset before set_up. */
void explorer_run(const struct explorer_scenario *scenario, struct explorer_outcome *outcome);

/* How the last execution went, to standard error. */
void explorer_print_trace(void);

/* For scenarios: a property that must hold. */
#define explorer_require(condition) explorer_check((condition), #condition)
void explorer_check(bool holds, const char *condition);

/* Which of the threads runs: from 0 on; 0, too, where there is none. */
unsigned explorer_thread(void);

/* In place of a pause before a loop looks again: what it may see by then, another execution sees at its first look. */
void explorer_wait(void);

/* Zeroed memory for the code under test, in place of the kernel's. */
void *explorer_map(size_t size);

/* Of explored.h. */
uint64_t explorer_load(struct explorer_site *site, const volatile void *address, size_t size);
void explorer_store(struct explorer_site *site, volatile void *address, size_t size, uint64_t value);
uint64_t explorer_exchange(struct explorer_site *site, volatile void *address, size_t size, uint64_t value);
uint64_t explorer_add(struct explorer_site *site, volatile void *address, size_t size, uint64_t value);
uint64_t explorer_or(struct explorer_site *site, volatile void *address, size_t size, uint64_t value);
bool explorer_compare_exchange(struct explorer_site *success, struct explorer_site *failure, volatile void *address,
                               size_t size, void *expected, uint64_t desired);
void explorer_fence(struct explorer_site *site);

#endif
