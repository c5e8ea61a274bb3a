#include "client/wire/instance_metadata.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace leasehold::client {
namespace {

constexpr char kInstanceId[] = "instance-id";
constexpr char kInstanceIdBin[] = "instance-id-bin";
constexpr char kIdleTimeout[] = "instance-idle-timeout";
constexpr char kExpect[] = "instance-expect";
constexpr char kGeneration[] = "instance-generation";
constexpr char kCreated[] = "instance-created";
constexpr char kIdleTimeoutMs[] = "instance-idle-timeout-ms";

constexpr size_t kTextIdSizeMax = 256;

}  // namespace

bool TravelsAsText(std::string_view id) {
  if (id.empty() || id.size() > kTextIdSizeMax) return false;
  for (const char c : id) {
    if (c < 0x21 || c > 0x7E || c == ',') return false;
  }
  return true;
}

std::string NormalId(std::string id) {
  const size_t end =
      id.empty() || id[0] != '@' ? std::string::npos : id.find('@', 1);
  if (end != std::string::npos) {
    std::transform(id.begin(), id.begin() + end, id.begin(),
                   absl::ascii_tolower);
  }
  return id;
}

void AddInstanceId(const std::string& id, grpc::ClientContext& context) {
  context.AddMetadata(TravelsAsText(id) ? kInstanceId : kInstanceIdBin, id);
}

void AddIdleTimeout(absl::Duration timeout, grpc::ClientContext& context) {
  const int64_t ms =
      absl::ToInt64Milliseconds(absl::Ceil(timeout, absl::Milliseconds(1)));
  context.AddMetadata(kIdleTimeout, ms % 1000 == 0
                                        ? absl::StrCat(ms / 1000, "s")
                                        : absl::StrCat(ms, "ms"));
}

void AddExpect(Expect expect, grpc::ClientContext& context) {
  switch (expect) {
    case Expect::kAny:
      break;
    case Expect::kNew:
      context.AddMetadata(kExpect, "new");
      break;
    case Expect::kExisting:
      context.AddMetadata(kExpect, "existing");
      break;
  }
}

InstanceMetadata ReadInstanceMetadata(const grpc::ClientContext& context) {
  InstanceMetadata metadata;
  for (const auto& [key, value] : context.GetServerInitialMetadata()) {
    const std::string text(value.data(), value.size());
    if (key == kInstanceId || key == kInstanceIdBin) {
      metadata.instance_id = text;
    } else if (key == kGeneration) {
      uint64_t number = 0;
      if (absl::SimpleAtoi(text, &number)) metadata.generation = number;
    } else if (key == kCreated) {
      metadata.created = text == "true";
    } else if (key == kIdleTimeoutMs) {
      int64_t ms = 0;
      if (absl::SimpleAtoi(text, &ms) && ms >= 0) {
        metadata.idle_timeout = absl::Milliseconds(ms);
      }
    }
  }
  return metadata;
}

}  // namespace leasehold::client
