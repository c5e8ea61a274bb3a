#include "service/rpc/caller.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace leasehold {
namespace {

constexpr std::array kRoles = {Role::kViewer, Role::kUser, Role::kWorker,
                               Role::kOperator};

}  // namespace

std::string_view NameOf(Role role) {
  switch (role) {
    case Role::kAnyone:
      return "anyone";
    case Role::kAnyRole:
      return "any role";
    case Role::kViewer:
      return "viewer";
    case Role::kUser:
      return "user";
    case Role::kWorker:
      return "worker";
    case Role::kOperator:
      return "operator";
  }
  return "";
}

std::optional<Role> RoleNamed(std::string_view name) {
  for (const Role role : kRoles) {
    if (NameOf(role) == name) return role;
  }
  return std::nullopt;
}

std::string_view NameOf(Caller::KnownBy how) {
  switch (how) {
    case Caller::KnownBy::kNothing:
      return "nothing";
    case Caller::KnownBy::kToken:
      return "token";
    case Caller::KnownBy::kJwt:
      return "jwt";
    case Caller::KnownBy::kCertificate:
      return "certificate";
    case Caller::KnownBy::kProcess:
      return "process";
  }
  return "";
}

std::string Roles::ToString() const {
  std::string text;
  for (const Role role : kRoles) {
    if (!Has(role)) continue;
    const std::string_view name = NameOf(role);
    absl::StrAppend(&text, text.empty() ? "" : ", ",
                    absl::string_view(name.data(), name.size()));
  }
  return text;
}

std::shared_ptr<const Caller> Anonymous() {
  // Shared by all calls, and never destroyed.
  static const auto& anonymous = *new std::shared_ptr<const Caller>(
      new Caller{.tenant = std::string(kDefaultTenant),
                 .roles = Roles::All(),
                 .sees_server = true});
  return anonymous;
}

}  // namespace leasehold
