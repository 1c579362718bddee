/* SPDX-License-Identifier: MIT */
/* Requests to heapprof serve, made by anybody: a redirection stays here, and who has no token gets nothing. The first line is what is
 * asked for, the second the name that it is asked of, the third the authorization; all of it is a list of addresses, too. */
#include "tools/serve/access.h"
#include "tools/serve/route.h"
#include "tools/serve/symbol_answer.h"
#include "tools/serve/uri.h"

#include "must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_route(const char *uri)
{
  struct route route = route_of(uri);
  MUST((route.end == ROUTE_REDIRECT || route.end == ROUTE_PAGE) == (route.location != NULL));
  MUST(route.process != NULL);
  if (route.location != NULL)
    MUST(route.location[0] == '/' && route.location[1] != '/' && route.location[1] != '\\');
  if (route.end == ROUTE_REDIRECT) { /* what it leads to leads to no third place, but for the slashes at the end */
    struct route next = route_of(route.location);
    MUST(next.end != ROUTE_REDIRECT || strlen(next.location) > strlen(route.location));
    route_clear(&next);
  }
  route_clear(&route);
}

static void check_query(const char *query)
{
  static const char *const keys[] = {"debug", "seconds", "gc", ""};
  for (size_t i = 0; i < G_N_ELEMENTS(keys); i++) {
    g_autofree char *value = uri_value(query, keys[i]);
    MUST(value == NULL || strlen(value) <= strlen(query));
    (void)uri_number(query, keys[i]);
  }
}

static void check_access(const char *host, const char *authorization)
{
  struct access access;
  access_init(&access);
  (void)access_check(&access, host, authorization);
  access.token_digest = g_strdup("no digest of anything, but as long as one of those that there are");
  MUST(access_check(&access, host, authorization) == ACCESS_NO_TOKEN);
  access_clear(&access);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup((const char *)data, size);
  g_auto(GStrv) lines = g_strsplit(text, "\n", 3);
  guint count = g_strv_length(lines);
  if (count > 0) {
    check_route(lines[0]);
    check_query(uri_query(lines[0]));
  }
  check_access(count > 1 ? lines[1] : NULL, count > 2 ? lines[2] : NULL);
  g_autoptr(GArray) addresses = symbol_answer_addresses((const char *)data, size);
  MUST(addresses->len <= (size + 1) / 2);
  return 0;
}
