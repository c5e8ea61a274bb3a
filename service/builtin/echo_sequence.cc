#include "service/builtin/echo_sequence.h"

#include <utility>

#include "client/wire/instance_metadata.h"
#include "client/wire/status.h"
#include "client/worker/when.h"
#include "leasehold/v1/echo.grpc.pb.h"

namespace leasehold::builtin {

Texts DefaultTexts() { return {"Apple", "Pear", "Plum"}; }

worker::Task<nlohmann::json> EchoSequence(worker::OrchestrationContext& context,
                                          std::optional<Texts> texts) {
  nlohmann::json echoes = nlohmann::json::array();
  const Texts all = texts.has_value() ? *std::move(texts) : DefaultTexts();
  for (const std::string& text : all) {
    auto echo = co_await context.CallActivity<nlohmann::json>("Echo", text);
    echoes.push_back(std::move(echo));
  }
  co_return echoes;
}

worker::Task<nlohmann::json> FanOutEcho(worker::OrchestrationContext& context,
                                        std::optional<Texts> texts) {
  const Texts all = texts.has_value() ? *std::move(texts) : DefaultTexts();
  std::vector<worker::Task<nlohmann::json>> children;
  children.reserve(all.size());
  for (const std::string& text : all) {
    const Texts one = {text};
    children.push_back(
        context.CallSubOrchestrator<nlohmann::json>("EchoSequence", one));
  }
  const std::vector<nlohmann::json> done =
      co_await worker::WhenAll(std::move(children));
  nlohmann::json echoes = nlohmann::json::array();
  for (const nlohmann::json& of_child : done) echoes.push_back(of_child.at(0));
  co_return echoes;
}

worker::Task<nlohmann::json> Ping(worker::OrchestrationContext&,
                                  std::optional<nlohmann::json> input) {
  co_return input.value_or(nullptr);
}

absl::StatusOr<nlohmann::json> EchoActivity::operator()(
    worker::ActivityContext& context, std::string text) const {
  grpc::ClientContext call;
  client::AddInstanceId(context.instance_id(), call);
  if (!self_.token.empty()) {
    call.AddMetadata("authorization", "Bearer " + self_.token);
    call.AddMetadata("taskhub", self_.tenant);
  }
  v1::EchoRequest request;
  request.set_text(std::move(text));
  v1::EchoResponse response;
  const grpc::Status status =
      v1::Echo::NewStub(channel_)->Echo(&call, request, &response);
  if (!status.ok()) return client::ToAbslStatus(status);
  return nlohmann::json{{"text", response.text()},
                        {"sequence", response.sequence()},
                        {"generation", response.generation()}};
}

}  // namespace leasehold::builtin
