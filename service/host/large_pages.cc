// Part of a program that takes its memory from mimalloc (leasehold_malloc): in
// large pages, if the environment does not say otherwise, so that a pin among a
// million contexts waits less for page tables.
#include <mimalloc.h>

namespace {

[[maybe_unused]] const bool chosen = [] {
  mi_option_set_enabled_default(mi_option_large_os_pages, true);
  return true;
}();

}  // namespace
