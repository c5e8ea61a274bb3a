// Part of programs that take their memory from mimalloc (leasehold_malloc): in
// large pages, unless the environment says otherwise, so that a pin among a
// million contexts waits less for page tables.
#include <mimalloc.h>

namespace {

[[maybe_unused]] const bool chosen = [] {
  mi_option_set_enabled_default(mi_option_large_os_pages, true);
  return true;
}();

}  // namespace
