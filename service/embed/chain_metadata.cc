#include "service/embed/chain_metadata.h"

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lease/base/header_names.h"
#include "lease/base/view.h"

namespace leasehold {

absl::StatusOr<CallChain> ReadCallChain(const grpc::ServerContextBase& call) {
  const auto& metadata = call.client_metadata();
  const grpc::string_ref name(kCallChainHeader.data(), kCallChainHeader.size());
  const auto [first, last] = metadata.equal_range(name);
  if (first == last) return CallChain();
  if (std::next(first) != last) {
    return absl::InvalidArgumentError(
        absl::StrCat(View(kCallChainHeader), ": given more than once"));
  }
  return CallChain::Parse({first->second.data(), first->second.size()});
}

void AddCallChain(const CallChain& chain, grpc::ClientContext& call) {
  if (chain.empty()) return;
  call.AddMetadata(std::string(kCallChainHeader), chain.header());
}

void PassOnCallChain(const grpc::ServerContextBase& from,
                     grpc::ClientContext& to) {
  const absl::StatusOr<CallChain> chain = ReadCallChain(from);
  if (chain.ok()) AddCallChain(*chain, to);
}

}  // namespace leasehold
