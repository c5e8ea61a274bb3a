#include "service/http/durable_functions_urls.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lease/base/view.h"
#include "service/http/durable_functions_json.h"

namespace leasehold {

std::string PathSegment(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string segment;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) ||
        std::string_view("-._~").find(c) != std::string_view::npos) {
      segment += c;
    } else {
      segment += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  // A segment of dots alone would be taken for a step in the path.
  if (segment == "." || segment == "..") {
    return segment.size() == 1 ? "%2E" : "%2E%2E";
  }
  return segment;
}

std::string ManagementUrls::StatusOf(std::string_view instance_id) const {
  return absl::StrCat(origin, View(prefix), "/instances/",
                      PathSegment(instance_id), "?", query);
}

std::vector<std::pair<std::string_view, std::string>> ManagementUrls::Of(
    std::string_view instance_id) const {
  const std::string instance = absl::StrCat(origin, View(prefix), "/instances/",
                                            PathSegment(instance_id));
  const auto command = [&](std::string_view name) {
    return absl::StrCat(instance, "/", View(name), "?reason={text}&", query);
  };
  return {
      {"id", std::string(instance_id)},
      {"statusQueryGetUri", absl::StrCat(instance, "?", query)},
      {"sendEventPostUri",
       absl::StrCat(instance, "/raiseEvent/{eventName}?", query)},
      {"terminatePostUri", command("terminate")},
      {"rewindPostUri", command("rewind")},
      {"purgeHistoryDeleteUri", absl::StrCat(instance, "?", query)},
      {"restartPostUri", absl::StrCat(instance, "/restart?", query)},
      {"suspendPostUri", command("suspend")},
      {"resumePostUri", command("resume")},
  };
}

std::string CheckStatusJson(const ManagementUrls& urls,
                            std::string_view instance_id) {
  std::string json;
  JsonObject object(json);
  for (const auto& [name, value] : urls.Of(instance_id)) {
    object.Text(name, value);
  }
  object.End();
  return json;
}

}  // namespace leasehold
