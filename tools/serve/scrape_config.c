/* SPDX-License-Identifier: MIT */
#include "tools/serve/scrape_config.h"

#include "tools/terminal/say.h"

#include <string.h>
#include <unistd.h>

/* A scraper, and how it is told: once before all, for each process, once behind them. */
struct dialect {
  const char *kind;
  const char *start;
  void (*append)(GString *text, const char *address, const char *name, const char *prefix, const char *token_file);
  void (*append_end)(GString *text, const char *token_file);
};

/* Between double quotes: YAML and Alloy escape alike. */
static char *quoted(const char *plain)
{
  g_autofree char *shown = printable(plain), *once = NULL;
  g_auto(GStrv) parts = g_strsplit(shown, "\\", -1);
  once = g_strjoinv("\\\\", parts);
  g_auto(GStrv) words = g_strsplit(once, "\"", -1);
  g_autofree char *escaped = g_strjoinv("\\\"", words);
  return g_strconcat("\"", escaped, "\"", NULL);
}

/* Of YAML's mappings, with that much room in front. The type is what most take it for if nothing is said; the agent in
 * Pyroscope 1.0 takes it for none. */
static void append_token(GString *text, int indent, const char *token_file)
{
  if (token_file == NULL)
    return;
  g_autofree char *path = quoted(token_file);
  g_string_append_printf(text, "%*sauthorization:\n%*stype: Bearer\n%*scredentials_file: %s\n", indent, "", indent + 2,
                         "", indent + 2, "", path);
}

static void append_nothing(GString *text, const char *token_file)
{
  (void)text;
  (void)token_file;
}

static void append_to_parca(GString *text, const char *address, const char *name, const char *prefix,
                            const char *token_file)
{
  static const char *const others[] = {"block", "goroutine", "mutex", "process_cpu"};
  g_string_append_printf(text, "- job_name: \"%s\"\n  scrape_interval: 15s\n  static_configs:\n  - targets: [\"%s\"]\n",
                         name, address);
  append_token(text, 2, token_file);
  g_string_append(text, "  profiling_config:\n");
  if (prefix[0] != '\0')
    g_string_append_printf(text, "    path_prefix: \"%s\"\n", prefix);
  g_string_append(text, "    pprof_config:\n      memory:\n        path: /debug/pprof/heap\n");
  for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
    g_string_append_printf(text, "      %s:\n        enabled: false\n", others[i]);
}

static void append_to_alloy(GString *text, const char *address, const char *name, const char *prefix,
                            const char *token_file)
{
  (void)token_file;
  g_string_append_printf(text, "    {\"__address__\" = \"%s\", \"service_name\" = \"%s\"", address, name);
  if (prefix[0] != '\0')
    g_string_append_printf(text, ", \"__profile_path_prefix__\" = \"%s\"", prefix);
  g_string_append(text, "},\n");
}

static void append_end_to_alloy(GString *text, const char *token_file)
{
  static const char *const others[] = {"block", "goroutine", "mutex", "process_cpu"};
  g_string_append(text, "  ]\n  forward_to      = [pyroscope.write.heapprof.receiver]\n  scrape_interval = \"15s\"\n");
  if (token_file != NULL) {
    g_autofree char *path = quoted(token_file);
    g_string_append_printf(text, "  bearer_token_file = %s\n", path);
  }
  g_string_append(text, "\n  profiling_config {\n    profile.memory {\n      path = \"/debug/pprof/heap\"\n    }\n");
  for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
    g_string_append_printf(text, "    profile.%s {\n      enabled = false\n    }\n", others[i]);
  g_string_append(
      text, "  }\n}\n\npyroscope.write \"heapprof\" {\n  endpoint {\n    url = \"http://localhost:4040\"\n  }\n}\n");
}

static void append_to_pyroscope(GString *text, const char *address, const char *name, const char *prefix,
                                const char *token_file)
{
  g_string_append_printf(
      text,
      "- job-name: \"%s\"\n  scrape-interval: 15s\n  scrape-timeout: 15s\n  enabled-profiles: [mem]\n"
      "  profiles:\n    mem:\n      path: \"%s/debug/pprof/heap\"\n",
      name, prefix);
  append_token(text, 2, token_file);
  g_string_append_printf(text, "  static-configs:\n  - application: \"%s\"\n    targets: [\"%s\"]\n", name, address);
}

static const struct dialect dialects[] = {
    {"parca", "# For parca.yaml, below object_storage.\nscrape_configs:\n", append_to_parca, append_nothing},
    {"alloy",
     "// For config.alloy. The URL at its end is that of Pyroscope.\npyroscope.scrape \"heapprof\" {\n  targets = [\n",
     append_to_alloy, append_end_to_alloy},
    {"pyroscope",
     "# For the server.yml of Pyroscope before 1.0, which scrapes itself; for later ones: heapprof serve "
     "--print-config alloy,\n"
     "# or heapprof push.\nscrape-configs:\n",
     append_to_pyroscope, append_nothing},
};

static const char prometheus[] = "prometheus";

static const struct dialect *find_dialect(const char *kind)
{
  for (size_t i = 0; i < G_N_ELEMENTS(dialects); i++)
    if (strcmp(dialects[i].kind, kind) == 0)
      return &dialects[i];
  return NULL;
}

bool scrape_config_knows(const char *kind)
{
  return strcmp(kind, prometheus) == 0 || find_dialect(kind) != NULL;
}

static GString *prometheus_text(const char *address, const char *token_file)
{
  GString *text = g_string_new(NULL);
  g_string_append_printf(text,
                         "# For prometheus.yml.\nscrape_configs:\n- job_name: heapprof\n  scrape_interval: 15s\n"
                         "  static_configs:\n  - targets: [\"%s\"]\n",
                         address);
  append_token(text, 2, token_file);
  return text;
}

/* What a scraper connects to: of all addresses, this machine's name. NULL: nothing. */
static char *address_of(const char *listen)
{
  static const char *const any[] = {"", "0.0.0.0", "[::]"};
  const char *port = strrchr(listen, ':');
  char machine[256];
  if (g_str_has_prefix(listen, "unix:") || port == NULL || strcmp(port, ":0") == 0 ||
      listen[strspn(listen, "[]:.-_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")] != '\0')
    return NULL;
  g_autofree char *host = g_strndup(listen, (gsize)(port - listen));
  for (size_t i = 0; i < G_N_ELEMENTS(any); i++)
    if (strcmp(host, any[i]) == 0 && gethostname(machine, sizeof machine) == 0) {
      machine[sizeof machine - 1] = '\0';
      return g_strconcat(machine, port, NULL);
    }
  return g_strdup(listen);
}

/* In a path, a label and a string as it is, for some would escape it once more. */
static bool is_plain(const char *name)
{
  return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
         name[strspn(name, "-._~abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")] == '\0';
}

static GString *processes_text(const struct dialect *dialect, const char *address, const struct scrape_config *config)
{
  GString *text = g_string_new(dialect->start);
  for (char *const *process = config->processes; *process != NULL; process++) {
    g_autofree char *prefix = g_strconcat("/", *process, NULL);
    dialect->append(text, address, *process, prefix, config->token_file);
  }
  if (config->processes[0] == NULL)
    dialect->append(text, address, "heapprof", "", config->token_file);
  dialect->append_end(text, config->token_file);
  return text;
}

GString *scrape_config_text(const char *kind, const struct scrape_config *config, GError **error)
{
  g_autofree char *address = address_of(config->listen);
  if (address == NULL) {
    g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                "no scraper can ask at '%s'; it takes ADDRESS:PORT, and a port that is known before", config->listen);
    return NULL;
  }
  for (char *const *process = config->processes; *process != NULL; process++)
    if (!is_plain(*process)) {
      g_set_error(error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                  "'%s' cannot stand in a path as it is; its number can", *process);
      return NULL;
    }
  const struct dialect *dialect = find_dialect(kind);
  return dialect != NULL ? processes_text(dialect, address, config) : prometheus_text(address, config->token_file);
}
