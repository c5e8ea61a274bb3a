#include "tests/simulation/wiped_tenant.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

constexpr char kTenant[] = "wiped";

InstanceKey Key(std::string id) {
  return {.tenant = kTenant, .id = std::move(id)};
}

}  // namespace

class WipedTenant::Sink final : public WorkSink {
 public:
  explicit Sink(std::shared_ptr<std::vector<Item>> items)
      : items_(std::move(items)) {}
  void Send(std::string item) override { items_->push_back(ReadItem(item)); }

 private:
  const std::shared_ptr<std::vector<Item>> items_;
};

void WipedTenant::Connect(NodeWorkExchange& work) {
  ++boots_;
  purging_.clear();
  items_ = std::make_shared<std::vector<Item>>();
  work.Connect({.tenant = kTenant, .slots = {3, 3, 3}, .filters = {}},
               std::make_shared<Sink>(items_));
}

InstanceKey WipedTenant::AnyKey() {
  return Key(absl::StrCat("o", Uniform(random_, 0, 3)));
}

void WipedTenant::Step(Engine& engine, NodeWorkExchange& work,
                       const Heard& heard) {
  switch (Uniform(random_, 0, 9)) {
    case 0:
    case 1:
    case 2:
      return Start(engine, heard);
    case 3:
      return Meddle(engine);
    case 4:
      return Look(engine, heard);
    case 5:
      return Wipe(engine, heard);
    default:
      return Work(work);
  }
}

void WipedTenant::Start(Engine& engine, const Heard& heard) {
  StartRequest request;
  request.key = AnyKey();
  request.name = "world";
  const std::string label = absl::StrCat(begun_.size());
  request.input = label;
  if (OneIn(random_, 2)) {
    request.policy.replaceable = {OrchestrationStatus::kCompleted,
                                  OrchestrationStatus::kFailed};
  }
  begun_[label] = {.id = request.key.id, .asked = ++sequence_};
  engine.Start(
      std::move(request),
      [this, label, heard](const absl::StatusOr<StartReceipt>& receipt) {
        if (!heard() || !receipt.ok()) return;
        begun_[label].acknowledged = ++sequence_;
      });
}

void WipedTenant::Meddle(Engine& engine) {
  const InstanceKey key = AnyKey();
  const auto done = [](const auto&) {};
  switch (Uniform(random_, 0, 5)) {
    case 0:
      return engine.RaiseEvent(key, "e", "x", done);
    case 1:
      return engine.Terminate(key, "gone", true, done);
    case 2:
      return engine.TerminateByForce(key, "gone", true, done);
    case 3:
      return engine.Rewind(key, "again", done);
    case 4:
      return engine.entities().Signal(
          {.key = Key("@c@0"), .operation = "add", .input = "1"}, done);
    default:
      ++purging_[key.id];
      purged_[key.id] = ++sequence_;
      return engine.Purge({key}, OneIn(random_, 2),
                          [this, id = key.id, boot = boots_](const auto&) {
                            purged_[id] = ++sequence_;
                            if (boot == boots_) --purging_[id];
                          });
  }
}

void WipedTenant::Wipe(Engine& engine, const Heard& heard) {
  const uint64_t asked = wipe_asked_ = ++sequence_;
  engine.Wipe(kTenant, [this, asked, heard](const absl::Status& status) {
    if (!heard() || !status.ok()) return;
    ++wipes_;
    wiped_ = std::max(wiped_, asked);
  });
}

void WipedTenant::RewindAll(Engine& engine) {
  for (const char* id : {"o0", "o1", "o2", "o3", "k0", "k1", "k2", "k3"}) {
    engine.Rewind(Key(id), "again", [](const absl::Status&) {});
  }
}

// ---- Work -------------------------------------------------------------------

void WipedTenant::Work(NodeWorkExchange& work) {
  if (items_->empty()) return;
  const size_t i = Uniform(random_, 0, items_->size() - 1);
  const Item item = std::move((*items_)[i]);
  items_->erase(items_->begin() + static_cast<std::ptrdiff_t>(i));
  const WorkName name{.token = item.token, .key = Key(item.id)};
  const auto done = [](const absl::Status&) {};
  if (item.batch) {
    BatchAnswer answer;
    answer.results.resize(item.events.size());
    answer.state = "state";
    return work.CompleteEntity(name, std::move(answer), done);
  }
  if (!item.turn) {
    return work.CompleteActivity(name, TaskCompleted{0, "r"}, done);
  }
  TurnAnswer answer;
  answer.actions = AnyActions(item);
  work.CompleteTurn(name, std::move(answer), done);
}

std::vector<OrchestratorAction> WipedTenant::AnyActions(const Item& item) {
  std::vector<OrchestratorAction> actions;
  auto id = static_cast<int32_t>(1000 * (1 + item.past.size()));
  for (uint64_t left = Uniform(random_, 0, 3); left > 0; --left) {
    switch (Uniform(random_, 0, 4)) {
      case 0: {
        SubOrchestrationCreated child;
        child.instance_id = absl::StrCat("k", Uniform(random_, 0, 3));
        child.name = "world";
        actions.push_back({++id, std::move(child)});
        break;
      }
      case 1: {
        TaskScheduled task;
        task.name = "any";
        actions.push_back({++id, std::move(task)});
        break;
      }
      case 2:
        actions.push_back({++id, EventSent{"o0", "e", std::nullopt}});
        break;
      case 3: {
        EntityOperationSignaled signal{.request_id = absl::StrCat("s", id),
                                       .operation = "add"};
        signal.target = "@c@1";
        actions.push_back({++id, std::move(signal)});
        break;
      }
      default:
        actions.push_back(
            {++id, EntityLockRequested{
                       absl::StrCat(item.execution_id, id), {"@c@0"}, 0}});
        break;
    }
  }
  if (OneIn(random_, 2)) return actions;
  CompleteExecution end;
  end.status = OneIn(random_, 3) ? OrchestrationStatus::kFailed
                                 : OrchestrationStatus::kCompleted;
  if (end.status == OrchestrationStatus::kFailed) {
    end.failure = MakeFailure("Failed", "it did");
  }
  actions.push_back({++id, std::move(end)});
  return actions;
}

// ---- What must be -----------------------------------------------------------

void WipedTenant::Look(Engine& engine, const Heard& heard) {
  OrchestrationQuery query;
  query.filter.tenant = kTenant;
  query.filter.count_max = 1000;
  query.payloads = true;
  const uint64_t asked = ++sequence_;
  engine.Query(std::move(query),
               [this, heard, asked,
                wiped = wiped_](const absl::StatusOr<OrchestrationPage>& page) {
                 if (heard() && page.ok()) Compare(*page, asked, wiped);
               });
}

void WipedTenant::Compare(const OrchestrationPage& page, uint64_t asked,
                          uint64_t wiped) {
  std::set<std::string> found;
  for (const OrchestrationInfo& info : page.orchestrations) {
    found.insert(info.id);
    const auto it = begun_.find(info.input.value_or(""));
    if (it == begun_.end()) continue;  // A child.
    if (it->second.acknowledged != 0 && it->second.acknowledged < wiped) {
      violation_ = absl::StrCat("run ", it->first, " of the wiped tenant was ",
                                "erased, and is there");
    }
  }
  if (!page.next_page_token.empty()) return;
  for (const auto& [label, one] : begun_) {
    const bool stays = one.acknowledged != 0 && one.acknowledged < asked &&
                       wipe_asked_ < one.asked && purging_[one.id] == 0 &&
                       purged_[one.id] < one.asked;
    if (stays && !found.contains(one.id)) {
      violation_ = absl::StrCat(one.id, " of the wiped tenant is lost");
    }
  }
}

}  // namespace leasehold
