/* SPDX-License-Identifier: MIT */
#include "tools/filter/expression.h"

#include "tools/terminal/say.h"

#include <string.h>

#define MATCH_LIMIT "(*LIMIT_MATCH=1000000)"

/* $ is the end and nothing else, as in RE2. */
static const GRegexCompileFlags flags = G_REGEX_OPTIMIZE | G_REGEX_DOLLAR_ENDONLY;

/* GLib's message without the expression, which has our limit in it. */
static const char *reason_of(const GError *error)
{
  const char *colon = strrchr(error->message, ':');
  return colon != NULL && colon[1] == ' ' ? colon + 2 : error->message;
}

/* Those of which there is no more to say. */
static GHashTable *silent(void)
{
  static GHashTable *expressions;
  if (expressions == NULL)
    expressions = g_hash_table_new(g_direct_hash, g_direct_equal);
  return expressions;
}

GRegex *expression_compile(const char *text)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *limited = g_strconcat(MATCH_LIMIT, text, NULL);
  GRegex *expression = g_utf8_validate(text, -1, NULL) ? g_regex_new(limited, flags, 0, &error) : NULL;
  if (expression == NULL)
    say("'%s' is not a regular expression: %s", text, error != NULL ? reason_of(error) : "it is not UTF-8");
  return expression;
}

const GRegex *expression_of_list(GRegex **compiled, const char *const *expressions, size_t count)
{
  if (*compiled != NULL)
    return *compiled;
  g_autoptr(GString) all = g_string_new(MATCH_LIMIT "\\A(?:");
  for (size_t i = 0; i < count; i++)
    g_string_append_printf(all, "%s%s", i > 0 ? "|" : "", expressions[i]);
  g_string_append(all, ")\\z");
  *compiled = g_regex_new(all->str, flags | G_REGEX_NO_AUTO_CAPTURE, 0, NULL);
  g_assert(*compiled != NULL);
  g_hash_table_add(silent(), *compiled);
  return *compiled;
}

bool expression_matches(const GRegex *expression, const char *text)
{
  g_autoptr(GError) error = NULL;
  bool is_match = g_regex_match_full(expression, text, -1, 0, 0, NULL, &error);
  if (error == NULL)
    return is_match;
  if (g_hash_table_add(silent(), (gpointer)(uintptr_t)expression))
    say("'%s' is given up at '%s': %s", expression_text(expression), text, reason_of(error));
  return false;
}

bool expression_is_given_up(const GRegex *expression)
{
  return g_hash_table_contains(silent(), expression);
}

const char *expression_text(const GRegex *expression)
{
  return g_regex_get_pattern(expression) + strlen(MATCH_LIMIT);
}

void expression_append_unmatched(GString *unmatched, const char *option, const char *text)
{
  if (unmatched != NULL)
    g_string_append_printf(unmatched, "%s--%s '%s'", unmatched->len > 0 ? ", " : "", option, text);
}
