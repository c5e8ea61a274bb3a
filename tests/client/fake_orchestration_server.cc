#include "tests/client/fake_orchestration_server.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server_builder.h"

namespace leasehold::client {
namespace {

namespace v1 = leasehold::v1;

using State = FakeOrchestrationServer::State;

// Of all that is created here: 2024-10-04 17:46:40 UTC.
constexpr int64_t kCreated = 1728064000;

bool Ended(State::Status status) { return status >= State::COMPLETED; }

grpc::Status Unknown(const std::string& id) {
  return {grpc::StatusCode::NOT_FOUND,
          absl::StrCat("there is no orchestration \"", id, "\"")};
}

bool Matches(const State& state, const v1::OrchestrationFilter& filter) {
  const auto& statuses = filter.statuses();
  return (statuses.empty() || std::find(statuses.begin(), statuses.end(),
                                        state.status()) != statuses.end()) &&
         absl::StartsWith(state.instance_id(), filter.id_prefix()) &&
         (filter.name().empty() || filter.name() == state.name());
}

}  // namespace

FakeOrchestrationServer::FakeOrchestrationServer() {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

FakeOrchestrationServer::~FakeOrchestrationServer() {
  {
    std::lock_guard<std::mutex> lock(mu_);
    stopping_ = true;
    changed_.notify_all();
  }
  server_->Shutdown(std::chrono::system_clock::time_point());
  // Shutdown has awaited the handlers; ThreadSanitizer sees it only here.
  std::lock_guard<std::mutex> lock(mu_);
}

State FakeOrchestrationServer::StateOf(const std::string& id,
                                       State::Status status,
                                       const std::string& name) {
  State state;
  state.set_instance_id(id);
  state.set_execution_id(absl::StrCat("run-of-", id));
  state.set_name(name);
  state.set_status(status);
  state.mutable_create_time()->set_seconds(kCreated);
  state.mutable_update_time()->set_seconds(kCreated + 1);
  if (Ended(status)) state.mutable_end_time()->set_seconds(kCreated + 2);
  return state;
}

void FakeOrchestrationServer::Put(State state) {
  std::lock_guard<std::mutex> lock(mu_);
  const std::string id = state.instance_id();
  states_[id] = std::move(state);
  ++versions_[id];
  changed_.notify_all();
}

std::optional<State> FakeOrchestrationServer::Find(
    const std::string& id) const {
  std::lock_guard<std::mutex> lock(mu_);
  const auto found = states_.find(id);
  if (found == states_.end()) return std::nullopt;
  return found->second;
}

void FakeOrchestrationServer::PutHistory(const std::string& id,
                                         std::vector<Event> events) {
  std::lock_guard<std::mutex> lock(mu_);
  histories_[id] = std::move(events);
}

void FakeOrchestrationServer::FailNext(grpc::Status status) {
  std::lock_guard<std::mutex> lock(mu_);
  failure_ = std::move(status);
}

void FakeOrchestrationServer::HurryNextPurge(int64_t most) {
  std::lock_guard<std::mutex> lock(mu_);
  purge_most_ = most;
}

void FakeOrchestrationServer::ServeUrls() {
  std::lock_guard<std::mutex> lock(mu_);
  urls_ = true;
}

void FakeOrchestrationServer::EndWatches(grpc::Status status) {
  std::lock_guard<std::mutex> lock(mu_);
  watches_end_ = std::move(status);
  changed_.notify_all();
}

void FakeOrchestrationServer::AwaitWatches(size_t count) {
  std::unique_lock<std::mutex> lock(mu_);
  changed_.wait(lock, [&] { return watches_ >= count; });
}

bool FakeOrchestrationServer::WatchHasDeadline() const {
  std::lock_guard<std::mutex> lock(mu_);
  return watch_has_deadline_;
}

grpc::Status FakeOrchestrationServer::Record(
    const google::protobuf::Message& request) {
  std::lock_guard<std::mutex> lock(mu_);
  std::unique_ptr<google::protobuf::Message> copy(request.New());
  copy->CopyFrom(request);
  requests_.push_back(std::move(copy));
  if (!failure_.has_value()) return grpc::Status::OK;
  return *std::exchange(failure_, std::nullopt);
}

grpc::Status FakeOrchestrationServer::Change(
    const google::protobuf::Message& request, const std::string& id,
    const std::function<void(State&)>& change) {
  grpc::Status status = Record(request);
  if (!status.ok()) return status;
  std::optional<State> state = Find(id);
  if (!state.has_value()) return Unknown(id);
  if (Ended(state->status())) {
    return {grpc::StatusCode::FAILED_PRECONDITION,
            absl::StrCat("orchestration \"", id, "\" has ended")};
  }
  change(*state);
  Put(*std::move(state));
  return grpc::Status::OK;
}

void FakeOrchestrationServer::Receipt(
    const std::string& id, bool created,
    v1::StartOrchestrationResponse& response) const {
  response.set_instance_id(id);
  response.set_execution_id(absl::StrCat("run-of-", id));
  response.set_created(created);
  std::lock_guard<std::mutex> lock(mu_);
  if (!urls_) return;
  response.mutable_urls()->set_id(id);
  response.mutable_urls()->set_status_query_get_uri("http://here/" + id);
}

grpc::Status FakeOrchestrationServer::Start(
    grpc::ServerContext*, const v1::StartOrchestrationRequest* request,
    v1::StartOrchestrationResponse* response) {
  grpc::Status status = Record(*request);
  if (!status.ok()) return status;
  const std::string id = request->instance_id().empty()
                             ? "made-by-server"
                             : request->instance_id();
  const std::optional<State> there = Find(id);
  bool create = true;
  if (there.has_value()) {
    const bool ended = Ended(there->status());
    create = ended ? request->if_finished() == v1::IfFinished::REPLACE
                   : request->if_active() == v1::IfActive::TERMINATE;
    const bool attach = ended ? request->if_finished() == v1::IfFinished::ATTACH
                              : request->if_active() == v1::IfActive::ATTACH;
    if (!create && !attach) {
      return {grpc::StatusCode::ALREADY_EXISTS, absl::StrCat(id, " is taken")};
    }
  }
  if (create) Put(StateOf(id, State::PENDING, request->name()));
  Receipt(id, create, *response);
  return grpc::Status::OK;
}

grpc::Status FakeOrchestrationServer::AnswerOnce(
    const v1::GetOrchestrationRequest& request,
    const std::function<bool(State::Status)>& wanted, State& response) {
  grpc::Status status = Record(request);
  if (!status.ok()) return status;
  const std::string& id = request.instance_id();
  std::unique_lock<std::mutex> lock(mu_);
  changed_.wait(lock, [&] {
    const auto found = states_.find(id);
    return stopping_ || found == states_.end() ||
           wanted(found->second.status());
  });
  const auto found = states_.find(id);
  if (found == states_.end()) return Unknown(id);
  response = found->second;
  if (request.omit_payloads()) {
    response.clear_input();
    response.clear_output();
    response.clear_failure();
  }
  return grpc::Status::OK;
}

grpc::Status FakeOrchestrationServer::Get(
    grpc::ServerContext*, const v1::GetOrchestrationRequest* request,
    State* response) {
  return AnswerOnce(
      *request, [](State::Status) { return true; }, *response);
}

grpc::Status FakeOrchestrationServer::WaitForStart(
    grpc::ServerContext*, const v1::GetOrchestrationRequest* request,
    State* response) {
  return AnswerOnce(
      *request, [](State::Status s) { return s != State::PENDING; }, *response);
}

grpc::Status FakeOrchestrationServer::WaitForCompletion(
    grpc::ServerContext*, const v1::GetOrchestrationRequest* request,
    State* response) {
  return AnswerOnce(*request, Ended, *response);
}

grpc::Status FakeOrchestrationServer::Watch(
    grpc::ServerContext* context, const v1::GetOrchestrationRequest* request,
    grpc::ServerWriter<State>* writer) {
  grpc::Status status = Record(*request);
  if (!status.ok()) return status;
  const std::string& id = request->instance_id();
  int told = 0;
  std::unique_lock<std::mutex> lock(mu_);
  watch_has_deadline_ =
      context->deadline() != std::chrono::system_clock::time_point::max();
  while (true) {
    const auto found = states_.find(id);
    if (found == states_.end()) return Unknown(id);
    told = versions_[id];
    const State state = found->second;
    lock.unlock();
    writer->Write(state);
    if (Ended(state.status())) return grpc::Status::OK;
    lock.lock();
    ++watches_;
    changed_.notify_all();
    changed_.wait(lock, [&] {
      return stopping_ || watches_end_.has_value() || versions_[id] != told;
    });
    --watches_;
    if (watches_end_.has_value()) return *watches_end_;
    if (stopping_) return grpc::Status::CANCELLED;
  }
}

grpc::Status FakeOrchestrationServer::RaiseEvent(
    grpc::ServerContext*, const v1::RaiseOrchestrationEventRequest* request,
    v1::RaiseOrchestrationEventResponse*) {
  return Change(*request, request->instance_id(), [](State&) {});
}

grpc::Status FakeOrchestrationServer::Suspend(
    grpc::ServerContext*, const v1::SuspendOrchestrationRequest* request,
    v1::SuspendOrchestrationResponse*) {
  return Change(*request, request->instance_id(),
                [](State& state) { state.set_status(State::SUSPENDED); });
}

grpc::Status FakeOrchestrationServer::Resume(
    grpc::ServerContext*, const v1::ResumeOrchestrationRequest* request,
    v1::ResumeOrchestrationResponse*) {
  return Change(*request, request->instance_id(),
                [](State& state) { state.set_status(State::RUNNING); });
}

grpc::Status FakeOrchestrationServer::Terminate(
    grpc::ServerContext*, const v1::TerminateOrchestrationRequest* request,
    v1::TerminateOrchestrationResponse*) {
  return Change(*request, request->instance_id(), [&](State& state) {
    state.set_status(State::TERMINATED);
    if (request->has_output()) state.set_output(request->output());
  });
}

grpc::Status FakeOrchestrationServer::Restart(
    grpc::ServerContext*, const v1::RestartOrchestrationRequest* request,
    v1::StartOrchestrationResponse* response) {
  grpc::Status status = Record(*request);
  if (!status.ok()) return status;
  const std::optional<State> there = Find(request->instance_id());
  if (!there.has_value()) return Unknown(request->instance_id());
  if (!request->new_instance_id() && !Ended(there->status())) {
    return {grpc::StatusCode::FAILED_PRECONDITION, "it has not ended"};
  }
  const std::string id =
      request->new_instance_id() ? "made-by-server" : request->instance_id();
  Put(StateOf(id, State::PENDING, there->name()));
  Receipt(id, true, *response);
  return grpc::Status::OK;
}

grpc::Status FakeOrchestrationServer::Purge(
    grpc::ServerContext*, const v1::PurgeOrchestrationRequest* request,
    v1::PurgeOrchestrationResponse* response) {
  grpc::Status status = Record(*request);
  if (!status.ok()) return status;
  std::lock_guard<std::mutex> lock(mu_);
  const auto found = states_.find(request->instance_id());
  if (found == states_.end()) return Unknown(request->instance_id());
  if (!Ended(found->second.status())) {
    return {grpc::StatusCode::FAILED_PRECONDITION, "it has not ended"};
  }
  states_.erase(found);
  ++versions_[request->instance_id()];
  changed_.notify_all();
  response->set_purged(1);
  return grpc::Status::OK;
}

grpc::Status FakeOrchestrationServer::PurgeMany(
    grpc::ServerContext*, const v1::PurgeOrchestrationsRequest* request,
    v1::PurgeOrchestrationsResponse* response) {
  grpc::Status status = Record(*request);
  if (!status.ok()) return status;
  std::lock_guard<std::mutex> lock(mu_);
  const auto& ids = request->instance_ids();
  int64_t left = std::exchange(purge_most_, std::nullopt).value_or(1000);
  response->set_complete(true);
  for (auto it = states_.begin(); it != states_.end();) {
    const auto& [id, state] = *it;
    const bool named = std::find(ids.begin(), ids.end(), id) != ids.end();
    if (!Ended(state.status()) ||
        !(ids.empty() ? Matches(state, request->filter()) : named)) {
      ++it;
      continue;
    }
    if (left-- == 0) {
      response->set_complete(false);
      break;
    }
    response->set_purged(response->purged() + 1);
    it = states_.erase(it);
  }
  return grpc::Status::OK;
}

grpc::Status FakeOrchestrationServer::List(
    grpc::ServerContext*, const v1::ListOrchestrationsRequest* request,
    v1::ListOrchestrationsResponse* response) {
  grpc::Status status = Record(*request);
  if (!status.ok()) return status;
  const int size = request->page_size() == 0 ? 100 : request->page_size();
  std::lock_guard<std::mutex> lock(mu_);
  // The token is the last ID of the page; the greatest ID is the newest.
  const std::string& token = request->page_token();
  const bool newest =
      request->order() == v1::ListOrchestrationsRequest::NEWEST_FIRST;
  std::vector<const State*> states;
  for (const auto& [id, state] : states_) {
    const bool follows = token.empty() || (newest ? id < token : id > token);
    if (follows && Matches(state, request->filter())) states.push_back(&state);
  }
  if (newest) std::reverse(states.begin(), states.end());
  for (const State* one : states) {
    if (response->orchestrations_size() == size) {
      response->set_next_page_token(
          response->orchestrations(size - 1).instance_id());
      break;
    }
    State* state = response->add_orchestrations();
    *state = *one;
    if (request->include_payloads()) continue;
    state->clear_input();
    state->clear_output();
    state->clear_failure();
  }
  return grpc::Status::OK;
}

grpc::Status FakeOrchestrationServer::Count(
    grpc::ServerContext*, const v1::CountOrchestrationsRequest* request,
    v1::CountOrchestrationsResponse* response) {
  grpc::Status status = Record(*request);
  if (!status.ok()) return status;
  std::lock_guard<std::mutex> lock(mu_);
  std::map<State::Status, int64_t> counts;
  for (const auto& [id, state] : states_) {
    if (Matches(state, request->filter())) ++counts[state.status()];
  }
  for (const auto& [one, count] : counts) {
    auto& added = *response->add_counts();
    added.set_status(one);
    added.set_count(count);
  }
  response->set_complete(true);
  return grpc::Status::OK;
}

grpc::Status FakeOrchestrationServer::GetHistory(
    grpc::ServerContext*, const v1::GetOrchestrationHistoryRequest* request,
    grpc::ServerWriter<Event>* writer) {
  grpc::Status status = Record(*request);
  if (!status.ok()) return status;
  std::vector<Event> events;
  {
    std::lock_guard<std::mutex> lock(mu_);
    const auto found = histories_.find(request->instance_id());
    if (found == histories_.end()) return Unknown(request->instance_id());
    events = found->second;
  }
  for (const Event& event : events) {
    if (!writer->Write(event)) break;
  }
  return grpc::Status::OK;
}

}  // namespace leasehold::client
