#include "service/tracing/sampler.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lease/base/quote.h"

namespace leasehold {

absl::StatusOr<Sampler> Sampler::Make(std::string_view name,
                                      const std::string& argument) {
  constexpr std::string_view kByParent = "parentbased_";
  Sampler sampler;
  std::string_view rest = name;
  sampler.follows_parent_ = rest.starts_with(kByParent);
  if (sampler.follows_parent_) rest.remove_prefix(kByParent.size());
  if (rest == "always_on") return sampler;
  if (rest == "always_off") {
    sampler.bound_ = 0;
    return sampler;
  }
  if (rest != "traceidratio") {
    return absl::InvalidArgumentError(absl::StrCat(
        QuoteForMessage(name),
        " is not a sampler that the server has; it has always_on, always_off "
        "and traceidratio, each also with parentbased_ before it"));
  }
  double share = 1;
  if (!argument.empty() &&
      (!absl::SimpleAtod(argument, &share) || !(share >= 0 && share <= 1))) {
    return absl::InvalidArgumentError(
        absl::StrCat("the share of traces must be a number from 0 to 1, not ",
                     QuoteForMessage(argument)));
  }
  sampler.bound_ =
      static_cast<uint64_t>(share * static_cast<double>(sampler.bound_));
  return sampler;
}

bool Sampler::Samples(const SpanContext* parent, const TraceId& trace) const {
  if (follows_parent_ && parent != nullptr) return parent->sampled();
  return trace.low >> 1 < bound_;
}

}  // namespace leasehold
