// Setting: one setting of the server, under one name as a flag, in the
// environment and in a config file; and the kinds of settings there are.
//
// A setting writes what it has read into its target.
//
// Thread-safety: callers synchronise.   Lifetime: targets outlive their
// settings.
#ifndef LEASEHOLD_SERVICE_HOST_SETTING_H_
#define LEASEHOLD_SERVICE_HOST_SETTING_H_

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "service/network/address_range.h"

namespace leasehold {

// One setting: how it is shown, and how its text is read.
struct Setting {
  std::string name;   // Without dashes.
  std::string value;  // What stands after `=`; empty for a switch.
  std::string fallback;
  std::string help;
  std::function<absl::Status(const std::string&)> read;
};

// InvalidArgument: `value` breaks `rule`.
absl::Status InvalidSetting(absl::string_view rule, const std::string& value);

// Reads a duration above zero.
absl::Status ReadDuration(const std::string& text, absl::Duration& target);

// Reads addresses and ranges of them between commas:
// `10.0.0.0/8,192.168.1.7`.
absl::Status ReadRanges(const std::string& text,
                        std::vector<AddressRange>& ranges);

// Reads permissions in octal that let the owner write.
absl::Status ReadMode(const std::string& text, unsigned& target);

Setting DurationSetting(std::string name, absl::Duration& target,
                        std::string help);

// As above; 0: none.
Setting DurationOrNoneSetting(std::string name, absl::Duration& target,
                              std::string help);

// A file or folder. `value`: what it is called in the help, such as `FILE`.
Setting PathSetting(std::string name, std::string value, std::string& target,
                    std::string help);

Setting SwitchSetting(std::string name, bool& target, std::string help);

// A whole number from 1 to `max`.
template <typename Number>
Setting CountSetting(std::string name, Number& target, Number max,
                     std::string help) {
  std::string fallback = absl::StrCat(target);
  return {std::move(name), "N", std::move(fallback), std::move(help),
          [&target, max](const std::string& text) {
            int64_t value = 0;
            if (!absl::SimpleAtoi(text, &value) || value < 1 ||
                value > static_cast<int64_t>(max)) {
              return InvalidSetting(
                  absl::StrCat("must be a whole number from 1 to ", max), text);
            }
            target = static_cast<Number>(value);
            return absl::OkStatus();
          }};
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SETTING_H_
