// Fuzzes capabilities. The input has four parts with zero bytes between them: a
// code from a stranger, a tenant, an ID and verbs. Whatever is accepted is what
// Make makes for that target. The whole input is also read as a file of keys.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/security/capability.h"
#include "service/security/capability_keys.h"
#include "tests/fuzz/property.h"
#include "tests/support/simulated_clock.h"

namespace {

using leasehold::Capabilities;
using leasehold::CapabilityKeys;
using leasehold::CapabilityTarget;
using leasehold::CapabilityVerb;
using leasehold::Property;

constexpr absl::Duration kLifetime = absl::Hours(1);
const absl::Time kEver = absl::InfinitePast();
// Of a simulated clock.
const absl::Time kNow = absl::FromUnixSeconds(1'577'836'800);
constexpr std::array kAllVerbs = {
    CapabilityVerb::kStatus,     CapabilityVerb::kHistory,
    CapabilityVerb::kRaiseEvent, CapabilityVerb::kTerminate,
    CapabilityVerb::kSuspend,    CapabilityVerb::kResume};

// The keys of a file that holds `text`.
absl::StatusOr<CapabilityKeys> KeysOf(std::string_view text) {
  const int file = memfd_create("keys", MFD_CLOEXEC);
  Property(write(file, text.data(), text.size()) ==
               static_cast<ssize_t>(text.size()),
           "the fuzzer can write a file");
  auto keys = CapabilityKeys::ReadFile("/proc/self/fd/" + std::to_string(file));
  close(file);
  return keys;
}

const Capabilities& Ours() {
  static auto* clock = new leasehold::SimulatedClock;
  static const auto* ours = new Capabilities(
      KeysOf("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").value(), kLifetime,
      *clock);
  return *ours;
}

void CheckKeys(std::string_view text) {
  const auto keys = KeysOf(text);
  if (keys.ok()) {
    Property(keys->signing().bytes.size() == CapabilityKeys::kKeyBytes,
             "a key has its length");
    Property(keys->Find(keys->signing().id) == &keys->signing(),
             "the key that signs is one of them");
  } else {
    Property(keys.status().message().find('\n') == absl::string_view::npos,
             "a refusal is one line");
  }
}

// What is made allows its verbs, and nothing when a byte is another.
void CheckMade(const CapabilityTarget& target, std::string_view verbs,
               size_t seed) {
  const auto made = Ours().Make(target, verbs, kLifetime);
  if (!made.ok()) return;
  for (const CapabilityVerb verb : kAllVerbs) {
    Property(Ours().Check(*made, target, verb, kEver).ok() ==
                 (verbs.find(static_cast<char>(verb)) != verbs.npos),
             "a capability allows its verbs and no others");
    Property(!Ours().Check(*made, target, verb, kNow + absl::Seconds(1)).ok(),
             "what was made before is void");
  }
  std::string forged = *made;
  forged[seed % forged.size()] ^= static_cast<char>(1 << (seed % 8));
  for (const CapabilityVerb verb : kAllVerbs) {
    Property(!Ours().Check(forged, target, verb, kEver).ok(),
             "each byte counts");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  CheckKeys(rest);
  std::array<std::string_view, 4> parts;
  for (std::string_view& part : parts) {
    part = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  }
  const CapabilityTarget target = {.tenant = parts[1], .instance_id = parts[2]};
  for (const CapabilityVerb verb : kAllVerbs) {
    const absl::Status status = Ours().Check(parts[0], target, verb, kEver);
    if (status.ok()) {
      // It is the one of the corpus: the clock stands, and so does its expiry.
      const size_t dot = parts[0].find('.', 3);
      const std::string_view verbs =
          parts[0].substr(dot + 1, parts[0].find('.', dot + 1) - dot - 1);
      Property(Ours().Make(target, verbs, kLifetime).value() == parts[0],
               "what is accepted was made");
    } else {
      Property(status.code() == absl::StatusCode::kUnauthenticated,
               "a refusal is UNAUTHENTICATED");
    }
  }
  CheckMade(target, parts[3], size * 7919);
  return 0;
}
