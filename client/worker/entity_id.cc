#include "client/worker/entity_id.h"

#include <stdexcept>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/wire/utf8.h"
#include "lease/base/quote.h"

namespace leasehold::worker {
namespace {

[[noreturn]] void Refuse(std::string_view name) {
  throw std::invalid_argument(absl::StrCat(
      QuoteForMessage(name),
      " is not the name of an entity: that is not empty and has no @"));
}

}  // namespace

EntityId::EntityId(std::string_view name, std::string_view key)
    : name_(internal::LowerCase(name)), key_(key) {
  internal::RequireUtf8("the name of the entity", name);
  internal::RequireUtf8("the key of the entity", key);
  if (name.empty() || name.find('@') != name.npos) Refuse(name);
}

EntityId EntityId::Parse(std::string_view text) {
  const size_t name_end = text.find('@', 1);
  if (!text.starts_with('@') || name_end == text.npos) {
    throw std::invalid_argument(
        absl::StrCat(QuoteForMessage(text),
                     " is not the ID of an entity, which has the form "
                     "@name@key"));
  }
  return {text.substr(1, name_end - 1), text.substr(name_end + 1)};
}

namespace internal {

std::string LowerCase(std::string_view name) {
  return absl::AsciiStrToLower({name.data(), name.size()});
}

void RequireUtf8(std::string_view what, std::string_view text) {
  const absl::Status status = client::CheckUtf8(what, text);
  if (!status.ok()) throw std::invalid_argument(std::string(status.message()));
}

}  // namespace internal
}  // namespace leasehold::worker
