#include "service/builtin/builtin_worker.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/worker/work_pool.h"
#include "durabletask/orchestrator_service.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "lease/base/mutex.h"
#include "service/builtin/builtin_work.h"
#include "service/doors/worker_answer.h"
#include "service/rpc/caller.h"

namespace leasehold {
namespace {

// Turns, batches and echoes take microseconds: anything that runs longer is
// abandoned.
constexpr absl::Duration kStopTimeout = absl::Seconds(1);

constexpr size_t kActivitiesMax = 100;

// For how long after a batch was done here no worker is expected that has
// counters of its own.
constexpr absl::Duration kSureFor = absl::Minutes(1);

// Of how many entities something is remembered; more only wait a bit longer.
constexpr size_t kEntitiesKnown = 10'000;

size_t TurnThreads() {
  return std::max<size_t>(std::thread::hardware_concurrency(), 1);
}

grpc::ByteBuffer ToBytes(const std::string& encoded) {
  const grpc::Slice slice(encoded);
  return {&slice, 1};
}

std::vector<WorkFilter> ByName(const std::vector<std::string>& names) {
  std::vector<WorkFilter> filters;
  for (const std::string& name : names) filters.push_back({name, {}});
  return filters;
}

WorkKind KindOf(const WorkItem& item) {
  if (item.has_orchestratorrequest()) return WorkKind::kTurn;
  return item.has_entityrequestv2() ? WorkKind::kEntity : WorkKind::kActivity;
}

}  // namespace

// What the exchange and its answers know of the worker in one tenant: may
// outlive it.
class BuiltinWorker::Sink final : public WorkSink,
                                  public std::enable_shared_from_this<Sink> {
 public:
  Sink(Host& host, WorkExchange& work, Caller caller,
       std::shared_ptr<grpc::Channel> channel, std::string token,
       worker::LogSink log)
      : caller_(std::move(caller)),
        builtin_(std::move(channel),
                 {.token = std::move(token), .tenant = caller_.tenant},
                 std::move(log)),
        work_(work),
        host_(&host) {}

  // Constant after construction.
  const Caller& caller() const { return caller_; }
  const BuiltinWork& builtin() const { return builtin_; }

  void Send(std::string item) override ABSL_LOCKS_EXCLUDED(mu_);
  void OnAnswered(const std::string& id, const absl::Status& status)
      ABSL_LOCKS_EXCLUDED(mu_);
  void GiveBack(const WorkItem& item) {
    work_.Abandon(KindOf(item), {.token = item.completiontoken(),
                                 .key = {.tenant = caller_.tenant}});
  }
  // The worker is about to be destroyed.
  void Close() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    host_ = nullptr;
  }

 private:
  const Caller caller_;
  const BuiltinWork builtin_;
  WorkExchange& work_;

  Mutex mu_;
  Host* host_ ABSL_GUARDED_BY(mu_);
};

class BuiltinWorker::Host {
 public:
  using SinkPtr = std::shared_ptr<Sink>;

  Host(Clock& clock, WorkExchange& work, std::shared_ptr<grpc::Channel> channel,
       std::string token, worker::LogSink log)
      : clock_(clock),
        work_(work),
        channel_(std::move(channel)),
        token_(std::move(token)),
        log_(std::move(log)) {}
  ~Host() {
    Stop();
    std::map<std::string, Connection> connections;
    {
      MutexLock lock(mu_);
      connections.swap(connections_);
    }
    for (const auto& [tenant, connection] : connections) {
      connection.sink->Close();
    }
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  absl::Status Start(const std::string& tenant) ABSL_LOCKS_EXCLUDED(mu_) {
    {
      MutexLock lock(mu_);
      if (stopping_ || connections_.contains(tenant)) return absl::OkStatus();
    }
    const auto sink = std::make_shared<Sink>(
        *this, work_, Caller{.tenant = tenant, .roles = {Role::kWorker}},
        channel_, token_, log_);
    const BuiltinWork& builtin = sink->builtin();
    if (absl::Status status = builtin.status(); !status.ok()) return status;
    WorkerOptions options;
    options.tenant = tenant;
    options.filters[static_cast<size_t>(WorkKind::kTurn)] =
        ByName(builtin.OrchestratorNames());
    options.filters[static_cast<size_t>(WorkKind::kActivity)] =
        ByName(builtin.ActivityNames());
    options.filters[static_cast<size_t>(WorkKind::kEntity)] =
        ByName(builtin.EntityNames());
    options.slots[static_cast<size_t>(WorkKind::kActivity)] = kActivitiesMax;
    options.last_resort = true;
    options.peer = "built-in";
    const WorkerId id = work_.Connect(std::move(options), sink);
    MutexLock lock(mu_);
    connections_[tenant] = {id, sink};
    return absl::OkStatus();
  }

  void Stop() ABSL_LOCKS_EXCLUDED(mu_) {
    {
      MutexLock lock(mu_);
      if (std::exchange(stopping_, true)) return;
    }
    turns_.Drop();
    activities_.Drop();
    {
      MutexLock lock(mu_);
      const Instant deadline = clock_.Now() + kStopTimeout;
      while (at_hand_ > 0 && clock_.Now() < deadline) {
        clock_.WaitUntil(changed_, mu_, deadline);
      }
    }
    gave_up_ = true;
    std::vector<WorkerId> ids;
    {
      MutexLock lock(mu_);
      for (const auto& [tenant, connection] : connections_) {
        ids.push_back(connection.id);
      }
    }
    for (const WorkerId id : ids) work_.Disconnect(id);
  }

  // False: it takes no more work, or not this.
  bool Take(const SinkPtr& sink, const std::shared_ptr<WorkItem>& item)
      ABSL_LOCKS_EXCLUDED(mu_) {
    const bool is_batch = KindOf(*item) == WorkKind::kEntity;
    const int give_backs = is_batch ? sink->builtin().GiveBacksOf(*item) : 0;
    {
      MutexLock lock(mu_);
      if (stopping_) return false;
      if (is_batch &&
          GoesBackLocked(sink->caller().tenant, *item, give_backs)) {
        return false;
      }
      ++at_hand_;
    }
    // Batches take no longer than turns.
    worker::internal::WorkPool& pool =
        KindOf(*item) == WorkKind::kActivity ? activities_ : turns_;
    pool.Post({[this, sink, item] { Do(sink, *item); },
               [this, sink, item] { GiveBackTaken(*sink, *item); }});
    return true;
  }

  void OnAnswered(const std::string& id, const absl::Status& status)
      ABSL_LOCKS_EXCLUDED(mu_) {
    // While nothing can be stored, the work is handed out again later.
    if (!status.ok() && !absl::IsUnavailable(status) && log_) {
      log_({id, absl::StrCat("a result was not accepted: ",
                             std::string(status.message()))});
    }
    NoteDone();
  }

 private:
  using Entity = std::pair<std::string, std::string>;  // Tenant, ID.

  // In one tenant.
  struct Connection {
    WorkerId id = 0;
    SinkPtr sink;
  };

  // Whether the batch goes back `give_backs` times first, and has not yet done
  // so.
  bool GoesBackLocked(const std::string& tenant, const WorkItem& item,
                      int give_backs) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const Entity id(tenant, item.entityrequestv2().instanceid());
    if (give_backs == BuiltinWork::kForWorkersOnly) return true;
    // Those whose last batch was done here are known to be ours.
    const Instant now = clock_.Now();
    const bool sure =
        ours_.contains(id) ||
        (give_backs == BuiltinWork::kOfACounter && now < sure_until_[tenant]);
    if (given_back_.size() >= kEntitiesKnown) given_back_.clear();
    if (!sure && given_back_[id]++ < give_backs) return true;
    given_back_.erase(id);
    sure_until_[tenant] = now + kSureFor;
    if (ours_.size() >= kEntitiesKnown) ours_.clear();
    ours_.insert(id);
    return false;
  }

  void Do(const SinkPtr& sink, const WorkItem& item) {
    switch (KindOf(item)) {
      case WorkKind::kTurn:
        return DoTurn(sink, item);
      case WorkKind::kActivity:
        return DoActivity(sink, item);
      case WorkKind::kEntity:
        return DoBatch(sink, item);
    }
  }

  void DoTurn(const SinkPtr& sink, const WorkItem& item) {
    grpc::ByteBuffer bytes = ToBytes(sink->builtin().DoTurn(item));
    AnswerTurn(work_, sink->caller(), bytes,
               Answered(sink, item.orchestratorrequest().instanceid()));
  }

  void DoActivity(const SinkPtr& sink, const WorkItem& item) {
    grpc::ByteBuffer bytes =
        ToBytes(sink->builtin().DoActivity(item, gave_up_));
    AnswerActivity(
        work_, sink->caller(), bytes,
        Answered(sink,
                 item.activityrequest().orchestrationinstance().instanceid()));
  }

  void DoBatch(const SinkPtr& sink, const WorkItem& item) {
    grpc::ByteBuffer bytes = ToBytes(sink->builtin().DoBatch(item));
    AnswerEntity(work_, sink->caller(), bytes,
                 Answered(sink, item.entityrequestv2().instanceid()));
  }

  static DoneStatus Answered(const SinkPtr& sink, std::string id) {
    return [sink, id = std::move(id)](const absl::Status& status) {
      sink->OnAnswered(id, status);
    };
  }

  void GiveBackTaken(Sink& sink, const WorkItem& item) {
    sink.GiveBack(item);
    NoteDone();
  }

  void NoteDone() ABSL_LOCKS_EXCLUDED(mu_) {
    MutexLock lock(mu_);
    --at_hand_;
    changed_.NotifyAll();
  }

  // Constant after construction.
  Clock& clock_;
  WorkExchange& work_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::string token_;
  const worker::LogSink log_;

  std::atomic<bool> gave_up_ = false;  // Activities check it.

  Mutex mu_;
  CondVar changed_;
  std::map<std::string, Connection> connections_
      ABSL_GUARDED_BY(mu_);  // By tenant.
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // By tenant: no batch with the operations of a counter goes back until then.
  std::map<std::string, Instant> sure_until_ ABSL_GUARDED_BY(mu_);
  // Entities: how often a batch of each has gone back; and those that are ours.
  std::map<Entity, int> given_back_ ABSL_GUARDED_BY(mu_);
  std::set<Entity> ours_ ABSL_GUARDED_BY(mu_);
  // Items taken and neither answered nor given back yet.
  size_t at_hand_ ABSL_GUARDED_BY(mu_) = 0;

  // Their threads use everything above.
  worker::internal::WorkPool turns_{TurnThreads()};
  worker::internal::WorkPool activities_{kActivitiesMax};
};

void BuiltinWorker::Sink::Send(std::string item) {
  const auto taken = std::make_shared<WorkItem>();
  // The exchange sends its own encoding.
  if (!taken->ParseFromString(item)) std::abort();
  {
    MutexLock lock(mu_);
    if (host_ == nullptr || host_->Take(shared_from_this(), taken)) return;
  }
  // Without the lock: the exchange may have something to send at once.
  GiveBack(*taken);
}

void BuiltinWorker::Sink::OnAnswered(const std::string& id,
                                     const absl::Status& status) {
  MutexLock lock(mu_);
  if (host_ != nullptr) host_->OnAnswered(id, status);
}

BuiltinWorker::BuiltinWorker(Clock& clock, WorkExchange& work,
                             std::shared_ptr<grpc::Channel> channel,
                             std::string token, worker::LogSink log)
    : host_(std::make_unique<Host>(clock, work, std::move(channel),
                                   std::move(token), std::move(log))) {}

BuiltinWorker::~BuiltinWorker() = default;

absl::Status BuiltinWorker::Start(const std::vector<std::string>& tenants) {
  for (const std::string& tenant : tenants) {
    if (absl::Status status = host_->Start(tenant); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void BuiltinWorker::Stop() { host_->Stop(); }

}  // namespace leasehold
