/* SPDX-License-Identifier: MIT */
#include "tools/serve/clients.h"

#include <string.h>

struct client {
  char *name;
  struct parcel *marks;
};

struct clients {
  GQueue *all; /* struct client *, who asked last first */
  uint64_t bytes;
};

struct clients *clients_new(void)
{
  struct clients *clients = g_new0(struct clients, 1);
  clients->all = g_queue_new();
  return clients;
}

static void forget(struct clients *clients, GList *link)
{
  struct client *client = link->data;
  clients->bytes -= client->marks->size;
  parcel_release(client->marks);
  g_free(client->name);
  g_free(client);
  g_queue_delete_link(clients->all, link);
}

void clients_free(struct clients *clients)
{
  while (clients->all->length > 0)
    forget(clients, clients->all->head);
  g_queue_free(clients->all);
  g_free(clients);
}

static GList *find(const struct clients *clients, const char *name)
{
  GList *at = clients->all->head;
  while (at != NULL && strcmp(((const struct client *)at->data)->name, name) != 0)
    at = at->next;
  return at;
}

struct parcel *clients_get(const struct clients *clients, const char *name)
{
  GList *link = find(clients, name);
  return link != NULL ? ((const struct client *)link->data)->marks : NULL;
}

void clients_put(struct clients *clients, const char *name, struct parcel *marks)
{
  GList *link = find(clients, name);
  struct client *client = g_new(struct client, 1);
  *client = (struct client){g_strdup(name), parcel_hold(marks)};
  if (link != NULL)
    forget(clients, link);
  g_queue_push_head(clients->all, client);
  clients->bytes += marks->size;
  while (clients->all->length > 1 && (clients->all->length > CLIENTS_MAX || clients->bytes > CLIENTS_BYTES_MAX))
    forget(clients, clients->all->tail);
}
