#include "service/rpc/status_mapping.h"

#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "leasehold/internal/rpc_status.pb.h"
#include "service/base/retry_after.h"

namespace leasehold {
namespace {

constexpr char kTypes[] = "type.googleapis.com/";

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const auto code = static_cast<grpc::StatusCode>(status.raw_code());
  const std::string message(status.message());
  internal::RpcStatus details;
  const auto add = [&details](std::string_view type, std::string bytes) {
    google::protobuf::Any& detail = *details.add_details();
    detail.set_type_url(std::string(type));
    detail.set_value(std::move(bytes));
  };
  if (const auto retry_after = RetryAfter(status)) {
    internal::RpcRetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(
        absl::ToInt64Seconds(absl::Ceil(*retry_after, absl::Seconds(1))));
    add(absl::StrCat(kTypes, "google.rpc.RetryInfo"),
        retry.SerializeAsString());
  }
  status.ForEachPayload([&](absl::string_view type, const absl::Cord& bytes) {
    if (absl::StartsWith(type, kTypes)) {
      add({type.data(), type.size()}, std::string(bytes));
    }
  });
  if (details.details().empty()) return grpc::Status(code, message);
  details.set_code(code);
  details.set_message(message);
  return grpc::Status(code, message, details.SerializeAsString());
}

}  // namespace leasehold
