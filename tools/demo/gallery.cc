/* SPDX-License-Identifier: MIT */
/* What `./bootstrap demo` profiles: a picture gallery on a day in the life of a service. Four threads serve visitors,
 * thumbnails are kept in a cache of limited size, and in the evening a report is made of the day. Something is forgotten
 * besides: heapprof tells what. */
#include <algorithm>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <unordered_map>
#include <vector>

static const int first_hour = 9, last_hour = 18, visitors_per_hour = 40000, workers = 4;

using Pixels = std::vector<unsigned char>;

/* Thumbnails of pictures, no more than there is room for: the oldest goes first. */
class Cache {
public:
  std::shared_ptr<Pixels> get(int picture)
  {
    std::lock_guard<std::mutex> guard(mutex);
    std::shared_ptr<Pixels> &thumbnail = thumbnails[picture];
    if (thumbnail == nullptr)
      thumbnail = insert(picture);
    return thumbnail;
  }

private:
  std::shared_ptr<Pixels> insert(int picture)
  {
    int &oldest = pictures[inserted++ % pictures.size()];
    thumbnails.erase(oldest);
    oldest = picture;
    return shrink(decode(picture));
  }

  static Pixels decode(int picture)
  {
    return Pixels(256 << 10, static_cast<unsigned char>(picture));
  }

  static std::shared_ptr<Pixels> shrink(const Pixels &large)
  {
    auto small = std::make_shared<Pixels>();
    for (std::size_t i = 0; i < large.size(); i += 16)
      small->push_back(large[i]);
    return small;
  }

  std::mutex mutex;
  std::unordered_map<int, std::shared_ptr<Pixels>> thumbnails;
  std::vector<int> pictures = std::vector<int>(1000, -1);
  std::size_t inserted = 0;
};

struct Session {
  int visitor;
  std::string greeting;
  std::vector<int> seen;

  void look_at(int picture)
  {
    seen.push_back(picture);
  }
};

/* Who is here now. */
class Sessions {
public:
  Session *open(int visitor)
  {
    auto *session = new Session{visitor, "Welcome, visitor " + std::to_string(visitor) + "!", {}};
    std::lock_guard<std::mutex> guard(mutex);
    return present[visitor] = session;
  }

  void close(const Session *session)
  {
    std::lock_guard<std::mutex> guard(mutex);
    present.erase(session->visitor); /* and who deletes the session? */
  }

private:
  std::mutex mutex;
  std::unordered_map<int, Session *> present;
};

class Gallery {
public:
  void open_for_an_hour()
  {
    std::vector<std::thread> threads;
    for (int worker = 0; worker < workers; worker++)
      threads.emplace_back(&Gallery::work, this, worker);
    for (std::thread &thread : threads)
      thread.join();
    visitors += visitors_per_hour;
  }

  /* A line for each visitor, in the order of their names. */
  std::size_t report() const
  {
    std::vector<std::string> lines;
    for (int visitor = 0; visitor < visitors; visitor++)
      lines.push_back("<tr><td>visitor " + std::to_string(visitor) + "<td>" + describe(visitor));
    std::sort(lines.begin(), lines.end());
    std::string page;
    for (const std::string &line : lines)
      page += line + "</tr>\n";
    return page.size();
  }

private:
  void work(int worker)
  {
    for (int visitor = visitors + worker; visitor < visitors + visitors_per_hour; visitor += workers)
      serve(visitor);
  }

  void serve(int visitor)
  {
    Session *session = sessions.open(visitor);
    for (int picture = visitor / 20; picture < visitor / 20 + 12; picture++) {
      cache.get(picture);
      session->look_at(picture);
    }
    sessions.close(session);
  }

  static std::string describe(int visitor)
  {
    return "pictures " + std::to_string(visitor / 20) + " to " + std::to_string(visitor / 20 + 11);
  }

  Cache cache;
  Sessions sessions;
  int visitors = 0;
};

/* There is time to look into it from outside. */
static void have_lunch()
{
  std::printf("gallery (%d): noon, Enter opens it again\n", getpid());
  std::fflush(stdout);
  while (std::getchar() != '\n' && !std::feof(stdin))
    ;
}

int main()
{
  auto *gallery = new Gallery; /* for ever, as services have it */
  for (int hour = first_hour; hour < last_hour; hour++) {
    if (hour == 12)
      have_lunch();
    gallery->open_for_an_hour();
  }
  std::printf("gallery (%d): closed, the list of visitors has %zu bytes\n", getpid(), gallery->report());
}
