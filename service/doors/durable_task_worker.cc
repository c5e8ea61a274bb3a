#include "service/doors/durable_task_worker.h"

#include <grpcpp/support/byte_buffer.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "service/doors/durable_task_messages.h"
#include "service/doors/work_messages.h"
#include "service/doors/worker_answer.h"
#include "service/orchestration/history.h"
#include "service/rpc/server_call.h"
#include "service/rpc/stream_call.h"

namespace leasehold {
namespace {

// About how much of a streamed history one message holds.
constexpr size_t kHistoryChunkBytes = 256 << 10;
constexpr int kHistoryChunkField = 1;

// Of what a worker says about itself.
constexpr size_t kToldBytesMax = 256;

grpc::ByteBuffer ToBuffer(std::string bytes) {
  // The slice keeps the string until it was written.
  auto* kept = new std::string(std::move(bytes));
  const grpc::Slice slice(
      kept->data(), kept->size(),
      [](void* string) { delete static_cast<std::string*>(string); }, kept);
  return {&slice, 1};
}

// Serves a method with which a worker answers. `answer` gets the bytes, because
// an answer that cannot be read is handled too.
template <typename Accept>
CallTask ServeAnswer(DurableTaskService& service, WorkExchange& work,
                     MethodQueue& calls, Accept accept,
                     void (*answer)(WorkExchange& work, const Caller& caller,
                                    grpc::ByteBuffer& bytes, DoneStatus done)) {
  UnaryCall<grpc::ByteBuffer, CompleteTaskResponse> call(calls);
  if (!co_await call.Accept(service, accept)) co_return;
  ServeAnswer(service, work, calls, accept, answer);
  if (!co_await call.Parse()) co_return;
  call.AdmitAnyway();  // Otherwise its work would be out forever.

  const std::function<void(AnswerAwaiter<absl::Status>::Done)> begin =
      [&](const AnswerAwaiter<absl::Status>::Done& done) {
        answer(work, call.caller(), call.request(), done);
      };
  AnswerAwaiter<absl::Status> answered(call.queue(), begin);
  const absl::Status status = co_await answered;
  co_await call.Finish(status);
}

template <WorkKind kKind, typename Request, typename Response>
void Abandon(WorkExchange& work, const Caller& caller, Request& request,
             Response&, DoneStatus done) {
  work.Abandon(kKind, {.token = request.completiontoken(),
                       .key = {.tenant = caller.tenant}});
  done(absl::OkStatus());
}

// What the call says in a header about the program that makes it; empty:
// nothing.
std::string ToldIn(const char* header, const grpc::ServerContext& context) {
  const auto found = context.client_metadata().find(header);
  if (found == context.client_metadata().end()) return "";
  std::string told(found->second.data(),
                   std::min(found->second.size(), kToldBytesMax));
  // It goes into messages, which have UTF-8.
  std::replace_if(
      told.begin(), told.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return told;
}

}  // namespace

DurableTaskWorker::DurableTaskWorker(DurableTaskService& service,
                                     Orchestrations& orchestrations,
                                     WorkExchange& work, Clock& clock,
                                     absl::Duration ping_interval)
    : service_(service),
      orchestrations_(orchestrations),
      work_(work),
      clock_(clock),
      ping_interval_(ping_interval),
      pinger_([this] { PingSilentStreams(); }) {}

DurableTaskWorker::~DurableTaskWorker() {
  StopPings();
  pinger_.join();
}

void DurableTaskWorker::StopPings() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
}

void DurableTaskWorker::PingSilentStreams() {
  // Twice in an interval, so that no stream is silent for longer than that.
  const absl::Duration pause = ping_interval_ / 2;
  Instant next = clock_.Now() + pause;
  for (;;) {
    std::set<std::shared_ptr<WorkStream>> streams;
    {
      MutexLock lock(mu_);
      while (!stopping_ && (streams_.empty() || clock_.Now() < next)) {
        clock_.WaitUntil(changed_, mu_,
                         streams_.empty() ? Instant::Infinite() : next);
      }
      if (stopping_) return;
      streams = streams_;
    }
    next = clock_.Now() + pause;
    for (const std::shared_ptr<WorkStream>& stream : streams) {
      stream->PingIfSilent();
    }
  }
}

std::vector<HostedService::Method> DurableTaskWorker::Methods() {
  using enum MethodKind;
  using enum Role;
  using enum CallClass;
  using Service = DurableTaskService;
  const auto answer = [this](auto accept, auto take) {
    return [this, accept, take](MethodQueue& calls) {
      ServeAnswer(service_, work_, calls, accept, take);
    };
  };
  const auto unary = [this](auto accept, auto handle) {
    return AnsweredBy(work_, service_, accept, handle);
  };
  return {
      {"GetWorkItems", kServerStream, kWorker, kEssential,
       [this](MethodQueue& calls) { ServeGetWorkItems(calls); },
       Lasting::kWorker},
      {"StreamInstanceHistory", kServerStream, kWorker, kEssential,
       [this](MethodQueue& calls) { ServeStreamInstanceHistory(calls); }},
      {"CompleteActivityTask", kUnary, kWorker, kEssential,
       answer(&Service::RequestCompleteActivityTask, &AnswerActivity)},
      {"CompleteOrchestratorTask", kUnary, kWorker, kEssential,
       answer(&Service::RequestCompleteOrchestratorTask, &AnswerTurn)},
      {"CompleteEntityTask", kUnary, kWorker, kEssential,
       answer(&Service::RequestCompleteEntityTask, &AnswerEntity)},
      {"AbandonTaskEntityWorkItem", kUnary, kWorker, kEssential,
       unary(&Service::RequestAbandonTaskEntityWorkItem,
             &Abandon<WorkKind::kEntity, AbandonEntityTaskRequest,
                      AbandonEntityTaskResponse>)},
      {"AbandonTaskActivityWorkItem", kUnary, kWorker, kEssential,
       unary(&Service::RequestAbandonTaskActivityWorkItem,
             &Abandon<WorkKind::kActivity, AbandonActivityTaskRequest,
                      AbandonActivityTaskResponse>)},
      {"AbandonTaskOrchestratorWorkItem", kUnary, kWorker, kEssential,
       unary(&Service::RequestAbandonTaskOrchestratorWorkItem,
             &Abandon<WorkKind::kTurn, AbandonOrchestrationTaskRequest,
                      AbandonOrchestrationTaskResponse>)},
  };
}

CallTask DurableTaskWorker::ServeGetWorkItems(MethodQueue& calls) {
  ServerStreamCall<GetWorkItemsRequest, grpc::ByteBuffer> call(calls);
  using Service = DurableTaskService;
  if (!co_await call.Accept(service_, &Service::RequestGetWorkItems)) co_return;
  ServeGetWorkItems(calls);
  if (!co_await call.Parse()) co_return;

  absl::StatusOr<WorkerOptions> options =
      FromMessage(call.request(), ToldIn("user-agent", call.context()));
  if (!options.ok()) {
    co_await call.Finish(options.status());
    co_return;
  }
  const auto stream = std::make_shared<WorkStream>(work_, call.control());
  stream->Ping();  // So that the client sees at once that it is connected.
  {
    MutexLock lock(mu_);
    streams_.insert(stream);
  }
  changed_.NotifyAll();
  options->tenant = call.caller().tenant;
  options->identity = call.caller().name;
  options->sdk = ToldIn("x-user-agent", call.context());
  options->peer = call.context().peer();
  const WorkerId worker = work_.Connect(*std::move(options), stream);
  bool open = true;
  while (open) {
    std::deque<std::string> items = stream->Take();
    if (items.empty()) {
      open = co_await call.News();
      continue;
    }
    while (open && !items.empty()) {
      const grpc::ByteBuffer item = ToBuffer(std::move(items.front()));
      items.pop_front();
      // The answer that led to this work may still fill the connection's share.
      // Then the work waits, because ending the stream would lose it.
      open = co_await call.Room(item.Length());
      if (!open) break;
      const size_t bytes = item.Length();
      open = co_await call.Write(item);
      call.LeaveRoom();
      stream->OnTaken(bytes);
    }
  }
  {
    MutexLock lock(mu_);
    streams_.erase(stream);
  }
  work_.Disconnect(worker);
  // Never with OK: some workers would reconnect at once, again and again.
  const absl::Status status =
      call.EndStatus(absl::UnavailableError("the stream was cut"));
  co_await call.Finish(status);
}

CallTask DurableTaskWorker::ServeStreamInstanceHistory(MethodQueue& calls) {
  ServerStreamCall<StreamInstanceHistoryRequest, grpc::ByteBuffer> call(calls);
  if (!co_await call.Accept(
          service_, &DurableTaskService::RequestStreamInstanceHistory)) {
    co_return;
  }
  ServeStreamInstanceHistory(calls);
  if (!co_await call.Parse()) co_return;

  const StreamInstanceHistoryRequest& request = call.request();
  const absl::StatusOr<InstanceKey> key =
      DurableTaskKey(request.instanceid(), call.caller());
  absl::Status status = key.status();
  std::optional<HistoryQuery> query(std::in_place);
  if (request.has_executionid()) {
    query->execution_id = request.executionid().value();
  }
  bool open = key.ok();
  while (open && query.has_value()) {
    co_await reads_.Enter(call.queue());
    HistoryRead read(orchestrations_, call, *key, *query);
    absl::StatusOr<HistoryPage> page = co_await read;
    status = page.status();
    const size_t room = status.ok() ? HistoryRoom(*page) : 0;
    const bool fits = !status.ok() || call.TryRoom(room);
    if (!fits) page = HistoryPage();
    reads_.Leave();
    if (!status.ok()) break;
    if (!fits) {
      // It is read again once there is room: nothing waits in memory.
      open = co_await call.Room(room);
      continue;
    }
    std::vector<std::string> messages(1);
    for (const std::string& chunk : page->chunks) {
      ForEachFrame(chunk, [&messages](std::string_view event) {
        if (messages.back().size() + event.size() > kHistoryChunkBytes &&
            !messages.back().empty()) {
          messages.emplace_back();
        }
        AppendFrame(messages.back(), kHistoryChunkField, event);
      });
    }
    query = std::move(page->next);
    page = HistoryPage();
    for (std::string& message : messages) {
      if (!open || message.empty()) break;
      const grpc::ByteBuffer buffer = ToBuffer(std::move(message));
      open = co_await call.Write(buffer);
    }
    call.LeaveRoom();
  }
  const absl::Status end = call.EndStatus(status);
  co_await call.Finish(end);
}

}  // namespace leasehold
