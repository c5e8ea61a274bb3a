// EchoSequence, FanOutEcho and Ping; and the activity Echo, which calls the
// Echo instance in the context that the orchestration lives in.
//
// Thread-safety: EchoActivity is safe; the others are pure.   Lifetime: the
// channel is shared.
#ifndef LEASEHOLD_SERVICE_BUILTIN_ECHO_SEQUENCE_H_
#define LEASEHOLD_SERVICE_BUILTIN_ECHO_SEQUENCE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/worker/activity_context.h"
#include "client/worker/orchestration_context.h"
#include "client/worker/task.h"
#include "grpcpp/channel.h"
#include "nlohmann/json.hpp"

namespace leasehold::builtin {

using Texts = std::vector<std::string>;

// The texts to echo if the input names none.
Texts DefaultTexts();

// Echoes one text after the other.
worker::Task<nlohmann::json> EchoSequence(worker::OrchestrationContext& context,
                                          std::optional<Texts> texts);
// Runs one sub-orchestration per text, all at once.
worker::Task<nlohmann::json> FanOutEcho(worker::OrchestrationContext& context,
                                        std::optional<Texts> texts);
// One turn.
worker::Task<nlohmann::json> Ping(worker::OrchestrationContext& context,
                                  std::optional<nlohmann::json> input);

// What calls of this process to itself show: who they are, and the tenant they
// are in.
struct ProcessCredential {
  std::string token = {};  // Empty: the server asks for none.
  std::string tenant = {};
};

class EchoActivity {
 public:
  // `channel`: to the server.
  EchoActivity(std::shared_ptr<grpc::Channel> channel, ProcessCredential self)
      : channel_(std::move(channel)), self_(std::move(self)) {}

  // Returns `{"text": …, "sequence": …, "generation": …}` from the Echo
  // service.
  absl::StatusOr<nlohmann::json> operator()(worker::ActivityContext& context,
                                            std::string text) const;

 private:
  std::shared_ptr<grpc::Channel> channel_;
  ProcessCredential self_;
};

}  // namespace leasehold::builtin

#endif  // LEASEHOLD_SERVICE_BUILTIN_ECHO_SEQUENCE_H_
