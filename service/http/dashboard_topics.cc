#include "service/http/dashboard_topics.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/json.h"
#include "lease/base/mutex.h"
#include "service/http/dashboard_json.h"

namespace leasehold {
namespace {

using nlohmann::json;

// Between two looks.
constexpr absl::Duration kPause = absl::Milliseconds(250);
// And for what has ended, or is not there.
constexpr absl::Duration kEndedPause = absl::Seconds(2);
// Ends of leases are computed, so those that differ by less are the same.
constexpr int64_t kSameDeadlineMs = 20;

// Calls `use` for each context of a tenant with that prefix.
template <typename Use>
void ForEachContext(InstanceRegistry& registry, const std::string& tenant,
                    const std::string& prefix, Use use) {
  InstanceQuery query;
  query.page_size = 1000;
  query.id_prefix = prefix;
  do {
    absl::StatusOr<InstancePage> page = registry.List(tenant, query);
    if (!page.ok()) return;
    for (InstanceInfo& info : page->instances) use(std::move(info));
    query.page_token = std::move(page->next_page_token);
  } while (!query.page_token.empty());
}

// ---- Contexts ---------------------------------------------------------------

// A context as it was last sent.
struct ContextRow {
  json object;  // Without the end of its lease.
  std::optional<int64_t> deadline_ms;

  bool IsAs(const ContextRow& other) const {
    if (deadline_ms.has_value() != other.deadline_ms.has_value()) return false;
    if (deadline_ms.has_value() &&
        std::abs(*deadline_ms - *other.deadline_ms) > kSameDeadlineMs) {
      return false;
    }
    return object == other.object;
  }
  json ToJson() const {
    json whole = object;
    if (deadline_ms.has_value()) whole["lease_deadline_ms"] = *deadline_ms;
    return whole;
  }
};

class Contexts final : public LiveTopic {
 public:
  Contexts(const Clock& clock, InstanceRegistry& registry, WatchHub& hub,
           std::string tenant, std::string prefix)
      : clock_(clock),
        registry_(registry),
        hub_(hub),
        tenant_(std::move(tenant)),
        prefix_(std::move(prefix)),
        watcher_(std::make_shared<WatchHub::Watcher>(tenant_, prefix_, [] {})) {
    hub_.Add(watcher_);
  }
  ~Contexts() override { hub_.Remove(watcher_); }

  News Look(Instant now, bool snapshot, Instant& next) override {
    Rows rows = Read();
    const Reasons reasons = TakeReasons();
    const json server_now = MillisecondsOf(clock_.Now());
    News news;
    json changed = json::array();
    for (const auto& [key, row] : rows) {
      const auto before = rows_.find(key);
      if (before == rows_.end() || !row.IsAs(before->second)) {
        changed.push_back(row.ToJson());
      }
    }
    json closed = json::array();
    for (const auto& [key, row] : rows_) {
      if (rows.contains(key)) continue;
      json gone = {{"instance_id", row.object["instance_id"]},
                   {"generation", row.object["generation"]}};
      const auto reason = reasons.find(key);
      if (reason != reasons.end()) gone["reason"] = reason->second;
      closed.push_back(std::move(gone));
    }
    if (!changed.empty() || !closed.empty()) {
      news.change = ServerSentEvent("contexts",
                                    WriteJson({{"changed", std::move(changed)},
                                               {"closed", std::move(closed)},
                                               {"server_now_ms", server_now}}));
    }
    rows_ = std::move(rows);
    if (snapshot) news.snapshot = Snapshot(server_now);
    const Instant end = clock_.Now();
    next = end + PauseAfter(end - now, kPause);
    return news;
  }

 private:
  using Rows = absl::flat_hash_map<uint64_t, ContextRow>;  // By generation.
  using Reasons = absl::flat_hash_map<uint64_t, std::string>;

  static absl::Duration EndOf(const InstanceInfo& info) {
    return info.lease_remaining.value_or(absl::InfiniteDuration());
  }
  // Keeps those whose leases end first.
  static void Shorten(std::vector<InstanceInfo>& infos) {
    if (infos.size() <= kFollowedContextsMax) return;
    std::nth_element(infos.begin(), infos.begin() + kFollowedContextsMax,
                     infos.end(),
                     [](const InstanceInfo& a, const InstanceInfo& b) {
                       return EndOf(a) < EndOf(b);
                     });
    infos.resize(kFollowedContextsMax);
  }

  Rows Read() {
    total_ = 0;
    std::vector<InstanceInfo> infos;
    ForEachContext(registry_, tenant_, prefix_, [&](InstanceInfo info) {
      ++total_;
      infos.push_back(std::move(info));
      if (infos.size() >= 2 * kFollowedContextsMax) Shorten(infos);
    });
    Shorten(infos);
    const Instant now = clock_.Now();
    Rows rows;
    for (const InstanceInfo& info : infos) {
      ContextRow row{.object = ToJson(info, now), .deadline_ms = {}};
      const auto deadline = row.object.find("lease_deadline_ms");
      if (deadline != row.object.end()) {
        row.deadline_ms = deadline->get<int64_t>();
        row.object.erase(deadline);
      }
      rows.emplace(info.generation, std::move(row));
    }
    return rows;
  }

  std::string Snapshot(const json& server_now) const {
    json all = json::array();
    for (const auto& [key, row] : rows_) all.push_back(row.ToJson());
    json message = {{"snapshot", std::move(all)},
                    {"server_now_ms", server_now},
                    {"total", total_}};
    if (rows_.size() < total_) message["truncated"] = true;
    return ServerSentEvent("contexts", WriteJson(message));
  }

  // Why contexts have closed since the last look.
  Reasons TakeReasons() {
    Reasons reasons;
    for (const auto& event : watcher_->Take().events) {
      if (event->kind == InstanceEventKind::kClosed) {
        reasons[event->generation] =
            std::string(DetachReasonName(event->reason));
      }
    }
    return reasons;
  }

  const Clock& clock_;
  InstanceRegistry& registry_;
  WatchHub& hub_;
  const std::string tenant_;
  const std::string prefix_;
  const std::shared_ptr<WatchHub::Watcher> watcher_;
  Rows rows_;
  size_t total_ = 0;
};

// ---- One orchestration ------------------------------------------------------

class FollowedOrchestration final : public LiveTopic {
 public:
  FollowedOrchestration(Orchestrations& orchestrations, InstanceKey key)
      : orchestrations_(orchestrations), key_(std::move(key)) {}
  ~FollowedOrchestration() override {
    if (waiting_.has_value()) orchestrations_.CancelWait(key_, *waiting_);
  }

  News Look(Instant now, bool snapshot, Instant& next) override {
    const std::string before = message_;
    if (waiting_.has_value()) TakeAnswer(now);
    if (!waiting_.has_value() && now >= ask_again_) Ask();
    next = now + (message_.empty() ? kFirstPause : kPause);
    News news;
    if (snapshot) news.snapshot = message_;
    if (message_ != before) news.change = message_;
    return news;
  }

 private:
  using Answer = absl::StatusOr<Orchestrations::SharedInfo>;
  // Where an answer arrives, on any thread, perhaps after the topic has ended.
  struct Inbox {
    Mutex mu;
    std::optional<Answer> answer ABSL_GUARDED_BY(mu);
  };
  // While nothing is known yet.
  static constexpr absl::Duration kFirstPause = absl::Milliseconds(20);

  void Ask() {
    inbox_ = std::make_shared<Inbox>();
    waiting_ = orchestrations_.Wait(
        {.key = key_,
         .until = Until::kChanged,
         .payloads = false,
         .seen = seen_,
         // Waits are limited by connection, and each topic has one.
         .peer = absl::StrCat("dashboard:", key_.tenant, ":", key_.id)},
        [inbox = inbox_](const Answer& answer) {
          MutexLock lock(inbox->mu);
          inbox->answer = answer;
        });
  }

  void TakeAnswer(Instant now) {
    std::optional<Answer> answer;
    {
      MutexLock lock(inbox_->mu);
      answer = std::exchange(inbox_->answer, std::nullopt);
    }
    if (!answer.has_value()) return;
    waiting_.reset();
    ask_again_ = now;
    seen_ = 0;
    if (!answer->ok()) {  // The store cannot be read now.
      ask_again_ = now + kEndedPause;
      return;
    }
    const Orchestrations::SharedInfo& info = **answer;
    if (info == nullptr || IsFinished(info->status)) {
      ask_again_ = now + kEndedPause;
    } else {
      seen_ = info->revision;
    }
    const json data = info == nullptr
                          ? json{{"instance_id", key_.id}, {"gone", true}}
                          : json{{"orchestration", ToJson(*info)}};
    message_ = ServerSentEvent("orchestration", WriteJson(data));
  }

  Orchestrations& orchestrations_;
  const InstanceKey key_;
  std::shared_ptr<Inbox> inbox_;
  std::optional<Orchestrations::WaitId> waiting_;
  uint64_t seen_ = 0;
  Instant ask_again_{};
  std::string message_;  // The last one; empty: there was none.
};

// ---- The strip of an ID -----------------------------------------------------

class FollowedStrip final : public LiveTopic {
 public:
  FollowedStrip(const Strips& strips, InstanceKey key)
      : strips_(strips), key_(std::move(key)) {}

  News Look(Instant now, bool snapshot, Instant& next) override {
    next = now + kPause;
    const uint64_t version = strips_.VersionOf(key_);
    const bool changed = std::exchange(version_, version) != version;
    if (!changed && !snapshot) return {};
    const std::string message = ServerSentEvent(
        "strip", WriteJson({{"instance_id", key_.id},
                            {"version", absl::StrCat(version)}}));
    return {.snapshot = snapshot ? message : "",
            .change = changed ? message : ""};
  }

 private:
  const Strips& strips_;
  const InstanceKey key_;
  uint64_t version_ = 0;
};

}  // namespace

std::unique_ptr<LiveTopic> ContextsTopic(const Clock& clock,
                                         InstanceRegistry& registry,
                                         WatchHub& hub, std::string tenant,
                                         std::string prefix) {
  return std::make_unique<Contexts>(clock, registry, hub, std::move(tenant),
                                    std::move(prefix));
}

std::unique_ptr<LiveTopic> OrchestrationTopic(Orchestrations& orchestrations,
                                              InstanceKey key) {
  return std::make_unique<FollowedOrchestration>(orchestrations,
                                                 std::move(key));
}

std::unique_ptr<LiveTopic> StripTopic(const Strips& strips, InstanceKey key) {
  return std::make_unique<FollowedStrip>(strips, std::move(key));
}

}  // namespace leasehold
