/* SPDX-License-Identifier: MIT */
/* Allocations that libc makes for its caller. Only those whose size is in the manual are made beneath victim_*. */
#include "shadow.h"

#include <string.h>

VICTIM void victim_strdup(const char *text)
{
  shadow_add(strdup(text), strlen(text) + 1);
  shadow_add(strndup(text, 5), 6);
  free(shadow_add(strdup(text), strlen(text) + 1));
  shadow_remove(strlen(text) + 1);
}

static size_t read_lines(const char *path)
{
  char *line = NULL;
  size_t capacity = 0, bytes = 0;
  FILE *file = fopen(path, "r");
  REQUIRE(file != NULL);
  for (ssize_t length; (length = getline(&line, &capacity, file)) > 0;)
    bytes += (size_t)length;
  fclose(file);
  free(line);
  return bytes;
}

static size_t format(void)
{
  char *text = NULL, *stream_text = NULL;
  size_t stream_size = 0;
  REQUIRE(asprintf(&text, "%1000d", 7) == 1000);
  FILE *stream = open_memstream(&stream_text, &stream_size);
  for (int i = 0; i < 5000; i++)
    fprintf(stream, "%s", text);
  fclose(stream);
  free(text);
  free(stream_text);
  return stream_size;
}

int main(int argc, char **argv)
{
  victim_strdup("a string of some length");
  dprintf(STDOUT_FILENO, "read %zu, formatted %zu\n", argc > 1 ? read_lines(argv[1]) : 0, format());
  shadow_print();
  return 0;
}
