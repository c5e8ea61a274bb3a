#include "tests/simulation/orchestration_world.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "service/orchestration/engine.h"
#include "service/orchestration/node_work_exchange.h"
#include "tests/simulation/known_life.h"
#include "tests/simulation/orchestration_program.h"
#include "tests/simulation/orchestration_server.h"
#include "tests/simulation/wiped_tenant.h"
#include "tests/simulation/world_entities.h"
#include "tests/support/power_vfs.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

constexpr size_t kIds = 6;
constexpr size_t kWorkers = 2;
constexpr const char* kKinds[] = {"collect", "chain",   "fan",   "timer",
                                  "parent",  "eternal", "flaky", "hopeful"};

class World final : private EngineObserver {
 public:
  World(Random& random, Durability durability, WorldCounts& counts)
      : random_(random), durability_(durability), counts_(counts) {}
  ~World() override { TearDown(); }

  std::optional<std::string> Run() {
    Boot();
    const uint64_t losses = Uniform(random_, 1, 3);
    for (uint64_t loss = 0; !violation_ && loss < losses; ++loss) {
      const bool store_fails = OneIn(random_, 3);
      const uint64_t steps = Uniform(random_, 5, 160);
      for (uint64_t i = 0; i < steps && !violation_; ++i) {
        if (store_fails && i == steps / 2) BreakStore();
        Step();
      }
      if (!violation_) LosePower();
    }
    if (!violation_) DriveToEnd();
    return violation_;
  }

 private:
  struct Sink final : WorkSink {
    Sink(World& world, size_t worker) : world(world), worker(worker) {}
    void Send(std::string item) override { world.OnItem(worker, item); }
    World& world;
    const size_t worker;
  };

  void OnStoreFailed(const absl::Status&) override { ++counts_.store_failures; }
  void OnStoreRecovered(size_t) override { ++counts_.recoveries; }
  void OnWork(const WorkEvent&) override {}
  void OnStopped(const EngineCounts&) override {}

  void Note(std::string what) {
    trace_.push_back(std::move(what));
    if (trace_.size() > 60) trace_.pop_front();
  }
  void Break(const std::string& what) {
    if (violation_.has_value()) return;
    violation_ = absl::StrCat(what, "\nthe last steps:\n  ",
                              absl::StrJoin(trace_, "\n  "));
  }

  // ---- The machine ----------------------------------------------------------

  void Boot() {
    ++boots_;
    meddling_.clear();
    purging_.clear();
    EngineObserver& observer = *this;
    server_ = std::make_unique<OrchestrationServer>(clock_, vfs_, durability_,
                                                    observer);
    const absl::Status status = server_->engine.Open();
    if (!status.ok()) return Break(status.ToString());
    for (size_t i = 0; i < kWorkers; ++i) ConnectWorker();
    wiped_.Connect(server_->work);
  }

  void ConnectWorker() {
    const size_t worker = server_->workers.size();
    server_->workers.push_back(server_->work.Connect(
        {.tenant = std::string(kTestTenant), .slots = {3, 3, 3}, .filters = {}},
        std::make_shared<Sink>(*this, worker)));
  }

  bool RunOne() { return server_->RunOne(random_); }
  void RunAll() {
    while (RunOne()) {
    }
  }

  void TearDown() {
    if (server_ == nullptr) return;
    down_ = true;
    RunAll();
    server_->engine.Stop();
    bool closed = false;
    server_->registry.Shutdown([&closed] { closed = true; });
    while (!closed) {
      if (!RunOne()) break;
    }
    server_.reset();
    items_.clear();
    down_ = false;
  }

  void LosePower() {
    Note("the power fails");
    ++counts_.power_losses;
    // From here on no caller gets an answer.
    down_ = true;
    vfs_.PowerLoss(random_);
    TearDown();
    vfs_.FillUp(std::nullopt);
    Boot();
    CheckAll();
  }

  void BreakStore() {
    Note("the store begins to fail");
    if (OneIn(random_, 2)) {
      vfs_.FailSync(static_cast<int64_t>(Uniform(random_, 0, 3)));
    } else {
      vfs_.FillUp(static_cast<int64_t>(Uniform(random_, 0, 20'000)));
    }
  }

  // ---- Callers --------------------------------------------------------------

  std::string AnyId() {
    return absl::StrCat("o", Uniform(random_, 0, kIds - 1));
  }
  static InstanceKey Key(const std::string& id) {
    return NormalKey("default", id);
  }

  void Step() {
    ++counts_.steps;
    switch (Uniform(random_, 0, 18)) {
      case 0:
      case 1:
        return Start();
      case 2:
      case 3:
        return Raise(AnyId(), absl::StrCat("e", ++last_event_));
      case 4:
      case 5:
      case 6:
      case 7:
        return Work();
      case 8:
        return Get(AnyId());
      case 9:
        return Advance();
      case 10:
        return Meddle();
      case 11:
        return Bother();
      case 12:
        return Rewind(AnyId());
      case 13:
        return entities_.Step(server_->engine, Heard());
      case 14:
      case 15:
        return wiped_.Step(server_->engine, server_->work, Heard());
      default:
        RunOne();
    }
  }

  void Advance() {
    clock_.Advance(absl::Milliseconds(Uniform(random_, 1, 120)));
    server_->registry.RunDueLeases();
    server_->engine.FireTimers();
  }

  WorldEntities::Heard Heard() {
    return [this, boot = boots_] { return !Unheard(boot); };
  }
  // The calls below do not count if the power fails before they are answered.
  bool Unheard(uint64_t boot) {
    if (!down_ && boot == boots_) return false;
    ++counts_.unknown;
    return true;
  }

  void Start() {
    const std::string id = AnyId();
    const std::string kind = kKinds[Uniform(random_, 0, std::size(kKinds) - 1)];
    const std::string label = absl::StrCat(++last_label_);
    KnownLife& life = lives_[label];
    life.label = label;
    life.id = id;
    life.kind = kind;
    life.meddled = meddling_[id] > 0;
    StartRequest request;
    request.key = Key(id);
    request.name = "world";
    request.input = absl::StrCat(kind, ":", label);
    if (OneIn(random_, 3)) {
      request.policy.replaceable = {OrchestrationStatus::kCompleted};
    }
    Note(absl::StrCat("start ", id, " as ", *request.input));
    server_->engine.Start(
        std::move(request), [this, label, boot = boots_](
                                const absl::StatusOr<StartReceipt>& receipt) {
          if (Unheard(boot)) return;
          if (receipt.ok()) {
            ++counts_.starts;
            IsThere(label, "its start");
          } else if (absl::IsAlreadyExists(receipt.status())) {
            ++counts_.refused;
            lives_[label].state = KnownLife::State::kRefused;
          }
          // Unavailable: nothing was done, or it is unknown.
        });
  }

  // A caller has seen that this life exists.
  void IsThere(const std::string& label, const std::string& by) {
    const auto it = lives_.find(label);
    if (it == lives_.end()) return;  // A child.
    KnownLife& life = it->second;
    if (life.state == KnownLife::State::kRefused) {
      return Break(
          absl::StrCat("life ", label, " was refused, and ", by, " shows it"));
    }
    if (life.state == KnownLife::State::kThere) return;
    life.state = KnownLife::State::kThere;
    life.there_since = ++sequence_;
    Note(absl::StrCat("life ", label, " of ", life.id, " is there: ", by));
  }

  // The label of the latest life that is known to exist, if no other one could.
  std::optional<std::string> Certain(const std::string& id) {
    std::optional<std::string> latest;
    for (const auto& [label, life] : lives_) {
      if (life.id != id || life.state == KnownLife::State::kRefused) continue;
      if (life.state == KnownLife::State::kUnknown) return std::nullopt;
      if (!latest || lives_[*latest].there_since < life.there_since) {
        latest = label;
      }
    }
    return latest;
  }

  void Raise(const std::string& id, const std::string& input) {
    Note(absl::StrCat("raise ", input, " to ", id));
    const std::optional<std::string> label = Certain(id);
    if (input == "end" && label) lives_[*label].end_sent = true;
    server_->engine.RaiseEvent(
        Key(id), "e", input,
        [this, id, input, label, boot = boots_](const absl::Status& status) {
          if (Unheard(boot) || !status.ok()) return;
          ++counts_.events;
          // The same life before and after, and it collects: it will get the
          // event.
          if (label != Certain(id) || !label) return;
          KnownLife& life = lives_[*label];
          if (life.kind != "collect" || life.meddled || life.end_sent) return;
          Note(absl::StrCat(input, " was taken by life ", *label));
          life.events.insert(input);
        });
  }

  void Meddle() {
    const std::string id = AnyId();
    if (OneIn(random_, 2)) return Purge(id);
    for (auto& [label, life] : lives_) {
      if (life.id == id) life.meddled = true;
    }
    // It may reach a life that starts before it is answered.
    ++meddling_[id];
    const auto done = [this, id, boot = boots_](const absl::Status&) {
      if (boot == boots_) --meddling_[id];
    };
    if (OneIn(random_, 6)) {
      Note(absl::StrCat("terminate ", id, " by force"));
      server_->engine.TerminateByForce(Key(id), "gone", true, done);
    } else if (OneIn(random_, 3)) {
      Note(absl::StrCat("terminate ", id));
      server_->engine.Terminate(Key(id), "gone", true, done);
    } else if (OneIn(random_, 2)) {
      Note(absl::StrCat("suspend ", id));
      server_->engine.Suspend(Key(id), std::nullopt, done);
    } else {
      Note(absl::StrCat("resume ", id));
      server_->engine.Resume(Key(id), std::nullopt, done);
    }
  }

  void Purge(const std::string& id) {
    Note(absl::StrCat("purge ", id));
    ++purging_[id];
    server_->engine.Purge(
        {Key(id)}, OneIn(random_, 2),
        [this, id, boot = boots_](const absl::StatusOr<PurgeResult>& result) {
          if (boot == boots_) --purging_[id];
          purge_tried_[id] = ++sequence_;
          if (Unheard(boot) || !result.ok() || result->erased == 0) return;
          ++counts_.purges;
          Note(absl::StrCat(id, " is purged"));
        });
  }

  void Rewind(const std::string& id) {
    Note(absl::StrCat("rewind ", id));
    server_->engine.Rewind(Key(id), "again",
                           [this, boot = boots_](const absl::Status& status) {
                             if (Unheard(boot) || !status.ok()) return;
                             ++counts_.rewinds;
                           });
  }

  void Get(const std::string& id) {
    server_->engine.Get(
        Key(id), /*payloads=*/true,
        [this, id, boot = boots_](
            const absl::StatusOr<std::optional<OrchestrationInfo>>& info) {
          if (Unheard(boot) || !info.ok()) return;
          CheckSeen(id, *info);
        });
  }

  // ---- Workers --------------------------------------------------------------

  void OnItem(size_t worker, const std::string& bytes) {
    if (down_) return;
    Item item = ReadItem(bytes);
    item.worker = worker;
    if (WorldEntities::Has(item)) {
      // Looked at when it is answered.
    } else if (item.turn) {
      CheckTurn(item);
    } else if (ended_tasks_.contains(
                   absl::StrCat(item.execution_id, "/", item.task_id))) {
      Break(absl::StrCat("activity ", item.task_id, " of ", item.id,
                         " goes out again after its end was acknowledged"));
    }
    items_.push_back(std::move(item));
  }

  void CheckTurn(const Item& item) {
    Replay replay(item);
    IsThere(replay.label, "a worker's turn");
    const std::vector<std::string>& known = histories_[item.execution_id];
    if (known.size() > item.past.size() ||
        !std::equal(known.begin(), known.end(), item.past.begin())) {
      Break(absl::StrCat("the history of ", item.id,
                         " has changed: ", known.size(), " events were known, ",
                         item.past.size(), " are there"));
    }
    Timestamp last;
    for (const std::string& bytes : item.past) {
      const auto event = DecodeEvent(bytes);
      if (event->As<OrchestratorStarted>() != nullptr) last = event->time;
    }
    if (replay.now <= last) {
      Break(absl::StrCat("the clock of ", item.id, " went back"));
    }
  }

  void Work() {
    if (items_.empty()) return;
    const size_t i = Uniform(random_, 0, items_.size() - 1);
    const Item item = std::move(items_[i]);
    items_.erase(items_.begin() + static_cast<std::ptrdiff_t>(i));
    Answer(item);
  }

  void Answer(const Item& item) {
    if (WorldEntities::Has(item)) {
      return entities_.Answer(server_->work, item, calm_);
    }
    const WorkName name{.token = item.token, .key = Key(item.id)};
    const auto late = [this](const absl::Status& status) {
      counts_.late += absl::IsNotFound(status) ? 1 : 0;
    };
    if (item.turn) {
      const Replay replay(item);
      server_->work.CompleteTurn(
          name, replay.Answer(item),
          [this, item, late, boot = boots_](const absl::Status& status) {
            if (Unheard(boot)) return;
            if (!status.ok()) return late(status);
            ++counts_.turns;
            std::vector<std::string> known = item.past;
            known.insert(known.end(), item.events.begin(), item.events.end());
            histories_[item.execution_id] = std::move(known);
          });
      return;
    }
    EventBody end = TaskCompleted{0, "r"};
    if (item.name == kFlakyActivity && !calm_ && OneIn(random_, 2)) {
      end = TaskFailed{0, MakeFailure("Flaky", "not this time")};
    }
    server_->work.CompleteActivity(
        name, std::move(end),
        [this, item, late, boot = boots_](const absl::Status& status) {
          if (Unheard(boot)) return;
          if (!status.ok()) return late(status);
          ++counts_.activities;
          ended_tasks_.insert(
              absl::StrCat(item.execution_id, "/", item.task_id));
        });
  }

  // A worker leaves and comes back, or gives something back.
  void Bother() {
    if (OneIn(random_, 2)) {
      const size_t worker = Uniform(random_, 0, server_->workers.size() - 1);
      server_->work.Disconnect(server_->workers[worker]);
      ConnectWorker();
    } else if (!items_.empty()) {
      const Item& item = items_[Uniform(random_, 0, items_.size() - 1)];
      server_->work.Abandon(item.batch  ? WorkKind::kEntity
                            : item.turn ? WorkKind::kTurn
                                        : WorkKind::kActivity,
                            {.token = item.token, .key = Key(item.id)});
    }
  }

  // ---- What must be ---------------------------------------------------------

  void CheckSeen(const std::string& id,
                 const std::optional<OrchestrationInfo>& info) {
    uint64_t latest = 0;
    bool unknown = false;
    for (const auto& [label, life] : lives_) {
      if (life.id != id) continue;
      unknown = unknown || life.state == KnownLife::State::kUnknown;
      if (life.state == KnownLife::State::kThere) {
        latest = std::max(latest, life.there_since);
      }
    }
    if (!info.has_value()) {
      if (latest > purge_tried_[id] && purging_[id] == 0) {
        Break(absl::StrCat(id, " is lost"));
      }
      return;
    }
    const std::vector<std::string> parts =
        absl::StrSplit(info->input.value_or(":"), ':');
    const std::string& label = parts[1];
    const auto it = lives_.find(label);
    if (it == lives_.end()) return;  // Between two executions.
    KnownLife& life = it->second;
    if (life.state == KnownLife::State::kThere && life.there_since < latest) {
      return Break(
          absl::StrCat(id, " is life ", label, " again, which was replaced"));
    }
    IsThere(label, "a look");
    if (!info->finished.has_value()) return;
    if (auto wrong = life.SeeEnd(*info, over_)) {
      Break(absl::StrCat("life ", label, " ", *wrong));
    }
  }

  void CheckAll() {
    if (violation_) return;
    for (size_t i = 0; i < kIds; ++i) Get(absl::StrCat("o", i));
    wiped_.Look(server_->engine, Heard());
    RunAll();
    if (wiped_.violation()) Break(*wiped_.violation());
  }

  // What is in memory is in the store, too.
  void CheckCountOfOpen(size_t in_memory) {
    size_t stored = 0;
    const absl::Status status = server_->store.ReadOpen(
        kOnlyPartition, [&stored](const OpenRun&) { ++stored; });
    if (!status.ok()) return Break(status.ToString());
    if (stored != in_memory) {
      Break(absl::StrCat(in_memory, " orchestrations are open, and ", stored,
                         " in the store"));
    }
  }

  // A wipe at any moment of what the other tenant does, and what it does next.
  void WipeInTheMiddle() {
    for (uint64_t i = Uniform(random_, 20, 60); i > 0; --i) {
      wiped_.Step(server_->engine, server_->work, Heard());
      if (OneIn(random_, 2)) RunOne();
    }
    wiped_.Wipe(server_->engine, Heard());
    wiped_.RewindAll(server_->engine);
    RunAll();
    CheckCountOfOpen(server_->engine.counts().open);
  }

  // Nothing fails any more: every orchestration ends.
  void DriveToEnd() {
    vfs_.FillUp(std::nullopt);
    calm_ = true;
    size_t open = 0;
    for (int round = 0; round < 60 && !violation_; ++round) {
      for (size_t i = 0; i < kIds; ++i) {
        const std::string id = absl::StrCat("o", i);
        Rewind(id);
        RunAll();
        server_->engine.Resume(Key(id), std::nullopt,
                               [](const absl::Status&) {});
        RunAll();
        Raise(id, "end");
        RunAll();
      }
      while (!items_.empty()) {
        Work();
        RunAll();
      }
      clock_.Advance(absl::Seconds(2));
      server_->registry.RunDueLeases();
      server_->engine.FireTimers();
      RunAll();
      open = server_->engine.counts().open;
      if (round < 3) WipeInTheMiddle();
      wiped_.Wipe(server_->engine, Heard());
      RunAll();
      if (open == 0 && round > 2) break;
    }
    if (open > 0) {
      return Break(absl::StrCat(open, " orchestrations never end"));
    }
    const auto rows = server_->store.ReadOutbox(kOnlyPartition);
    if (!rows.ok()) return Break(rows.status().ToString());
    if (!rows->empty()) {
      return Break(absl::StrCat(rows->size(), " rows of the outbox stay"));
    }
    over_ = true;
    entities_.BeginCheck(server_->engine);
    CheckAll();
    if (const auto wrong = entities_.Check(server_->store)) Break(*wrong);
    counts_.wipes += wiped_.wipes();
    counts_.signals += entities_.signals();
    counts_.entity_answers += entities_.answers();
    counts_.sections += entities_.sections();
    for (const auto& [label, life] : lives_) {
      counts_.ended += life.output.has_value() ? 1 : 0;
    }
  }

  Random& random_;
  const Durability durability_;
  WorldCounts& counts_;
  SimulatedClock clock_;
  PowerVfs vfs_;
  std::unique_ptr<OrchestrationServer> server_;
  bool down_ = false;
  uint64_t boots_ = 0;

  WorldEntities entities_{random_};
  WipedTenant wiped_{random_};
  bool calm_ = false;  // Nothing fails any more.
  bool over_ = false;  // Everything has ended.

  std::deque<std::string> trace_;
  std::optional<std::string> violation_;

  // The record.
  uint64_t sequence_ = 0;
  uint64_t last_label_ = 0;
  uint64_t last_event_ = 0;
  std::map<std::string, KnownLife> lives_;
  std::map<std::string, uint64_t> purge_tried_;
  std::map<std::string, int> meddling_;  // Calls in flight.
  std::map<std::string, int> purging_;
  std::map<std::string, std::vector<std::string>> histories_;  // By execution.
  std::set<std::string> ended_tasks_;
  std::vector<Item> items_;
};

}  // namespace

std::optional<std::string> RunOrchestrationWorld(Random& random,
                                                 Durability durability,
                                                 WorldCounts& counts) {
  return World(random, durability, counts).Run();
}

}  // namespace leasehold
