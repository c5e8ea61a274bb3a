#include "client/admin/admin_client.h"

#include <utility>

#include "client/wire/channel.h"
#include "client/wire/status.h"
#include "client/wire/timespan.h"
#include "client/wire/utf8.h"

namespace leasehold::client {

using Stub = leasehold::v1::Admin::Stub;

absl::StatusOr<std::unique_ptr<AdminClient>> AdminClient::Connect(
    const std::string& address, absl::Duration timeout,
    std::shared_ptr<grpc::ChannelCredentials> credentials) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return status;
  return std::make_unique<AdminClient>(
      OpenChannel(address, {}, std::move(credentials)), address, timeout);
}

AdminClient::AdminClient(std::shared_ptr<grpc::Channel> channel,
                         std::string name, absl::Duration timeout)
    : channel_(std::move(channel)),
      name_(std::move(name)),
      timeout_(timeout),
      stub_(leasehold::v1::Admin::NewStub(channel_)) {}

template <typename Request, typename Response>
absl::Status AdminClient::Call(
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    const Request& request, Response& response) {
  grpc::ClientContext context;
  context.set_deadline(Timespan(timeout_));
  const grpc::Status status = ((*stub_).*method)(&context, request, &response);
  return status.ok() ? absl::OkStatus()
                     : ExplainStatus(status, *channel_, name_, timeout_);
}

absl::StatusOr<leasehold::v1::Explanation> AdminClient::Explain(
    const std::string& instance_id) {
  absl::Status status = CheckUtf8("the instance ID", instance_id);
  if (!status.ok()) return status;
  leasehold::v1::ExplainRequest request;
  request.set_instance_id(instance_id);
  leasehold::v1::Explanation response;
  status = Call(&Stub::Explain, request, response);
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<leasehold::v1::StatsResponse> AdminClient::Stats(
    const std::vector<std::string>& name_prefixes) {
  leasehold::v1::StatsRequest request;
  for (const std::string& prefix : name_prefixes) {
    absl::Status status = CheckUtf8("the prefix of a name", prefix);
    if (!status.ok()) return status;
    request.add_name_prefixes(prefix);
  }
  leasehold::v1::StatsResponse response;
  const absl::Status status = Call(&Stub::Stats, request, response);
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<WorkersPage> AdminClient::WorkersOnPage(
    const std::string& page_token, int page_size) {
  absl::Status status = CheckUtf8("the page token", page_token);
  if (!status.ok()) return status;
  leasehold::v1::WorkersRequest request;
  request.set_page_token(page_token);
  request.set_page_size(page_size);
  leasehold::v1::WorkersResponse response;
  status = Call(&Stub::Workers, request, response);
  if (!status.ok()) return status;
  WorkersPage page;
  page.workers.reserve(response.workers_size());
  for (const leasehold::v1::Worker& worker : response.workers()) {
    page.workers.push_back(FromProto(worker));
  }
  page.next_page_token = response.next_page_token();
  return page;
}

absl::Status AdminClient::Workers(
    const std::function<bool(const std::vector<ConnectedWorker>&)>& on_page) {
  std::string token;
  do {
    const absl::StatusOr<WorkersPage> page = WorkersOnPage(token);
    if (!page.ok()) return page.status();
    if (!on_page(page->workers)) break;
    token = page->next_page_token;
  } while (!token.empty());
  return absl::OkStatus();
}

}  // namespace leasehold::client
