#include "client/orchestrations/orchestration_client.h"

#include <initializer_list>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/wire/channel.h"
#include "client/wire/status.h"
#include "client/wire/timespan.h"
#include "client/wire/timestamp.h"
#include "client/wire/utf8.h"

namespace leasehold::client {
namespace {

namespace v1 = leasehold::v1;

using Stub = v1::Orchestration::Stub;

// A text of a request, and its name in error messages.
struct Text {
  const char* what;
  std::string_view text;
};

absl::Status CheckUtf8(std::initializer_list<Text> texts) {
  for (const Text& text : texts) {
    absl::Status status = client::CheckUtf8(text.what, text.text);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

std::string_view TextOf(const std::optional<std::string>& text) {
  return text.has_value() ? std::string_view(*text) : std::string_view();
}

absl::Status CheckId(const std::string& id) {
  return client::CheckUtf8("the instance ID", id);
}

absl::Status Check(const StartOptions& options) {
  for (const auto& [key, value] : options.tags) {
    absl::Status status =
        CheckUtf8({{"the key of a tag", key}, {"the tag", value}});
    if (!status.ok()) return status;
  }
  return CheckUtf8({{"the name", options.name},
                    {"the instance ID", options.instance_id},
                    {"the input", TextOf(options.input)},
                    {"the version", options.version},
                    {"the request ID", options.request_id}});
}

v1::IfActive::Choice ToProto(IfActive choice) {
  switch (choice) {
    case IfActive::kFail:
      return v1::IfActive::FAIL;
    case IfActive::kAttach:
      return v1::IfActive::ATTACH;
    case IfActive::kTerminate:
      return v1::IfActive::TERMINATE;
  }
  return v1::IfActive::UNSPECIFIED;
}

v1::IfFinished::Choice ToProto(IfFinished choice) {
  switch (choice) {
    case IfFinished::kFail:
      return v1::IfFinished::FAIL;
    case IfFinished::kAttach:
      return v1::IfFinished::ATTACH;
    case IfFinished::kReplace:
      return v1::IfFinished::REPLACE;
  }
  return v1::IfFinished::UNSPECIFIED;
}

v1::OrchestrationFilter ToProto(const OrchestrationFilter& filter) {
  v1::OrchestrationFilter proto;
  for (const OrchestrationStatus status : filter.statuses) {
    proto.add_statuses(client::ToProto(status));
  }
  proto.set_id_prefix(filter.id_prefix);
  if (filter.created_from.has_value()) {
    *proto.mutable_created_from() = client::ToProto(*filter.created_from);
  }
  if (filter.created_to.has_value()) {
    *proto.mutable_created_to() = client::ToProto(*filter.created_to);
  }
  proto.set_name(filter.name);
  proto.mutable_tags()->Assign(filter.tags.begin(), filter.tags.end());
  return proto;
}

absl::Status Check(const OrchestrationFilter& filter) {
  absl::Status status = CheckId(filter.id_prefix);
  if (status.ok()) status = client::CheckUtf8("the name", filter.name);
  for (const std::string& tag : filter.tags) {
    status.Update(client::CheckUtf8("a tag", tag));
  }
  return status;
}

v1::StartOrchestrationRequest ToProto(const StartOptions& options) {
  v1::StartOrchestrationRequest request;
  request.set_name(options.name);
  request.set_instance_id(options.instance_id);
  if (options.input.has_value()) request.set_input(*options.input);
  request.set_version(options.version);
  if (options.scheduled_start_time.has_value()) {
    *request.mutable_scheduled_start_time() =
        client::ToProto(*options.scheduled_start_time);
  }
  request.mutable_tags()->insert(options.tags.begin(), options.tags.end());
  request.set_if_active(ToProto(options.if_active));
  request.set_if_finished(ToProto(options.if_finished));
  request.set_request_id(options.request_id);
  return request;
}

v1::GetOrchestrationRequest GetRequest(const std::string& id, bool payloads) {
  v1::GetOrchestrationRequest request;
  request.set_instance_id(id);
  request.set_omit_payloads(!payloads);
  return request;
}

}  // namespace

absl::StatusOr<std::unique_ptr<OrchestrationClient>>
OrchestrationClient::Connect(
    const std::string& address, absl::Duration timeout,
    std::shared_ptr<grpc::ChannelCredentials> credentials) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return status;
  return std::make_unique<OrchestrationClient>(
      OpenChannel(address, {}, std::move(credentials)), address, timeout);
}

OrchestrationClient::OrchestrationClient(std::shared_ptr<grpc::Channel> channel,
                                         std::string name,
                                         absl::Duration timeout)
    : channel_(std::move(channel)),
      name_(std::move(name)),
      timeout_(timeout),
      stub_(v1::Orchestration::NewStub(channel_)) {}

template <typename Request, typename Response>
absl::Status OrchestrationClient::Call(Method<Request, Response> method,
                                       const Request& request,
                                       Response& response,
                                       absl::Duration timeout) {
  grpc::ClientContext context;
  if (timeout != absl::InfiniteDuration()) {
    context.set_deadline(Timespan(timeout));
  }
  const grpc::Status status = ((*stub_).*method)(&context, request, &response);
  return status.ok() ? absl::OkStatus()
                     : ExplainStatus(status, *channel_, name_, timeout);
}

absl::StatusOr<OrchestrationReceipt> OrchestrationClient::Start(
    const StartOptions& options) {
  absl::Status status = Check(options);
  if (!status.ok()) return status;
  v1::StartOrchestrationResponse response;
  status = Call(&Stub::Start, ToProto(options), response);
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::StatusOr<std::optional<OrchestrationState>> OrchestrationClient::Get(
    const std::string& id, bool payloads) {
  absl::Status status = CheckId(id);
  if (!status.ok()) return status;
  v1::OrchestrationState response;
  status = Call(&Stub::Get, GetRequest(id, payloads), response);
  if (absl::IsNotFound(status)) return std::nullopt;
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::StatusOr<OrchestrationState> OrchestrationClient::WaitForStart(
    const std::string& id, absl::Duration timeout, bool payloads) {
  return Wait(&Stub::WaitForStart, id, timeout, payloads, "begun");
}

absl::StatusOr<OrchestrationState> OrchestrationClient::WaitForCompletion(
    const std::string& id, absl::Duration timeout, bool payloads) {
  return Wait(&Stub::WaitForCompletion, id, timeout, payloads, "ended");
}

absl::StatusOr<OrchestrationState> OrchestrationClient::Wait(
    Method<v1::GetOrchestrationRequest, v1::OrchestrationState> method,
    const std::string& id, absl::Duration timeout, bool payloads,
    const char* what) {
  absl::Status status = CheckId(id);
  if (!status.ok()) return status;
  v1::OrchestrationState response;
  status = Call(method, GetRequest(id, payloads), response, timeout);
  if (absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError(
        absl::StrCat("orchestration \"", id, "\" has not ", what, " within ",
                     absl::FormatDuration(timeout)));
  }
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::StatusOr<std::unique_ptr<OrchestrationWatch>>
OrchestrationClient::StartWatch(OrchestrationWatchOptions options) {
  absl::Status status = CheckId(options.instance_id);
  if (!status.ok()) return status;
  const auto request = GetRequest(options.instance_id, options.payloads);
  std::optional<Deadline> deadline;
  if (options.timeout.has_value()) deadline = DeadlineIn(*options.timeout);
  OrchestrationWatch::Stream::Doors doors{
      .loop = loop_,
      .name = name_,
      .reconnect = options.reconnect,
      .may_end_well = true,
      .has_deadline = deadline.has_value(),
      .run_after = std::move(options.run_after),
      .prepare =
          [this, request, deadline](auto* context, auto* queue, bool) {
            if (deadline.has_value()) context->set_deadline(deadline->at);
            return stub_->PrepareAsyncWatch(context, request, queue);
          },
      .on_message =
          [on_state = std::move(options.on_state)](
              const v1::OrchestrationState& state, bool) {
            if (on_state) on_state(FromProto(state));
          },
      .on_lost = std::move(options.on_lost),
      .on_end = std::move(options.on_end)};
  auto stream = std::make_shared<OrchestrationWatch::Stream>(std::move(doors));
  stream->Start();
  return std::make_unique<OrchestrationWatch>(std::move(stream));
}

absl::Status OrchestrationClient::RaiseEvent(
    const std::string& id, const std::string& name,
    const std::optional<std::string>& input) {
  absl::Status status = CheckUtf8({{"the instance ID", id},
                                   {"the name of the event", name},
                                   {"the input", TextOf(input)}});
  if (!status.ok()) return status;
  v1::RaiseOrchestrationEventRequest request;
  request.set_instance_id(id);
  request.set_name(name);
  if (input.has_value()) request.set_input(*input);
  v1::RaiseOrchestrationEventResponse response;
  return Call(&Stub::RaiseEvent, request, response);
}

absl::Status OrchestrationClient::Suspend(const std::string& id,
                                          const std::string& reason) {
  absl::Status status =
      CheckUtf8({{"the instance ID", id}, {"the reason", reason}});
  if (!status.ok()) return status;
  v1::SuspendOrchestrationRequest request;
  request.set_instance_id(id);
  request.set_reason(reason);
  v1::SuspendOrchestrationResponse response;
  return Call(&Stub::Suspend, request, response);
}

absl::Status OrchestrationClient::Resume(const std::string& id,
                                         const std::string& reason) {
  absl::Status status =
      CheckUtf8({{"the instance ID", id}, {"the reason", reason}});
  if (!status.ok()) return status;
  v1::ResumeOrchestrationRequest request;
  request.set_instance_id(id);
  request.set_reason(reason);
  v1::ResumeOrchestrationResponse response;
  return Call(&Stub::Resume, request, response);
}

absl::Status OrchestrationClient::Terminate(const std::string& id,
                                            const TerminateOptions& options) {
  absl::Status status = CheckUtf8(
      {{"the instance ID", id}, {"the output", TextOf(options.output)}});
  if (!status.ok()) return status;
  v1::TerminateOrchestrationRequest request;
  request.set_instance_id(id);
  if (options.output.has_value()) request.set_output(*options.output);
  request.set_recursive(options.recursive);
  request.set_force(options.force);
  v1::TerminateOrchestrationResponse response;
  return Call(&Stub::Terminate, request, response);
}

absl::Status OrchestrationClient::Rewind(const std::string& id,
                                         const std::string& reason) {
  absl::Status status =
      CheckUtf8({{"the instance ID", id}, {"the reason", reason}});
  if (!status.ok()) return status;
  v1::RewindOrchestrationRequest request;
  request.set_instance_id(id);
  request.set_reason(reason);
  v1::RewindOrchestrationResponse response;
  return Call(&Stub::Rewind, request, response);
}

absl::StatusOr<OrchestrationReceipt> OrchestrationClient::Restart(
    const std::string& id, bool new_id) {
  absl::Status status = CheckId(id);
  if (!status.ok()) return status;
  v1::RestartOrchestrationRequest request;
  request.set_instance_id(id);
  request.set_new_instance_id(new_id);
  v1::StartOrchestrationResponse response;
  status = Call(&Stub::Restart, request, response);
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::StatusOr<int64_t> OrchestrationClient::Purge(const std::string& id,
                                                   bool recursive) {
  absl::Status status = CheckId(id);
  if (!status.ok()) return status;
  v1::PurgeOrchestrationRequest request;
  request.set_instance_id(id);
  request.set_recursive(recursive);
  v1::PurgeOrchestrationResponse response;
  status = Call(&Stub::Purge, request, response);
  if (!status.ok()) return status;
  return response.purged();
}

absl::StatusOr<PurgeResult> OrchestrationClient::PurgeMany(
    const std::vector<std::string>& ids, bool recursive) {
  // The contract treats an empty list of IDs as an error.
  if (ids.empty()) return PurgeResult{};
  v1::PurgeOrchestrationsRequest request;
  for (const std::string& id : ids) {
    absl::Status status = CheckId(id);
    if (!status.ok()) return status;
    request.add_instance_ids(id);
  }
  request.set_recursive(recursive);
  return Purge(request);
}

absl::StatusOr<PurgeResult> OrchestrationClient::PurgeMatching(
    const OrchestrationFilter& filter, bool recursive) {
  absl::Status status = Check(filter);
  if (!status.ok()) return status;
  v1::PurgeOrchestrationsRequest request;
  *request.mutable_filter() = ToProto(filter);
  request.set_recursive(recursive);
  return Purge(request);
}

absl::StatusOr<PurgeResult> OrchestrationClient::Purge(
    const v1::PurgeOrchestrationsRequest& request) {
  v1::PurgeOrchestrationsResponse response;
  absl::Status status = Call(&Stub::PurgeMany, request, response);
  if (!status.ok()) return status;
  return PurgeResult{response.purged(), response.complete()};
}

absl::StatusOr<OrchestrationPage> OrchestrationClient::ListPage(
    const ListOrchestrationsOptions& options, const std::string& page_token) {
  absl::Status status = Check(options.filter);
  if (status.ok()) status = client::CheckUtf8("the page token", page_token);
  if (!status.ok()) return status;
  v1::ListOrchestrationsRequest request;
  *request.mutable_filter() = ToProto(options.filter);
  request.set_page_size(options.page_size);
  request.set_page_token(page_token);
  request.set_include_payloads(options.payloads);
  if (options.order == ListOrder::kNewestFirst) {
    request.set_order(v1::ListOrchestrationsRequest::NEWEST_FIRST);
  }
  v1::ListOrchestrationsResponse response;
  status = Call(&Stub::List, request, response);
  if (!status.ok()) return status;
  OrchestrationPage page;
  page.orchestrations.reserve(response.orchestrations_size());
  for (const v1::OrchestrationState& state : response.orchestrations()) {
    page.orchestrations.push_back(FromProto(state));
  }
  page.next_page_token = response.next_page_token();
  return page;
}

absl::Status OrchestrationClient::List(
    const ListOrchestrationsOptions& options,
    const std::function<bool(const std::vector<OrchestrationState>&)>&
        on_page) {
  std::string token;
  do {
    const absl::StatusOr<OrchestrationPage> page = ListPage(options, token);
    if (!page.ok()) return page.status();
    if (!on_page(page->orchestrations)) break;
    token = page->next_page_token;
  } while (!token.empty());
  return absl::OkStatus();
}

absl::StatusOr<OrchestrationCounts> OrchestrationClient::Count(
    const OrchestrationFilter& filter) {
  absl::Status status = Check(filter);
  if (!status.ok()) return status;
  v1::CountOrchestrationsRequest request;
  *request.mutable_filter() = ToProto(filter);
  v1::CountOrchestrationsResponse response;
  status = Call(&Stub::Count, request, response);
  if (!status.ok()) return status;
  OrchestrationCounts counts;
  for (const auto& one : response.counts()) {
    counts.by_status[FromProto(one.status())] += one.count();
  }
  counts.complete = response.complete();
  return counts;
}

absl::Status OrchestrationClient::GetHistory(
    const std::string& id, const std::string& execution_id,
    const std::function<bool(const OrchestrationEvent&)>& on_event) {
  absl::Status status =
      CheckUtf8({{"the instance ID", id}, {"the execution ID", execution_id}});
  if (!status.ok()) return status;
  v1::GetOrchestrationHistoryRequest request;
  request.set_instance_id(id);
  request.set_execution_id(execution_id);
  grpc::ClientContext context;
  const auto reader = stub_->GetHistory(&context, request);
  v1::OrchestrationEvent event;
  while (reader->Read(&event)) {
    if (on_event(FromProto(event))) continue;
    context.TryCancel();
    reader->Finish();
    return absl::OkStatus();
  }
  return ExplainStatus(reader->Finish(), name_);
}

}  // namespace leasehold::client
