/* SPDX-License-Identifier: MIT */
#include "core/config.h"

#include "core/compiler.h"
#include "core/message.h"
#include "core/text.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* Decimal digits only, as a whole: no sign, no space, no overflow. */
static bool parse_u64(const char *text, size_t length, uint64_t *value)
{
  uint64_t result = 0;
  for (size_t i = 0; i < length; i++) {
    unsigned digit = (unsigned)(text[i] - '0');
    if (digit > 9 || __builtin_mul_overflow(result, 10u, &result) || __builtin_add_overflow(result, digit, &result))
      return false;
  }
  *value = result;
  return length > 0;
}

static bool parse_bounded(const char *text, uint64_t low, uint64_t high, uint64_t *value)
{
  uint64_t parsed;
  if (!parse_u64(text, strlen(text), &parsed) || parsed < low || parsed > high)
    return false;
  *value = parsed;
  return true;
}

/* 0: none. */
static char last_letter(const char *text, size_t length)
{
  char last = length > 0 ? text[length - 1] : '\0';
  return last >= 'a' ? (char)(last - 'a' + 'A') : last;
}

/* How often to double: 20 for M, MB, MiB. The length becomes that of the number. */
static unsigned take_unit(const char *text, size_t *length)
{
  static const char units[] = "KMG";
  size_t left = *length - (last_letter(text, *length) == 'B');
  if (left < *length)
    left -= last_letter(text, left) == 'I';
  char last = last_letter(text, left);
  const char *unit = last != '\0' ? strchr(units, last) : NULL;
  if (unit != NULL)
    *length = left - 1;
  else if (left + 1 == *length)
    *length = left; /* bytes */
  return unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
}

static bool parse_sample(struct config *config, const char *text)
{
  size_t length = strlen(text);
  unsigned shift = take_unit(text, &length);
  uint64_t bytes;
  if (!parse_u64(text, length, &bytes) || bytes == 0 || bytes > CONFIG_SAMPLE_MAX >> shift)
    return false;
  config->sample_interval_bytes = bytes << shift;
  return true;
}

static bool parse_out(struct config *config, const char *text)
{
  size_t length = strlen(text);
  if (length == 0 || length >= sizeof config->out_pattern || text[length - 1] == '/')
    return false;
  for (const char *percent = strchr(text, '%'); percent != NULL; percent = strchr(percent + 2, '%'))
    if (percent[1] == '\0' || strchr("ephnt%", percent[1]) == NULL)
      return false;
  memcpy(config->out_pattern, text, length + 1);
  return true;
}

struct signal_name {
  const char *name;
  int number;
};

/* Only signals that make sense as a request: not those that a fault raises, nor those that cannot be caught. */
static const struct signal_name signal_names[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT}, {"USR1", SIGUSR1},
    {"USR2", SIGUSR2},     {"PIPE", SIGPIPE}, {"ALRM", SIGALRM}, {"TERM", SIGTERM},
    {"STKFLT", SIGSTKFLT}, {"URG", SIGURG},   {"XCPU", SIGXCPU}, {"PROF", SIGPROF},
    {"WINCH", SIGWINCH},   {"IO", SIGIO},     {"PWR", SIGPWR},   {"VTALRM", SIGVTALRM},
};

static bool is_catchable(uint64_t number)
{
  if (number >= (uint64_t)SIGRTMIN && number <= (uint64_t)SIGRTMAX)
    return true;
  for (size_t i = 0; i < COUNT_OF(signal_names); i++)
    if ((uint64_t)signal_names[i].number == number)
      return true;
  return false;
}

static bool parse_signal(struct config *config, const char *text)
{
  uint64_t number = 0;
  if (strcmp(text, "none") == 0) {
    config->signal = CONFIG_SIGNAL_NONE;
    return true;
  }
  if (strncmp(text, "SIG", 3) == 0)
    text += 3;
  if (strcmp(text, "RTMIN") == 0)
    number = (uint64_t)SIGRTMIN;
  else if (strncmp(text, "RTMIN+", 6) == 0 && parse_bounded(text + 6, 0, (uint64_t)(SIGRTMAX - SIGRTMIN), &number))
    number += (uint64_t)SIGRTMIN;
  else if (strcmp(text, "RTMAX") == 0)
    number = (uint64_t)SIGRTMAX;
  else if (strncmp(text, "RTMAX-", 6) == 0 && parse_bounded(text + 6, 0, (uint64_t)(SIGRTMAX - SIGRTMIN), &number))
    number = (uint64_t)SIGRTMAX - number;
  else if (!parse_u64(text, strlen(text), &number))
    for (size_t i = 0; i < COUNT_OF(signal_names); i++)
      if (strcmp(signal_names[i].name, text) == 0)
        number = (uint64_t)signal_names[i].number;
  if (!is_catchable(number))
    return false;
  config->signal = (int)number;
  return true;
}

static bool is_word(const char *text, size_t length, const char *word)
{
  return length == strlen(word) && memcmp(text, word, length) == 0;
}

static bool parse_dump(struct config *config, const char *text)
{
  bool at_exit = false, on_signal = false, keep = false, is_last = strcmp(text, "none") == 0;
  while (!is_last) {
    size_t length = strcspn(text, ",");
    if (is_word(text, length, "exit"))
      at_exit = true;
    else if (is_word(text, length, "signal"))
      on_signal = true;
    else if (is_word(text, length, "keep"))
      keep = true;
    else
      return false;
    is_last = text[length] == '\0';
    text += length + 1;
  }
  config->dump_at_exit = at_exit;
  config->dump_on_signal = on_signal;
  config->keep_at_exit = keep;
  return true;
}

static bool parse_depth(struct config *config, const char *text)
{
  uint64_t depth;
  if (!parse_bounded(text, 1, CONFIG_DEPTH_MAX, &depth))
    return false;
  config->depth = (unsigned)depth;
  return true;
}

static bool parse_only(struct config *config, const char *text)
{
  size_t length = strlen(text);
  if (length == 0 || length >= sizeof config->only || text[strspn(text, ",")] == '\0' || strchr(text, '/') != NULL)
    return false;
  memcpy(config->only, text, length + 1);
  return true;
}

static bool parse_state_dir(struct config *config, const char *text)
{
  size_t length = strlen(text);
  if (text[0] != '/' || length >= sizeof config->state_dir)
    return false;
  memcpy(config->state_dir, text, length + 1);
  return true;
}

static bool parse_seed(struct config *config, const char *text)
{
  if (!parse_bounded(text, 0, UINT64_MAX, &config->seed))
    return false;
  config->seed_given = true;
  return true;
}

static bool parse_verbose(struct config *config, const char *text)
{
  uint64_t level;
  if (!parse_bounded(text, 0, 2, &level))
    return false;
  config->verbose = (unsigned)level;
  return true;
}

static bool parse_choice(const char *text, bool *choice)
{
  bool is_yes = strcmp(text, "yes") == 0;
  if (!is_yes && strcmp(text, "no") != 0)
    return false;
  *choice = is_yes;
  return true;
}

static bool parse_follow(struct config *config, const char *text)
{
  return parse_choice(text, &config->follow);
}

static bool parse_mmap(struct config *config, const char *text)
{
  return parse_choice(text, &config->sees_mappings);
}

struct setting {
  const char *variable;
  const char *default_text;
  const char *accepted;
  bool (*parse)(struct config *config, const char *text);
};

static const struct setting settings[] = {
#define HEAPPROF_SETTING(identifier, variable, kind, default_text, accepted, what)                                     \
  {variable, default_text, accepted, parse_##identifier},
#include "core/config.def"
#undef HEAPPROF_SETTING
};

void config_set_defaults(struct config *config)
{
  *config = (struct config){
      .sample_interval_bytes = 524288,
      .out_pattern = "heapprof.%e.%p.%n.pb.gz",
      .signal = SIGUSR2,
      .dump_at_exit = true,
      .dump_on_signal = true,
      .depth = 128,
      .follow = true,
  };
}

bool config_set(struct config *config, const char *variable, const char *value)
{
  for (size_t i = 0; i < COUNT_OF(settings); i++)
    if (strcmp(settings[i].variable, variable) == 0)
      return settings[i].parse(config, value);
  return false;
}

static void complain(const struct setting *setting, const char *value)
{
  char shown[256]; /* the rest of the line matters more than the end of a long value */
  struct text text = TEXT_INIT(shown);
  text_put(&text, value);
  message_print(setting->variable, "=", shown, text.cut ? "..." : "", " is not accepted (", setting->accepted,
                "); using ", setting->default_text);
}

void config_load(struct config *config)
{
  config_set_defaults(config);
  for (size_t i = 0; i < COUNT_OF(settings); i++) {
    const char *value = getenv(settings[i].variable);
    if (value != NULL && !settings[i].parse(config, value))
      complain(&settings[i], value);
  }
  const char *runtime_dir = getenv("XDG_RUNTIME_DIR");
  struct text text = TEXT_INIT(config->runtime_dir);
  if (runtime_dir != NULL)
    text_put(&text, runtime_dir);
  if (text.cut)
    config->runtime_dir[0] = '\0';
}

bool config_selects(const struct config *config, const char *program)
{
  size_t length = strlen(program);
  if (config->only[0] == '\0')
    return true;
  for (const char *name = config->only; *name != '\0';) {
    size_t name_length = strcspn(name, ",");
    if (name_length == length && length > 0 && memcmp(name, program, length) == 0)
      return true;
    name += name_length + (name[name_length] == ',');
  }
  return false;
}
