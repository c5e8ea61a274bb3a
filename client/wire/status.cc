#include "client/wire/status.h"

#include "absl/strings/str_cat.h"

namespace leasehold::client {

absl::Status ExplainStatus(const grpc::Status& status, grpc::Channel& channel,
                           const std::string& name, absl::Duration timeout) {
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED &&
      channel.GetState(/*try_to_connect=*/false) != GRPC_CHANNEL_READY) {
    return absl::UnavailableError(absl::StrCat(name, ": no connection within ",
                                               absl::FormatDuration(timeout)));
  }
  return ExplainStatus(status, name);
}

absl::Status ExplainStatus(const grpc::Status& status,
                           const std::string& name) {
  absl::Status plain = ToAbslStatus(status);
  if (absl::IsUnavailable(plain)) {
    return absl::UnavailableError(absl::StrCat(name, ": ", plain.message()));
  }
  return plain;
}

bool IsNobodysWill(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kFailedPrecondition:
      return false;
    default:
      return true;
  }
}

bool MayReconnect(const absl::Status& status, bool answered) {
  return IsNobodysWill(status) || (answered && absl::IsUnauthenticated(status));
}

}  // namespace leasehold::client
