/* SPDX-License-Identifier: MIT */
#include "tests/order/weakened.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* The linker's names for the section that explored.h fills. */
extern struct explorer_site *const __start_explorer_sites[] __attribute__((visibility("hidden")));
extern struct explorer_site *const __stop_explorer_sites[] __attribute__((visibility("hidden")));

enum { EXPLORE_SECONDS = 100 };

/* With `site` weakened to `order`, unless it is NULL. */
static struct explorer_outcome explore(const struct explorer_scenario *scenario, struct explorer_site *site, int order,
                                       bool says_how)
{
  struct explorer_outcome *shared =
      mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  (void)snprintf(shared->violation, sizeof shared->violation, "did not come to its end");
  fflush(NULL);
  pid_t child = fork();
  if (child == 0) {
    if (site != NULL)
      site->order = order;
    (void)alarm(EXPLORE_SECONDS);
    struct explorer_outcome outcome;
    explorer_run(scenario, &outcome);
    if (says_how && outcome.violation[0] != '\0')
      explorer_print_trace();
    *shared = outcome;
    _exit(0);
  }
  (void)waitpid(child, NULL, 0);
  struct explorer_outcome outcome = *shared;
  (void)munmap(shared, sizeof *shared);
  return outcome;
}

struct explorer_outcome weakened_explore(const struct explorer_scenario *scenario)
{
  return explore(scenario, NULL, 0, false);
}

bool weakened_holds(const struct explorer_scenario *scenario)
{
  struct explorer_outcome outcome = explore(scenario, NULL, 0, true);
  fprintf(stderr, "%s: %lu executions, %lu states\n", scenario->name, (unsigned long)outcome.executions,
          (unsigned long)outcome.states);
  if (outcome.violation[0] != '\0')
    fprintf(stderr, "%s: violated: %s\n", scenario->name, outcome.violation);
  return outcome.violation[0] == '\0';
}

bool weakened_hold_all(const struct explorer_scenario *const *scenarios, size_t count)
{
  for (size_t i = 0; i < count; i++)
    if (!weakened_holds(scenarios[i]))
      return false;
  return true;
}

static const char *name_of(int order)
{
  static const char *const names[] = {"relaxed", "consume", "acquire", "release", "acq_rel", "seq_cst"};
  return names[order];
}

/* What scenarios do for themselves is not under test. */
static bool is_under_test(const struct explorer_site *site)
{
  return strstr(site->file, "core/") != NULL || strstr(site->file, "interpose/") != NULL;
}

static bool is_exempt(const struct explorer_site *site, const char *const *exempt)
{
  char name[128];
  (void)snprintf(name, sizeof name, "%s: %s", site->function, site->operation);
  for (; *exempt != NULL; exempt++)
    if (strcmp(name, *exempt) == 0 || strcmp(site->function, *exempt) == 0 || strstr(site->file, *exempt) != NULL)
      return true;
  return false;
}

static bool is_found(const struct explorer_scenario *const *scenarios, size_t count, struct explorer_site *site,
                     int order)
{
  for (size_t i = 0; i < count; i++)
    if (explore(scenarios[i], site, order, false).violation[0] != '\0')
      return true;
  fprintf(stderr, "%s:%d: nothing notices %s: %s when it is %s instead of %s\n", site->file, site->line, site->function,
          site->operation, name_of(order), name_of(site->order));
  return false;
}

/* The next weaker orders of one; up to two. */
static unsigned weaker(const struct explorer_site *site, int orders[2])
{
  bool is_one_way = strcmp(site->operation, "load") == 0 || strcmp(site->operation, "store") == 0 ||
                    strcmp(site->operation, "compare_exchange, failure") == 0;
  if (site->order == memory_order_relaxed)
    return 0;
  orders[0] = memory_order_acquire;
  if (strcmp(site->operation, "store") == 0)
    orders[0] = memory_order_release;
  if (is_one_way && site->order == memory_order_seq_cst)
    return 1;
  orders[0] = memory_order_relaxed;
  if (is_one_way || site->order == memory_order_acquire || site->order == memory_order_release)
    return 1;
  orders[0] = memory_order_acq_rel;
  if (site->order == memory_order_seq_cst)
    return 1;
  orders[0] = memory_order_acquire;
  orders[1] = memory_order_release;
  return 2;
}

bool weakened_is_noticed(const struct explorer_scenario *const *scenarios, size_t count, const char *const *exempt)
{
  unsigned tried = 0, found = 0;
  for (size_t i = 0; i < count; i++)
    if (explore(scenarios[i], NULL, 0, true).violation[0] != '\0')
      return false; /* what fails anyway notices nothing */
  for (struct explorer_site *const *site = __start_explorer_sites; site != __stop_explorer_sites; site++) {
    int orders[2];
    unsigned weakenings = is_under_test(*site) && !is_exempt(*site, exempt) ? weaker(*site, orders) : 0;
    for (unsigned i = 0; i < weakenings; i++, tried++)
      found += is_found(scenarios, count, *site, orders[i]);
  }
  fprintf(stderr, "%u of %u weakened orders are noticed\n", found, tried);
  return found == tried && tried > 0;
}
