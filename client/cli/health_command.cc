#include "client/cli/health_command.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/json_object.h"
#include "client/cli/output.h"
#include "client/cli/values.h"
#include "client/wire/channel.h"
#include "client/wire/status.h"
#include "client/wire/timespan.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace leasehold::client::cli {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

absl::Status RunHealth(const std::string& service, const GlobalOptions& global,
                       Surroundings& around) {
  absl::Status checked = CheckAddress(global.address);
  if (!checked.ok()) return checked;
  const std::shared_ptr<grpc::Channel> channel = OpenChannel(global);
  HealthCheckRequest request;
  request.set_service(service);
  HealthCheckResponse response;
  grpc::ClientContext context;
  context.set_deadline(Timespan(global.timeout));
  const grpc::Status status =
      Health::NewStub(channel)->Check(&context, request, &response);
  if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
    return absl::NotFoundError(
        absl::StrCat("the server has no service \"", service, "\""));
  }
  if (!status.ok()) {
    return ExplainStatus(status, *channel, global.address, global.timeout);
  }
  const std::string said =
      HealthCheckResponse::ServingStatus_Name(response.status());
  Output output(global.output, around.out);
  output.Write(output.format() == OutputFormat::kJson
                   ? JsonObject().Text("status", said).line()
                   : said + "\n");
  if (response.status() != HealthCheckResponse::SERVING) {
    return absl::UnavailableError(
        absl::StrCat("the server at ", global.address, " says ", said));
  }
  return output.status();
}

}  // namespace

Command AddHealthCommand(CLI::App& parser) {
  const auto service = std::make_shared<std::string>();
  CLI::App* app = parser.add_subcommand(
      "health", "Ask a server whether it serves; exit code 0 if it does");
  AddValue(*app, "--service", *service, &ReadText,
           "one of its services, such as leasehold.v1.Echo (without it, the "
           "server as a whole)")
      ->type_name("NAME");
  return {app, [service](const GlobalOptions& global, Surroundings& around) {
            return RunHealth(*service, global, around);
          }};
}

}  // namespace leasehold::client::cli
