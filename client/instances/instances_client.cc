#include "client/instances/instances_client.h"

#include <utility>

#include "client/wire/channel.h"
#include "client/wire/status.h"
#include "client/wire/timespan.h"
#include "client/wire/utf8.h"

namespace leasehold::client {
namespace {

using Stub = leasehold::v1::Instances::Stub;

absl::Status CheckId(const std::string& id) {
  return CheckUtf8("the instance ID", id);
}

}  // namespace

absl::StatusOr<std::unique_ptr<InstancesClient>> InstancesClient::Connect(
    const std::string& address, absl::Duration timeout,
    std::shared_ptr<grpc::ChannelCredentials> credentials) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return status;
  return std::make_unique<InstancesClient>(
      OpenChannel(address, {}, std::move(credentials)), address, timeout);
}

InstancesClient::InstancesClient(std::shared_ptr<grpc::Channel> channel,
                                 std::string name, absl::Duration timeout)
    : channel_(std::move(channel)),
      name_(std::move(name)),
      timeout_(timeout),
      stub_(leasehold::v1::Instances::NewStub(channel_)) {}

template <typename Request, typename Response>
absl::Status InstancesClient::Call(
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    const Request& request, Response& response) {
  grpc::ClientContext context;
  context.set_deadline(Timespan(timeout_));
  const grpc::Status status = ((*stub_).*method)(&context, request, &response);
  return status.ok() ? absl::OkStatus()
                     : ExplainStatus(status, *channel_, name_, timeout_);
}

absl::StatusOr<OpenedInstance> InstancesClient::Create(
    const CreateOptions& options) {
  absl::Status status = CheckId(options.instance_id);
  if (!status.ok()) return status;
  leasehold::v1::CreateInstanceContextRequest request;
  request.set_instance_id(options.instance_id);
  if (options.idle_timeout.has_value()) {
    *request.mutable_idle_timeout() = ToProto(*options.idle_timeout);
  }
  leasehold::v1::CreateInstanceContextResponse response;
  status = Call(&Stub::Create, request, response);
  if (!status.ok()) return status;
  return OpenedInstance{FromProto(response.instance()), response.created()};
}

absl::StatusOr<std::optional<Instance>> InstancesClient::Get(
    const std::string& id) {
  absl::Status status = CheckId(id);
  if (!status.ok()) return status;
  leasehold::v1::GetInstanceContextRequest request;
  request.set_instance_id(id);
  leasehold::v1::Instance response;
  status = Call(&Stub::Get, request, response);
  if (absl::IsNotFound(status)) return std::nullopt;
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::StatusOr<InstancePage> InstancesClient::ListPage(
    const ListOptions& options, const std::string& page_token) {
  absl::Status status = CheckId(options.id_prefix);
  if (status.ok()) status = client::CheckUtf8("the page token", page_token);
  if (!status.ok()) return status;
  leasehold::v1::ListInstancesRequest request;
  request.set_id_prefix(options.id_prefix);
  request.set_state(ToProto(options.state));
  request.set_page_size(options.page_size);
  request.set_page_token(page_token);
  leasehold::v1::ListInstancesResponse response;
  status = Call(&Stub::List, request, response);
  if (!status.ok()) return status;
  InstancePage page;
  page.instances.reserve(response.instances_size());
  for (const leasehold::v1::Instance& instance : response.instances()) {
    page.instances.push_back(FromProto(instance));
  }
  page.next_page_token = response.next_page_token();
  return page;
}

absl::Status InstancesClient::List(
    const ListOptions& options,
    const std::function<bool(const std::vector<Instance>&)>& on_page) {
  std::string token;
  do {
    const absl::StatusOr<InstancePage> page = ListPage(options, token);
    if (!page.ok()) return page.status();
    if (!on_page(page->instances)) break;
    token = page->next_page_token;
  } while (!token.empty());
  return absl::OkStatus();
}

absl::StatusOr<Instance> InstancesClient::SetIdleTimeout(
    const std::string& id, absl::Duration timeout) {
  absl::Status status = CheckId(id);
  if (!status.ok()) return status;
  leasehold::v1::SetIdleTimeoutRequest request;
  request.set_instance_id(id);
  *request.mutable_idle_timeout() = ToProto(timeout);
  leasehold::v1::Instance response;
  status = Call(&Stub::SetIdleTimeout, request, response);
  if (!status.ok()) return status;
  return FromProto(response);
}

absl::StatusOr<Instance> InstancesClient::Release(const std::string& id,
                                                  bool force) {
  absl::Status status = CheckId(id);
  if (!status.ok()) return status;
  leasehold::v1::ReleaseRequest request;
  request.set_instance_id(id);
  request.set_force(force);
  leasehold::v1::ReleaseResponse response;
  status = Call(&Stub::Release, request, response);
  if (!status.ok()) return status;
  return FromProto(response.instance());
}

absl::StatusOr<std::unique_ptr<Hold>> InstancesClient::StartHold(
    HoldOptions options) {
  absl::Status status = CheckId(options.instance_id);
  if (!status.ok()) return status;
  leasehold::v1::HoldRequest request;
  request.set_instance_id(options.instance_id);
  if (options.idle_timeout.has_value()) {
    *request.mutable_idle_timeout() = ToProto(*options.idle_timeout);
  }
  using Response = leasehold::v1::HoldResponse;
  // The server may have made the ID: reconnecting asks for that one.
  const auto asked =
      std::make_shared<leasehold::v1::HoldRequest>(std::move(request));
  SteadyStream<Response>::Doors doors{
      .loop = loop_,
      .name = name_,
      .reconnect = options.reconnect,
      .run_after = std::move(options.run_after),
      .prepare =
          [this, asked, expect = options.expect](auto* context, auto* queue,
                                                 bool again) {
            if (!again) AddExpect(expect, *context);
            return stub_->PrepareAsyncHold(context, *asked, queue);
          },
      .on_message =
          [asked, on_held = std::move(options.on_held)](
              const Response& response, bool) {
            asked->set_instance_id(response.instance().instance_id());
            if (!on_held) return;
            on_held({FromProto(response.instance()), response.created()});
          },
      .on_lost = std::move(options.on_lost),
      .on_end = std::move(options.on_end)};
  auto stream = std::make_shared<SteadyStream<Response>>(std::move(doors));
  stream->Start();
  return std::make_unique<Hold>(std::move(stream));
}

absl::StatusOr<std::unique_ptr<Watch>> InstancesClient::StartWatch(
    WatchOptions options) {
  absl::Status status = CheckId(options.id_prefix);
  if (!status.ok()) return status;
  leasehold::v1::WatchInstancesRequest request;
  request.set_id_prefix(options.id_prefix);
  using Response = leasehold::v1::WatchInstancesResponse;
  SteadyStream<Response>::Doors doors{
      .loop = loop_,
      .name = name_,
      .reconnect = options.reconnect,
      .run_after = std::move(options.run_after),
      .prepare =
          [this, request](auto* context, auto* queue, bool) {
            return stub_->PrepareAsyncWatch(context, request, queue);
          },
      .on_message =
          [on_event = std::move(options.on_event)](const Response& response,
                                                   bool again) {
            if (!on_event) return;
            if (again) {
              WatchEvent lagged;
              lagged.kind = WatchEvent::Kind::kLagged;
              on_event(lagged);
            }
            on_event(FromProto(response));
          },
      .on_lost = std::move(options.on_lost),
      .on_end = std::move(options.on_end)};
  auto stream = std::make_shared<SteadyStream<Response>>(std::move(doors));
  stream->Start();
  return std::make_unique<Watch>(std::move(stream));
}

absl::StatusOr<std::unique_ptr<KeepAlive>> InstancesClient::StartKeepAlive(
    KeepAliveOptions options) {
  if (options.instance_ids.empty()) {
    return absl::InvalidArgumentError("no instance ID to keep alive");
  }
  for (const std::string& id : options.instance_ids) {
    absl::Status status = CheckId(id);
    if (!status.ok()) return status;
  }
  return std::make_unique<KeepAlive>(loop_, *stub_, name_, std::move(options));
}

}  // namespace leasehold::client
