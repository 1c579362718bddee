/* SPDX-License-Identifier: MIT */
/* What makes a scraper ask heapprof serve: the part of its configuration that tells of processes, with the
 * profiles that there are, and those switched off that there are not.
 *
 * Memory: the text is the caller's. Failure: NULL and *error: the address can be asked by nobody, or a name cannot
 * stand in a path as it is.
 */
#ifndef HEAPPROF_SCRAPE_CONFIG_H
#define HEAPPROF_SCRAPE_CONFIG_H

#include <glib.h>
#include <stdbool.h>

#define SCRAPE_CONFIG_KINDS "parca, alloy, pyroscope, prometheus"

struct scrape_config {
  const char *listen;     /* as heapprof serve is given it */
  const char *token_file; /* NULL: it asks for none */
  char *const *processes; /* numbers and names, and NULL; none: the only one there is */
};

bool scrape_config_knows(const char *kind);

GString *scrape_config_text(const char *kind, const struct scrape_config *config, GError **error);

#endif
