// Fuzzes what List is asked: a page token and a prefix from a stranger. The
// input is the token up to the first zero byte, then the prefix. The registry's
// key is another in each run, so tokens are also read with a fixed one.
#include <set>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "service/base/page_token.h"
#include "service/instance/executor.h"
#include "service/instance/instance_registry.h"
#include "service/instance/shared_provider.h"
#include "tests/fuzz/property.h"
#include "tests/support/immediate_call.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/test_key.h"

namespace {

using leasehold::InstancePage;
using leasehold::InstanceQuery;
using leasehold::Property;

constexpr size_t kContexts = 200;

// A registry with contexts 0 to 199; never destroyed.
leasehold::InstanceRegistry& Registry() {
  static auto* clock = new leasehold::SimulatedClock;
  static auto* executor = new leasehold::ThreadExecutor(1);
  static auto* provider = new leasehold::SharedProvider;
  static auto* registry = [] {
    auto* made = new leasehold::InstanceRegistry(*clock, *executor, *provider,
                                                 {}, {}, {});
    for (size_t i = 0; i < kContexts; ++i) {
      leasehold::ImmediateCall(std::to_string(i)).Ask(*made);
    }
    return made;
  }();
  return *registry;
}

// Whatever is read as a token is what the maker makes for that position.
void CheckToken(std::string_view token) {
  static const auto* tokens = new leasehold::PageTokens(
      std::string(leasehold::PageTokens::kKeyBytes, 'k'));
  const leasehold::PageScope scope("rooms", "red");
  const auto position = tokens->Read(scope, token);
  Property(!position.has_value() || tokens->Make(scope, *position) == token,
           "a token that is read is one that was made");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  InstanceQuery query;
  query.page_size = 7;
  query.page_token = std::string(input.substr(0, zero));
  CheckToken(query.page_token);
  if (zero != std::string_view::npos) {
    query.id_prefix = std::string(input.substr(zero + 1));
  }
  std::set<std::string> told;
  for (size_t pages = 0;; ++pages) {
    Property(pages <= kContexts + 64, "a listing comes to an end");
    const absl::StatusOr<InstancePage> page =
        Registry().List(leasehold::kTestTenant, query);
    if (!page.ok()) {
      Property(pages == 0, "a token that we gave is good");
      Property(page.status().code() == absl::StatusCode::kInvalidArgument,
               "a refusal is INVALID_ARGUMENT");
      return 0;
    }
    Property(page->instances.size() <= 7, "a page is as long as was asked");
    for (const auto& info : page->instances) {
      Property(info.key.id.rfind(query.id_prefix, 0) == 0,
               "an ID begins as was asked");
      Property(told.insert(info.key.id).second, "a context is told once");
    }
    if (page->next_page_token.empty()) return 0;
    query.page_token = page->next_page_token;
  }
}
