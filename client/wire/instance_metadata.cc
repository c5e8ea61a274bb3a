#include "client/wire/instance_metadata.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lease/base/header_names.h"
#include "lease/base/instance_id.h"

namespace leasehold::client {

void AddInstanceId(const std::string& id, grpc::ClientContext& context) {
  context.AddMetadata(
      std::string(IsTextHeaderId(id) ? kDefaultInstanceHeader
                                     : kDefaultInstanceBinHeader),
      id);
}

void AddIdleTimeout(absl::Duration timeout, grpc::ClientContext& context) {
  const int64_t ms =
      absl::ToInt64Milliseconds(absl::Ceil(timeout, absl::Milliseconds(1)));
  context.AddMetadata(
      std::string(kIdleTimeoutHeader),
      ms % 1000 == 0 ? absl::StrCat(ms / 1000, "s") : absl::StrCat(ms, "ms"));
}

void AddExpect(Expect expect, grpc::ClientContext& context) {
  switch (expect) {
    case Expect::kAny:
      break;
    case Expect::kNew:
      context.AddMetadata(std::string(kExpectHeader), "new");
      break;
    case Expect::kExisting:
      context.AddMetadata(std::string(kExpectHeader), "existing");
      break;
  }
}

InstanceMetadata ReadInstanceMetadata(const grpc::ClientContext& context) {
  InstanceMetadata metadata;
  for (const auto& [name, value] : context.GetServerInitialMetadata()) {
    const std::string_view key(name.data(), name.size());
    const std::string text(value.data(), value.size());
    if (key == kDefaultInstanceHeader || key == kDefaultInstanceBinHeader) {
      metadata.instance_id = text;
    } else if (key == kGenerationHeader) {
      uint64_t number = 0;
      if (absl::SimpleAtoi(text, &number)) metadata.generation = number;
    } else if (key == kCreatedHeader) {
      metadata.created = text == "true";
    } else if (key == kIdleTimeoutMsHeader) {
      int64_t ms = 0;
      if (absl::SimpleAtoi(text, &ms) && ms >= 0) {
        metadata.idle_timeout = absl::Milliseconds(ms);
      }
    }
  }
  return metadata;
}

}  // namespace leasehold::client
