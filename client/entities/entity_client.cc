#include "client/entities/entity_client.h"

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

using Stub = v1::Entities::Stub;

absl::Status CheckId(const std::string& id) {
  return CheckUtf8("the instance ID", id);
}

absl::Status CheckOperation(const std::string& id, const std::string& operation,
                            const std::optional<std::string>& input) {
  absl::Status status = CheckId(id);
  status.Update(CheckUtf8("the name of the operation", operation));
  if (input.has_value()) status.Update(CheckUtf8("the input", *input));
  return status;
}

v1::GetEntityRequest GetRequest(const std::string& id, bool state) {
  v1::GetEntityRequest request;
  request.set_instance_id(id);
  request.set_omit_state(!state);
  return request;
}

v1::ListEntitiesRequest ListRequest(const ListEntitiesOptions& options,
                                    const std::string& page_token) {
  v1::ListEntitiesRequest request;
  v1::EntityFilter& filter = *request.mutable_filter();
  filter.set_id_prefix(options.filter.id_prefix);
  if (options.filter.updated_from.has_value()) {
    *filter.mutable_updated_from() = ToProto(*options.filter.updated_from);
  }
  if (options.filter.updated_to.has_value()) {
    *filter.mutable_updated_to() = ToProto(*options.filter.updated_to);
  }
  filter.set_include_stateless(options.filter.stateless);
  request.set_page_size(options.page_size);
  request.set_page_token(page_token);
  request.set_include_states(options.states);
  return request;
}

}  // namespace

absl::StatusOr<std::unique_ptr<EntityClient>> EntityClient::Connect(
    const std::string& address, absl::Duration timeout,
    std::shared_ptr<grpc::ChannelCredentials> credentials) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return status;
  return std::make_unique<EntityClient>(
      OpenChannel(address, {}, std::move(credentials)), address, timeout);
}

EntityClient::EntityClient(std::shared_ptr<grpc::Channel> channel,
                           std::string name, absl::Duration timeout)
    : channel_(std::move(channel)),
      name_(std::move(name)),
      timeout_(timeout),
      stub_(v1::Entities::NewStub(channel_)) {}

template <typename Request, typename Response>
absl::Status EntityClient::Make(Method<Request, Response> method,
                                const Request& request, Response& response,
                                absl::Duration timeout) {
  grpc::ClientContext context;
  if (timeout != absl::InfiniteDuration()) {
    context.set_deadline(Timespan(timeout));
  }
  const grpc::Status status = ((*stub_).*method)(&context, request, &response);
  return status.ok() ? absl::OkStatus()
                     : ExplainStatus(status, *channel_, name_, timeout);
}

absl::Status EntityClient::Signal(const EntitySignalOptions& options) {
  absl::Status status =
      CheckOperation(options.instance_id, options.operation, options.input);
  if (!status.ok()) return status;
  v1::SignalEntityRequest request;
  request.set_instance_id(options.instance_id);
  request.set_operation(options.operation);
  if (options.input.has_value()) request.set_input(*options.input);
  if (options.scheduled_time.has_value()) {
    *request.mutable_scheduled_time() = ToProto(*options.scheduled_time);
  }
  v1::SignalEntityResponse response;
  return Make(&Stub::Signal, request, response, timeout_);
}

absl::StatusOr<std::optional<std::string>> EntityClient::Call(
    const EntityCallOptions& options) {
  absl::Status status =
      CheckOperation(options.instance_id, options.operation, options.input);
  status.Update(CheckUtf8("the request ID", options.request_id));
  if (!status.ok()) return status;
  v1::CallEntityRequest request;
  request.set_instance_id(options.instance_id);
  request.set_operation(options.operation);
  if (options.input.has_value()) request.set_input(*options.input);
  request.set_request_id(options.request_id);
  v1::CallEntityResponse response;
  status = Make(&Stub::Call, request, response, options.timeout);
  if (!status.ok()) return status;
  if (!response.has_output()) return std::nullopt;
  return std::move(*response.mutable_output());
}

absl::StatusOr<std::optional<EntityInfo>> EntityClient::Get(
    const std::string& id, bool state) {
  absl::Status status = CheckId(id);
  if (!status.ok()) return status;
  v1::EntityInfo response;
  status = Make(&Stub::Get, GetRequest(id, state), response, timeout_);
  if (absl::IsNotFound(status)) return std::nullopt;
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::Status EntityClient::Delete(const std::string& id) {
  absl::Status status = CheckId(id);
  if (!status.ok()) return status;
  v1::DeleteEntityRequest request;
  request.set_instance_id(id);
  v1::DeleteEntityResponse response;
  return Make(&Stub::Delete, request, response, timeout_);
}

absl::Status EntityClient::LimitLock(const EntityLockOptions& options) {
  absl::Status status = CheckId(options.instance_id);
  status.Update(CheckUtf8("the section ID", options.section_id));
  if (!status.ok()) return status;
  v1::LimitEntityLockRequest request;
  request.set_instance_id(options.instance_id);
  request.set_section_id(options.section_id);
  if (options.timeout.has_value()) {
    *request.mutable_timeout() = ToProto(*options.timeout);
  }
  v1::LimitEntityLockResponse response;
  return Make(&Stub::LimitLock, request, response, timeout_);
}

absl::StatusOr<EntityPage> EntityClient::ListPage(
    const ListEntitiesOptions& options, const std::string& page_token) {
  absl::Status status = CheckId(options.filter.id_prefix);
  status.Update(CheckUtf8("the page token", page_token));
  if (!status.ok()) return status;
  v1::ListEntitiesResponse response;
  status =
      Make(&Stub::List, ListRequest(options, page_token), response, timeout_);
  if (!status.ok()) return status;
  EntityPage page;
  page.entities.reserve(response.entities_size());
  for (const v1::EntityInfo& info : response.entities()) {
    page.entities.push_back(FromProto(info));
  }
  page.next_page_token = response.next_page_token();
  return page;
}

absl::Status EntityClient::List(
    const ListEntitiesOptions& options,
    const std::function<bool(const std::vector<EntityInfo>&)>& on_page) {
  std::string token;
  do {
    const absl::StatusOr<EntityPage> page = ListPage(options, token);
    if (!page.ok()) return page.status();
    if (!on_page(page->entities)) break;
    token = page->next_page_token;
  } while (!token.empty());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<EntityWatch>> EntityClient::StartWatch(
    EntityWatchOptions options) {
  absl::Status status = CheckId(options.instance_id);
  if (!status.ok()) return status;
  EntityWatch::Stream::Doors doors{
      .loop = loop_,
      .name = name_,
      .reconnect = options.reconnect,
      .may_end_well = false,
      .has_deadline = false,
      .run_after = std::move(options.run_after),
      .prepare =
          [this, request = GetRequest(options.instance_id, options.state)](
              auto* context, auto* queue, bool) {
            return stub_->PrepareAsyncWatch(context, request, queue);
          },
      .on_message =
          [on_change = std::move(options.on_change)](const v1::EntityInfo& info,
                                                     bool) {
            if (on_change) on_change(FromProto(info));
          },
      .on_lost = std::move(options.on_lost),
      .on_end = std::move(options.on_end)};
  auto stream = std::make_shared<EntityWatch::Stream>(std::move(doors));
  stream->Start();
  return std::make_unique<EntityWatch>(std::move(stream));
}

}  // namespace leasehold::client
