// orchestration_load: runs orchestrations against a server of the Durable Task
// protocol, as client and worker in one, and measures.
//
//   orchestration_load ADDRESS WORK COUNT IN_FLIGHT [SERVER_PID] [SLICES]
//
// WORK: `ping` (one turn), `chain:N` (N activities one after the other),
// `fan:N` (N at once), `park` (a timer that is due in a day; it counts as ended
// once that is noted); `signal`, `call` (an operation of an entity of its own,
// sent and not waited for, or called by leasehold.v1.Entities). COUNT of them
// run, IN_FLIGHT at a time. Prints a line of
// JSON for each of SLICES (default 1) equal parts of COUNT; what the server's
// process used is in it if its number is given.
//
// One thread and one completion queue, so that it costs little beside the
// server.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "durabletask/orchestrator_service.grpc.pb.h"
#include "leasehold/v1/entities.grpc.pb.h"

namespace {

using Stub = TaskHubSidecarService::Stub;
using SteadyClock = std::chrono::steady_clock;

constexpr char kPayload[] = "\"0123456789 0123456789 0123456789\"";

double SecondsSince(SteadyClock::time_point then) {
  return std::chrono::duration<double>(SteadyClock::now() - then).count();
}

struct Usage {
  double cpu_s = 0;
  double rss_mib = 0;
};

// Of a process, from /proc.
Usage UsageOf(int pid) {
  Usage usage;
  if (pid == 0) return usage;
  std::ifstream stat(absl::StrCat("/proc/", pid, "/stat"));
  std::stringstream text;
  text << stat.rdbuf();
  const std::string line = text.str();
  const std::vector<std::string> fields =
      absl::StrSplit(line.substr(line.rfind(')') + 2), ' ');
  int64_t user = 0;
  int64_t system = 0;
  int64_t pages = 0;
  if (fields.size() < 22 || !absl::SimpleAtoi(fields[11], &user) ||
      !absl::SimpleAtoi(fields[12], &system) ||
      !absl::SimpleAtoi(fields[21], &pages)) {
    return usage;
  }
  usage.cpu_s = static_cast<double>(user + system) /
                static_cast<double>(sysconf(_SC_CLK_TCK));
  usage.rss_mib =
      static_cast<double>(pages * sysconf(_SC_PAGESIZE)) / (1 << 20);
  return usage;
}

class Tag {
 public:
  virtual ~Tag() = default;
  virtual void Proceed(bool ok) = 0;
};

// A call with one answer; deletes itself after `done`.
template <typename Response>
class Unary final : public Tag {
 public:
  using Done = std::function<void(const grpc::Status&, const Response&)>;
  explicit Unary(Done done) : done_(std::move(done)) {}
  void Proceed(bool) override {
    done_(status, response);
    delete this;
  }

  grpc::ClientContext context;
  Response response;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;

 private:
  const Done done_;
};

struct Work {
  enum class Kind { kChain, kFan, kPark, kSignal, kCall };
  Kind kind = Kind::kChain;
  int activities = 0;
};

class Load {
 public:
  Load(const std::string& address, Work work, int count, int in_flight, int pid,
       int slices)
      : work_(work),
        count_(count),
        in_flight_(in_flight),
        pid_(pid),
        slice_(std::max(1, count / slices)) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    const auto channel = grpc::CreateCustomChannel(
        address, grpc::InsecureChannelCredentials(), arguments);
    stub_ = TaskHubSidecarService::NewStub(channel);
    entities_ = leasehold::v1::Entities::NewStub(channel);
  }

  int Run() {
    auto* worker = new Stream(*this);
    worker->reader = stub_->AsyncGetWorkItems(&worker->context, WorkerLimits(),
                                              &queue_, worker);
    begin_ = slice_begin_ = SteadyClock::now();
    slice_usage_ = UsageOf(pid_);
    for (int i = 0; i < std::min(count_, in_flight_); ++i) Start();
    void* tag;
    bool ok;
    while (ended_ < count_ && queue_.Next(&tag, &ok)) {
      static_cast<Tag*>(tag)->Proceed(ok);
    }
    std::fflush(stdout);
    std::_Exit(failed_ ? 1 : 0);  // The stream is cut with the process.
  }

 private:
  // The worker's stream.
  class Stream final : public Tag {
   public:
    explicit Stream(Load& load) : load_(load) {}
    void Proceed(bool ok) override {
      if (!ok) {
        std::fprintf(stderr, "orchestration_load: the stream was cut\n");
        std::_Exit(1);
      }
      if (open_) load_.Do(item_);
      open_ = true;
      reader->Read(&item_, this);
    }

    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientAsyncReader<WorkItem>> reader;

   private:
    Load& load_;
    bool open_ = false;
    WorkItem item_;
  };

  static GetWorkItemsRequest WorkerLimits() {
    GetWorkItemsRequest request;
    request.set_maxconcurrentorchestrationworkitems(1000);
    request.set_maxconcurrentactivityworkitems(1000);
    request.set_maxconcurrententityworkitems(1000);
    return request;
  }

  void Start() {
    if (started_ == count_) return;
    ++started_;
    // As long as a UUID.
    const std::string id =
        absl::StrCat(absl::Dec(getpid(), absl::kZeroPad8), "-0000-0000-0000-",
                     absl::Dec(started_, absl::kZeroPad12));
    if (work_.kind == Work::Kind::kSignal) return Signal("@load@" + id);
    if (work_.kind == Work::Kind::kCall) return Call("@load@" + id);
    CreateInstanceRequest request;
    request.set_instanceid(id);
    request.set_name("Load");
    request.mutable_input()->set_value(kPayload);
    const auto at = SteadyClock::now();
    auto* call = new Unary<CreateInstanceResponse>(
        [this, at](const grpc::Status& status, const CreateInstanceResponse&) {
          Check(status, "StartInstance");
          start_us_.push_back(1e6 * SecondsSince(at));
        });
    call->reader = stub_->AsyncStartInstance(&call->context, request, &queue_);
    call->reader->Finish(&call->response, &call->status, call);
  }

  void Signal(const std::string& entity) {
    SignalEntityRequest request;
    request.set_instanceid(entity);
    request.set_name("put");
    request.mutable_input()->set_value(kPayload);
    const auto at = SteadyClock::now();
    auto* call = new Unary<SignalEntityResponse>(
        [this, at](const grpc::Status& status, const SignalEntityResponse&) {
          Check(status, "SignalEntity");
          start_us_.push_back(1e6 * SecondsSince(at));
        });
    call->reader = stub_->AsyncSignalEntity(&call->context, request, &queue_);
    call->reader->Finish(&call->response, &call->status, call);
  }

  void Call(const std::string& entity) {
    using leasehold::v1::CallEntityResponse;
    leasehold::v1::CallEntityRequest request;
    request.set_instance_id(entity);
    request.set_operation("put");
    request.set_input(kPayload);
    const auto at = SteadyClock::now();
    auto* call = new Unary<CallEntityResponse>(
        [this, at](const grpc::Status& status, const CallEntityResponse&) {
          Check(status, "Call");
          start_us_.push_back(1e6 * SecondsSince(at));
          End();
        });
    call->reader = entities_->AsyncCall(&call->context, request, &queue_);
    call->reader->Finish(&call->response, &call->status, call);
  }

  void Batch(const WorkItem& item) {
    const EntityRequest& request = item.entityrequestv2();
    EntityBatchResult result;
    result.set_completiontoken(item.completiontoken());
    result.mutable_entitystate()->set_value(kPayload);
    for (int i = 0; i < request.operationrequests_size(); ++i) {
      result.add_results()->mutable_success()->mutable_result()->set_value(
          kPayload);
    }
    auto* call = new Unary<CompleteTaskResponse>(
        [this](const grpc::Status& status, const CompleteTaskResponse&) {
          Check(status, "CompleteEntityTask");
          if (work_.kind == Work::Kind::kSignal) End();
        });
    call->reader =
        stub_->AsyncCompleteEntityTask(&call->context, result, &queue_);
    call->reader->Finish(&call->response, &call->status, call);
  }

  void Do(WorkItem& item) {
    if (item.has_entityrequestv2()) Batch(item);
    if (item.has_orchestratorrequest()) Turn(item);
    if (item.has_activityrequest()) Activity(item);
  }

  void Activity(const WorkItem& item) {
    ActivityResponse response;
    response.set_instanceid(
        item.activityrequest().orchestrationinstance().instanceid());
    response.set_taskid(item.activityrequest().taskid());
    response.mutable_result()->set_value(kPayload);
    response.set_completiontoken(item.completiontoken());
    auto* call = new Unary<CompleteTaskResponse>(
        [this](const grpc::Status& status, const CompleteTaskResponse&) {
          Check(status, "CompleteActivityTask");
        });
    call->reader =
        stub_->AsyncCompleteActivityTask(&call->context, response, &queue_);
    call->reader->Finish(&call->response, &call->status, call);
  }

  void Turn(const WorkItem& item) {
    const OrchestratorRequest& request = item.orchestratorrequest();
    int completed = 0;
    for (const HistoryEvent& event : request.pastevents()) {
      completed += event.has_taskcompleted() ? 1 : 0;
    }
    for (const HistoryEvent& event : request.newevents()) {
      completed += event.has_taskcompleted() ? 1 : 0;
    }
    OrchestratorResponse response;
    response.set_instanceid(request.instanceid());
    response.set_completiontoken(item.completiontoken());
    bool ends = false;
    if (work_.kind == Work::Kind::kChain) {
      ends = completed == work_.activities;
      if (!ends) Schedule(response, completed + 1);
    } else if (work_.kind == Work::Kind::kFan) {
      ends = completed == work_.activities;
      if (request.pastevents().empty()) {
        for (int i = 1; i <= work_.activities; ++i) Schedule(response, i);
      }
    } else {
      OrchestratorAction& action = *response.add_actions();
      action.set_id(1);
      action.mutable_createtimer()->mutable_fireat()->set_seconds(
          std::time(nullptr) + 24 * 60 * 60);
    }
    if (ends) {
      OrchestratorAction& action = *response.add_actions();
      action.set_id(work_.activities + 1);
      action.mutable_completeorchestration()->set_orchestrationstatus(
          ORCHESTRATION_STATUS_COMPLETED);
    }
    auto* call = new Unary<CompleteTaskResponse>(
        [this, over = ends || work_.kind == Work::Kind::kPark](
            const grpc::Status& status, const CompleteTaskResponse&) {
          Check(status, "CompleteOrchestratorTask");
          if (over) End();
        });
    call->reader =
        stub_->AsyncCompleteOrchestratorTask(&call->context, response, &queue_);
    call->reader->Finish(&call->response, &call->status, call);
  }

  static void Schedule(OrchestratorResponse& response, int id) {
    OrchestratorAction& action = *response.add_actions();
    action.set_id(id);
    action.mutable_scheduletask()->set_name("Act");
    action.mutable_scheduletask()->mutable_input()->set_value(kPayload);
  }

  void Check(const grpc::Status& status, const char* method) {
    if (status.ok()) return;
    if (!failed_) {
      std::fprintf(stderr, "orchestration_load: %s: %s\n", method,
                   status.error_message().c_str());
    }
    failed_ = true;
  }

  void End() {
    ++ended_;
    if (ended_ % slice_ == 0) Report();
    Start();
  }

  void Report() {
    const Usage usage = UsageOf(pid_);
    const double seconds = SecondsSince(slice_begin_);
    std::sort(start_us_.begin(), start_us_.end());
    const auto percentile = [this](double p) {
      if (start_us_.empty()) return 0.0;
      return start_us_[static_cast<size_t>(
          p * static_cast<double>(start_us_.size() - 1))];
    };
    std::printf(
        "{\"ended\": %d, \"per_second\": %.0f, \"server_us\": %.1f, "
        "\"server_rss_mib\": %.1f, \"start_us_p50\": %.0f, "
        "\"start_us_p99\": %.0f}\n",
        ended_, slice_ / seconds,
        1e6 * (usage.cpu_s - slice_usage_.cpu_s) / slice_, usage.rss_mib,
        percentile(0.5), percentile(0.99));
    std::fflush(stdout);
    start_us_.clear();
    slice_begin_ = SteadyClock::now();
    slice_usage_ = usage;
  }

  const Work work_;
  const int count_;
  const int in_flight_;
  const int pid_;
  const int slice_;
  std::unique_ptr<Stub> stub_;
  std::unique_ptr<leasehold::v1::Entities::Stub> entities_;
  grpc::CompletionQueue queue_;
  int started_ = 0;
  int ended_ = 0;
  bool failed_ = false;
  SteadyClock::time_point begin_;
  SteadyClock::time_point slice_begin_;
  Usage slice_usage_;
  std::vector<double> start_us_;
};

bool ParseWork(const std::string& text, Work& work) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  if (parts.size() == 2 && !absl::SimpleAtoi(parts[1], &work.activities)) {
    return false;
  }
  if (parts[0] == "fan") work.kind = Work::Kind::kFan;
  if (parts[0] == "park") work.kind = Work::Kind::kPark;
  if (parts[0] == "signal") work.kind = Work::Kind::kSignal;
  if (parts[0] == "call") work.kind = Work::Kind::kCall;
  const bool counts = parts[0] == "chain" || parts[0] == "fan";
  return parts.size() == (counts ? 2 : 1) &&
         (counts || parts[0] == "ping" || work.kind != Work::Kind::kChain);
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  Work work;
  int count = 0;
  int in_flight = 0;
  int pid = 0;
  int slices = 1;
  if (argc < 5 || !ParseWork(argv[2], work) ||
      !absl::SimpleAtoi(argv[3], &count) ||
      !absl::SimpleAtoi(argv[4], &in_flight) ||
      (argc > 5 && !absl::SimpleAtoi(argv[5], &pid)) ||
      (argc > 6 && !absl::SimpleAtoi(argv[6], &slices))) {
    std::fprintf(stderr,
                 "usage: orchestration_load ADDRESS ping|chain:N|fan:N|park|"
                 "signal|call COUNT IN_FLIGHT [SERVER_PID] [SLICES]\n");
    return 2;
  }
  return Load(argv[1], work, count, in_flight, pid, slices).Run();
}
