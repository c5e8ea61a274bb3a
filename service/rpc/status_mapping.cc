#include "service/rpc/status_mapping.h"

#include <optional>
#include <string>

#include "absl/time/time.h"
#include "leasehold/internal/rpc_status.pb.h"
#include "service/base/retry_after.h"

namespace leasehold {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.raw_code());
  const std::string message(status.message());
  const std::optional<absl::Duration> retry_after = RetryAfter(status);
  if (!retry_after.has_value()) return grpc::Status(code, message);

  internal::RpcRetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(
      absl::ToInt64Seconds(absl::Ceil(*retry_after, absl::Seconds(1))));
  internal::RpcStatus details;
  details.set_code(code);
  details.set_message(message);
  google::protobuf::Any& detail = *details.add_details();
  detail.set_type_url("type.googleapis.com/google.rpc.RetryInfo");
  detail.set_value(retry.SerializeAsString());
  return grpc::Status(code, message, details.SerializeAsString());
}

}  // namespace leasehold
