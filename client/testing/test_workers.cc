#include "client/testing/test_workers.h"

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/testing/code_run.h"
#include "client/testing/test_error.h"
#include "durabletask/orchestrator_service.pb.h"
#include "grpcpp/support/byte_buffer.h"
#include "service/base/invariant.h"
#include "service/doors/worker_answer.h"
#include "service/rpc/caller.h"

namespace leasehold::testkit {
namespace {

// More than a fair share of any test's work: only scripts delay it.
constexpr size_t kSlots = 100'000;

constexpr WorkerFault kFaults[] = {
    WorkerFault::kDiesBefore, WorkerFault::kAnswerLost,
    WorkerFault::kAnswerLate, WorkerFault::kAnswerTwice};

// Whether the server says only that the answer came too late, or that it has
// been taken down meanwhile.
bool CameTooLate(const absl::Status& status) {
  return absl::IsNotFound(status) || absl::IsUnavailable(status) ||
         absl::IsAborted(status);
}

}  // namespace

struct TestWorkers::Item {
  ::WorkItem work;
  bool begun = false;
  absl::Time due = absl::InfinitePast();
  ActivityScript::Step step = {};

  WorkKind kind() const {
    if (work.has_orchestratorrequest()) return WorkKind::kTurn;
    return work.has_entityrequestv2() ? WorkKind::kEntity : WorkKind::kActivity;
  }
  // Whether a script says what happens to it.
  bool is_activity() const { return kind() == WorkKind::kActivity; }
  const std::string& caller() const {
    return work.activityrequest().orchestrationinstance().instanceid();
  }
};

class TestWorkers::Sink final : public WorkSink {
 public:
  void Send(std::string item) override {
    if (!connected) return;
    auto taken = std::make_unique<Item>();
    CheckInvariant(taken->work.ParseFromString(item),
                   "the exchange sends items in the form of the protocol");
    items.push_back(std::move(taken));
  }

  bool connected = true;
  Items items;
};

TestWorkers::TestWorkers(VirtualClock& clock, Dice& dice, TestCode& code,
                         Options options)
    : clock_(clock),
      dice_(dice),
      code_(code),
      options_(std::move(options)),
      sinks_(options_.count),
      ids_(options_.count) {}

TestWorkers::~TestWorkers() { LoseServer(); }

void TestWorkers::Connect(WorkExchange& work) {
  work_ = &work;
  for (size_t i = 0; i < sinks_.size(); ++i) ConnectOne(i);
}

void TestWorkers::ConnectOne(size_t worker) {
  sinks_[worker] = std::make_shared<Sink>();
  ids_[worker] =
      work_->Connect({.tenant = Anonymous()->tenant,
                      .slots = {kSlots, kSlots, kSlots},
                      .peer = absl::StrCat("test worker ", worker + 1)},
                     sinks_[worker]);
}

void TestWorkers::LoseServer() {
  for (const auto& sink : sinks_) {
    if (sink == nullptr) continue;
    sink->connected = false;
    for (const auto& item : std::exchange(sink->items, {})) {
      if (!item->begun || !item->is_activity()) continue;
      code_.Script(item->work.activityrequest().name())
          .PutBack(std::move(item->step));
    }
  }
  late_answers_.clear();
  work_ = nullptr;
}

void TestWorkers::Kill(size_t worker) {
  const std::shared_ptr<Sink> sink = sinks_[worker];
  sink->connected = false;
  for (const auto& item : std::exchange(sink->items, {})) {
    if (!item->begun || !item->is_activity()) continue;
    code_.Script(item->work.activityrequest().name())
        .PutBack(std::move(item->step));
  }
  const WorkerId id = ids_[worker];
  // First, so that there is someone to take what it had.
  ConnectOne(worker);
  work_->Disconnect(id);
}

void TestWorkers::KillAll() {
  for (size_t i = 0; i < sinks_.size(); ++i) Kill(i);
}

bool TestWorkers::IsReady(const Item& item) const {
  return item.due <= clock_.WallNow();
}

size_t TestWorkers::ready() const {
  size_t count = late_answers_.size();
  for (const auto& sink : sinks_) {
    for (const auto& item : sink->items) count += IsReady(*item);
  }
  return count;
}

std::optional<absl::Time> TestWorkers::NextDue() const {
  std::optional<absl::Time> next;
  for (const auto& sink : sinks_) {
    for (const auto& item : sink->items) {
      if (!next.has_value() || item->due < *next) next = item->due;
    }
  }
  return next;
}

void TestWorkers::Do(size_t index) {
  if (index < late_answers_.size()) {
    const auto answer = std::move(late_answers_[index]);
    late_answers_.erase(late_answers_.begin() +
                        static_cast<std::ptrdiff_t>(index));
    return answer();
  }
  index -= late_answers_.size();
  for (size_t worker = 0; worker < sinks_.size(); ++worker) {
    Items& items = sinks_[worker]->items;
    for (auto place = items.begin(); place != items.end(); ++place) {
      if (!IsReady(**place) || index-- > 0) continue;
      if (!Begin(**place)) return;
      const std::unique_ptr<Item> item = std::move(*place);
      items.erase(place);
      const std::optional<WorkerFault> fault = FaultOf(*item);
      if (fault == WorkerFault::kDiesBefore) return Kill(worker);
      const std::string answer = Answer(*item);
      if (fault == WorkerFault::kAnswerLost) return Kill(worker);
      const WorkKind kind = item->kind();
      if (fault == WorkerFault::kAnswerLate) {
        Kill(worker);
        late_answers_.push_back([this, kind, answer] { Send(kind, answer); });
        return;
      }
      Send(kind, answer);
      if (fault == WorkerFault::kAnswerTwice) Send(kind, answer);
      return;
    }
  }
}

bool TestWorkers::Begin(Item& item) {
  if (std::exchange(item.begun, true)) return true;
  if (!item.is_activity()) return true;
  const std::string& name = item.work.activityrequest().name();
  code_.Activity(name, item.caller());  // Throws if it is missing.
  ActivityScript& script = code_.Script(name);
  item.step = script.Take();
  if (script.duration() <= absl::ZeroDuration()) return true;
  item.due = clock_.WallNow() + script.duration();
  return false;
}

std::optional<WorkerFault> TestWorkers::FaultOf(Item& item) {
  if (item.step.fault.has_value()) return item.step.fault;
  if (item.kind() == WorkKind::kTurn && !turn_faults_.empty()) {
    const WorkerFault fault = turn_faults_.front();
    turn_faults_.pop_front();
    return fault;
  }
  if (!dice_.Happens(options_.fault_chance)) return std::nullopt;
  const WorkerFault fault = kFaults[dice_.OneOf(std::size(kFaults))];
  // Its worker dies before or while it fails as scripted: it will fail later.
  if (fault != WorkerFault::kAnswerTwice && item.is_activity()) {
    code_.Script(item.work.activityrequest().name()).PutBack(item.step);
  }
  return fault;
}

std::string TestWorkers::Answer(const Item& item) {
  if (!item.is_activity()) {
    ++turns_;
    return item.kind() == WorkKind::kTurn
               ? AnswerTurnItem(code_, item.work, options_.log)
               : AnswerEntityItem(code_, item.work);
  }
  const ::ActivityRequest& request = item.work.activityrequest();
  worker::Payload input;
  if (request.has_input()) input = request.input().value();
  code_.Script(request.name()).NoteCall(std::move(input));
  return item.step.failure.has_value()
             ? FailActivityItem(item.work, *item.step.failure)
             : AnswerActivityItem(code_, item.work);
}

void TestWorkers::Send(WorkKind kind, const std::string& answer) {
  const grpc::Slice slice(answer);
  grpc::ByteBuffer bytes(&slice, 1);
  const auto done = [refusals = refusals_](const absl::Status& status) {
    if (!status.ok() && !CameTooLate(status)) refusals->push_back(status);
  };
  switch (kind) {
    case WorkKind::kTurn:
      AnswerTurn(*work_, *Anonymous(), bytes, done);
      break;
    case WorkKind::kActivity:
      AnswerActivity(*work_, *Anonymous(), bytes, done);
      break;
    case WorkKind::kEntity:
      AnswerEntity(*work_, *Anonymous(), bytes, done);
      break;
  }
  if (refusals_->empty()) return;
  const absl::Status refused = refusals_->front();
  refusals_->clear();
  throw TestError(absl::StrCat("the server has refused a worker's answer: ",
                               std::string(refused.message())));
}

}  // namespace leasehold::testkit
