#include "service/rpc/server_call.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "lease/base/view.h"
#include "service/base/retry_after.h"

namespace leasehold {

namespace {

// The names that gRPC 1.51 gives to peers of in-process channels, and the
// beginning of those that came through a Unix socket: these names do not tell
// clients apart.
constexpr std::string_view kPeerInProcess = "unknown";
constexpr std::string_view kPeerUnix = "unix";

}  // namespace

ByteBudget::Holder ServerCall::MakeHolder() {
  std::string peer = context_.peer();
  if (peer == kPeerInProcess || peer.starts_with(kPeerUnix)) peer.clear();
  ByteBudget::Holder holder{.connection = std::move(peer),
                            .cut = [this] { context_.TryCancel(); }};
  const Gatekeeper* const gatekeeper = queue_.gatekeeper();
  // What the process asks of itself belongs to work that was accepted.
  if (gatekeeper != nullptr && caller_ != nullptr &&
      caller_->known_by != Caller::KnownBy::kProcess) {
    const ByteBudget& budget = queue_.budget();
    holder.tenant = caller_->tenant;
    holder.tenant_bytes_max =
        gatekeeper->KeptBytesMax(caller_->tenant, budget.large_bytes_max(),
                                 budget.limits().connection_bytes_max);
  }
  return holder;
}

void ServerCall::NoteInstance(std::string_view id) {
  // As long as an ID can be, and a few of them.
  constexpr size_t kIdBytesMax = 1024;
  constexpr size_t kBytesMax = 4 * kIdBytesMax;
  if (id.empty() || instance_id_.size() >= kBytesMax) return;
  absl::StrAppend(&instance_id_, instance_id_.empty() ? "" : ",",
                  View(id.substr(0, kIdBytesMax)));
}

void ServerCall::OnNotableAnswer(const absl::Status& status) {
  CallWitness* const witness = queue_.witness();
  if (witness != nullptr && !turned_away_ && (witnessed_ || !refusal_.ok())) {
    witness->OnEnd({.method = method_,
                    .call = context_,
                    .caller = caller_.get(),
                    .refused = !refusal_.ok(),
                    .instance_id = instance_id_,
                    .status = status});
  }
  // gRPC's clients that retry obey this, and none obeys RetryInfo.
  if (const auto delay = RetryAfter(status);
      delay.has_value() && absl::IsResourceExhausted(status)) {
    context_.AddTrailingMetadata(
        "grpc-retry-pushback-ms",
        absl::StrCat(absl::ToInt64Milliseconds(*delay)));
  }
}

}  // namespace leasehold
