#include "service/embed/state_extension.h"

#include "absl/strings/str_cat.h"

namespace leasehold {

absl::Status StateMaker::Failed(const std::type_info& type,
                                const std::string& what) {
  const ExtensionType named = {&type, nullptr, {}};
  return absl::InternalError(absl::StrCat("the state ",
                                          ExtensionTypeName(named),
                                          " could not be made: its constructor "
                                          "or factory gave ",
                                          what));
}

}  // namespace leasehold
