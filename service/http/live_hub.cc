#include "service/http/live_hub.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace leasehold {
namespace {

// Proxies end what is silent for longer.
constexpr absl::Duration kHeartbeat = absl::Seconds(15);
// Behind so much a message of any size is queued: a snapshot may be long.
constexpr size_t kLittle = 4096;

}  // namespace

std::string ServerSentEvent(const std::string& name, const std::string& data) {
  return absl::StrCat("event: ", name, "\ndata: ", data, "\n\n");
}

struct LiveHub::Topic {
  std::string name;
  std::function<std::unique_ptr<LiveTopic>()> make;
  // These belong to the thread that looks.
  std::unique_ptr<LiveTopic> topic;
  Instant next{};
};

// Members are guarded by the State's lock, and are not declared so because a
// Stream does not know it.
struct LiveHub::Stream {
  struct Following {
    std::shared_ptr<Topic> topic;
    bool needs_snapshot = true;
  };

  using Message = std::shared_ptr<const std::string>;

  std::vector<Following> following;
  std::deque<Message> queued;         // Shared with the other streams.
  size_t bytes = 0;                   // Of them, but for what was taken.
  size_t taken = 0;                   // Bytes of the first one.
  std::shared_ptr<size_t> of_tenant;  // Bytes of all streams of the tenant.
  HttpBody::Done waiting;             // Empty: nobody does.
  std::function<bool()> may_still;
  bool ended = false;
  bool over = false;  // The client gets no more.
  Instant heard{};    // When something was last queued.
  Instant end{};      // When it is over.
  Instant ask{};      // When to ask whether it may go on.

  // Queues a message. False: there is too much already, and it is lost, as is
  // all that was queued.
  bool Add(const Message& message, Instant now) {
    heard = now;
    const size_t first = queued.empty() ? 0 : queued.front()->size() - taken;
    const bool fits =
        (bytes <= kLittle || bytes - first + message->size() <= kQueueMax) &&
        (*of_tenant == 0 || *of_tenant + message->size() <= kTenantQueueMax);
    if (fits) {
      Push(message);
      return true;
    }
    for (Following& one : following) one.needs_snapshot = true;
    if (bytes <= kLittle) return false;  // It is others that hold so much.
    // The client has begun to read the first one.
    const Message begun = taken == 0 ? nullptr : queued.front();
    const size_t at = taken;
    Clear();
    if (begun != nullptr) {
      Push(begun);
      taken = at;
      Change(-static_cast<int64_t>(at));
    }
    Push(std::make_shared<const std::string>(ServerSentEvent("lagged", "{}")));
    return false;
  }
  void Clear() {
    queued.clear();
    taken = 0;
    Change(-static_cast<int64_t>(bytes));
  }
  // What the client is given next; empty: nothing is queued.
  std::string TakePart() {
    std::string part;
    while (!queued.empty() && part.size() < kPartMax) {
      const std::string& first = *queued.front();
      const size_t more =
          std::min(first.size() - taken, kPartMax - part.size());
      part.append(first, taken, more);
      taken += more;
      if (taken < first.size()) break;
      taken = 0;
      queued.pop_front();
    }
    Change(-static_cast<int64_t>(part.size()));
    return part;
  }
  // The client gets no more.
  void End() {
    over = true;
    Clear();
  }

 private:
  void Push(Message message) {
    Change(static_cast<int64_t>(message->size()));
    queued.push_back(std::move(message));
  }
  void Change(int64_t by) {
    bytes += static_cast<size_t>(by);
    *of_tenant += static_cast<size_t>(by);
  }
};

// Hands streams what is queued for them, if they wait for it. Destroyed without
// the lock.
class LiveHub::Handing {
 public:
  ~Handing() {
    for (Ready& one : ready_) one.done(std::move(one.part));
  }
  // With the lock held.
  void Take(Stream& stream) {
    if (!stream.waiting || stream.queued.empty()) return;
    ready_.push_back(
        {std::exchange(stream.waiting, nullptr), stream.TakePart()});
  }
  void TakeEnd(Stream& stream) {
    if (!stream.waiting) return;
    ready_.push_back({std::exchange(stream.waiting, nullptr), std::string()});
  }

 private:
  struct Ready {
    HttpBody::Done done;
    std::string part;
  };
  std::vector<Ready> ready_;
};

class LiveHub::Body final : public HttpBody {
 public:
  Body(std::shared_ptr<State> state, std::shared_ptr<Stream> stream)
      : state_(std::move(state)), stream_(std::move(stream)) {}
  ~Body() override {
    MutexLock lock(state_->mu);
    stream_->ended = true;
    stream_->End();
    stream_->waiting = nullptr;
    state_->changed = true;
    state_->wake.NotifyAll();
  }

  void Next(Done done) override {
    std::string part;
    {
      MutexLock lock(state_->mu);
      part = stream_->TakePart();
      if (part.empty() && !stream_->over && !state_->stopping) {
        stream_->waiting = std::move(done);
        return;
      }
    }
    done(std::move(part));
  }

 private:
  const std::shared_ptr<State> state_;
  const std::shared_ptr<Stream> stream_;
};

LiveHub::LiveHub(Clock& clock)
    : clock_(clock), state_(std::make_shared<State>()) {}

LiveHub::~LiveHub() { Stop(); }

void LiveHub::Start() {
  thread_ = std::thread([this] { Run(); });
}

void LiveHub::Stop() {
  {
    Handing handing;
    MutexLock lock(state_->mu);
    state_->stopping = true;
    state_->wake.NotifyAll();
    for (const std::shared_ptr<Stream>& stream : state_->streams) {
      handing.TakeEnd(*stream);
    }
  }
  if (thread_.joinable()) thread_.join();
  // Topics end before what they look at; and without the lock, as ending them
  // may take a moment.
  std::map<std::string, std::shared_ptr<Topic>> topics;
  MutexLock lock(state_->mu);
  for (const std::shared_ptr<Stream>& stream : state_->streams) {
    stream->following.clear();
  }
  state_->streams.clear();
  topics.swap(state_->topics);
}

std::unique_ptr<HttpBody> LiveHub::Follow(std::vector<Followed> topics,
                                          Viewer viewer) {
  const Instant now = clock_.Now();
  const auto stream = std::make_shared<Stream>();
  stream->may_still = std::move(viewer.may_still);
  stream->ask = stream->may_still ? now + kAskAgain : Instant::Infinite();
  stream->end = now + viewer.lifetime;
  MutexLock lock(state_->mu);
  std::shared_ptr<size_t>& unread = state_->unread[viewer.tenant];
  if (unread == nullptr) unread = std::make_shared<size_t>(0);
  stream->of_tenant = unread;
  stream->Add(std::make_shared<const std::string>("retry: 2000\n\n"), now);
  if (!state_->stopping) {
    for (Followed& one : topics) {
      std::shared_ptr<Topic>& topic = state_->topics[one.name];
      if (topic == nullptr) {
        topic = std::make_shared<Topic>(Topic{
            .name = one.name, .make = std::move(one.make), .topic = nullptr});
      }
      stream->following.push_back({.topic = topic});
    }
    state_->streams.push_back(stream);
    state_->changed = true;
    state_->wake.NotifyAll();
  }
  return std::make_unique<Body>(state_, stream);
}

size_t LiveHub::topics() const {
  MutexLock lock(state_->mu);
  return state_->topics.size();
}

size_t LiveHub::UnreadOf(const std::string& tenant) const {
  MutexLock lock(state_->mu);
  const auto unread = state_->unread.find(tenant);
  return unread == state_->unread.end() ? 0 : *unread->second;
}

std::vector<std::shared_ptr<LiveHub::Topic>> LiveHub::TakeOutEnded() {
  std::vector<std::shared_ptr<Topic>> gone;
  MutexLock lock(state_->mu);
  std::erase_if(state_->streams,
                [](const auto& stream) { return stream->ended; });
  std::erase_if(state_->unread,
                [](const auto& one) { return one.second.use_count() == 1; });
  std::set<const Topic*> followed;
  for (const std::shared_ptr<Stream>& stream : state_->streams) {
    for (const Stream::Following& one : stream->following) {
      followed.insert(one.topic.get());
    }
  }
  for (auto it = state_->topics.begin(); it != state_->topics.end();) {
    if (followed.contains(it->second.get())) {
      ++it;
    } else {
      gone.push_back(std::move(it->second));
      it = state_->topics.erase(it);
    }
  }
  return gone;
}

Instant LiveHub::LookNow() {
  TakeOutEnded();
  AskAgain(clock_.Now());
  struct Due {
    std::shared_ptr<Topic> topic;
    bool snapshot = false;
  };
  std::map<const Topic*, Due> all;
  {
    MutexLock lock(state_->mu);
    for (const std::shared_ptr<Stream>& stream : state_->streams) {
      for (const Stream::Following& one : stream->following) {
        Due& due = all[one.topic.get()];
        due.topic = one.topic;
        due.snapshot = due.snapshot || one.needs_snapshot;
      }
    }
  }
  const Instant now = clock_.Now();
  Instant next = all.empty() ? Instant::Infinite() : now + kAskAgain;
  for (auto& [key, due] : all) {
    Topic& topic = *due.topic;
    if (topic.topic == nullptr) topic.topic = topic.make();
    if (due.snapshot || topic.next <= now) {
      Send(topic, topic.topic->Look(now, due.snapshot, topic.next));
    }
    next = std::min(next, topic.next);
  }
  SendHeartbeats(now);
  return next;
}

void LiveHub::Send(const Topic& topic, const LiveTopic::News& news) {
  Handing handing;
  MutexLock lock(state_->mu);
  const Instant now = clock_.Now();
  const auto snapshot = std::make_shared<const std::string>(news.snapshot);
  const auto change = std::make_shared<const std::string>(news.change);
  for (const std::shared_ptr<Stream>& stream : state_->streams) {
    if (stream->over) continue;
    for (Stream::Following& one : stream->following) {
      if (one.topic.get() != &topic) continue;
      const auto& message = one.needs_snapshot ? snapshot : change;
      if (message->empty()) continue;
      if (stream->Add(message, now)) one.needs_snapshot = false;
    }
    handing.Take(*stream);
  }
}

void LiveHub::AskAgain(Instant now) {
  std::vector<std::shared_ptr<Stream>> due;
  {
    MutexLock lock(state_->mu);
    for (const std::shared_ptr<Stream>& stream : state_->streams) {
      if (stream->over || stream->ask > now) continue;
      stream->ask = now + kAskAgain;
      due.push_back(stream);
    }
  }
  std::erase_if(due, [](const auto& stream) { return stream->may_still(); });
  Handing handing;
  MutexLock lock(state_->mu);
  for (const std::shared_ptr<Stream>& stream : due) {
    stream->End();
    handing.TakeEnd(*stream);
  }
}

void LiveHub::SendHeartbeats(Instant now) {
  Handing handing;
  MutexLock lock(state_->mu);
  const auto beat = std::make_shared<const std::string>(": \n\n");
  for (const std::shared_ptr<Stream>& stream : state_->streams) {
    if (stream->over) continue;
    if (stream->end <= now) {
      stream->over = true;
      handing.TakeEnd(*stream);
      continue;
    }
    if (stream->heard + kHeartbeat > now) continue;
    stream->Add(beat, now);
    handing.Take(*stream);
  }
}

void LiveHub::Run() {
  for (;;) {
    const Instant next = LookNow();
    MutexLock lock(state_->mu);
    while (!state_->stopping && !state_->changed && clock_.Now() < next) {
      clock_.WaitUntil(state_->wake, state_->mu, next);
    }
    state_->changed = false;
    if (state_->stopping) return;
  }
}

}  // namespace leasehold
