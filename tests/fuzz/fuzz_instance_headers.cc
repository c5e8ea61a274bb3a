// Fuzzes the header path: names, values, keys, and what is said of bad ones.
//
// The input is text: the instance header's name on the first line, then a
// header a line, `name: value`; `\n` and `\\` in a value stand for a line's end
// and a backslash. Each rule of the contract is written down a second time
// here, as simply as can be, and compared.
#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/instance/instance_headers.h"
#include "service/instance/instance_key.h"
#include "tests/fuzz/property.h"
#include "tests/support/test_key.h"

namespace leasehold {
namespace {

using Header = std::pair<std::string, std::string>;

// ---- The rules, once more

bool IsTextId(std::string_view id) {
  return !id.empty() && id.size() <= 256 &&
         std::all_of(id.begin(), id.end(),
                     [](char c) { return c >= '!' && c <= '~' && c != ','; });
}

bool IsId(std::string_view id) {
  return !id.empty() && id.size() <= 1024 && IsCleanUtf8(id);
}

bool IsHeaderName(std::string_view name) {
  return !name.empty() && name.substr(0, 5) != "grpc-" &&
         (name.size() < 4 || name.substr(name.size() - 4) != "-bin") &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_.") ==
             std::string_view::npos;
}

bool IsUuid(std::string_view id) {
  constexpr std::string_view kShape = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  if (id.size() != kShape.size()) return false;
  for (size_t i = 0; i < id.size(); ++i) {
    const std::string_view allowed = kShape[i] == 'x'   ? "0123456789abcdef"
                                     : kShape[i] == 'y' ? "89ab"
                                                        : kShape.substr(i, 1);
    if (allowed.find(id[i]) == std::string_view::npos) return false;
  }
  return true;
}

// ---- Properties of single functions

void CheckRefusal(const absl::Status& status) {
  Property(status.code() == absl::StatusCode::kInvalidArgument,
           "a refusal is INVALID_ARGUMENT");
  Property(!status.message().empty(), "a refusal has a message");
  Property(IsCleanUtf8({status.message().data(), status.message().size()}),
           "a message is UTF-8 without control characters");
}

// What was quoted, read back.
std::string Unquote(std::string_view quoted) {
  std::string value;
  for (size_t i = 0; i < quoted.size(); ++i) {
    const bool escape = quoted[i] == '\\';
    if (escape) ++i;
    if (escape && quoted[i] == 'x') {
      const std::string digits(quoted.substr(i + 1, 2));
      value += static_cast<char>(std::stoi(digits, nullptr, 16));
      i += 2;
    } else {
      value += quoted[i];
    }
  }
  return value;
}

void CheckQuote(std::string_view value) {
  const std::string whole = QuoteForMessage(value);
  Property(IsCleanUtf8(whole), "a quote is UTF-8 without control characters");
  std::string_view quoted = whole;
  const bool cut =
      quoted.size() >= 3 && quoted.substr(quoted.size() - 3) == "...";
  if (cut) quoted.remove_suffix(3);
  Property(quoted.size() >= 2 && quoted.front() == '"' && quoted.back() == '"',
           "a quote stands in quotes");
  quoted = quoted.substr(1, quoted.size() - 2);
  Property(quoted.size() <= 64, "a quote has at most 64 bytes");
  // One code point more would not have fitted: four bytes, escaped at worst.
  Property(!cut || quoted.size() > 60, "no more is cut off than has to be");
  const std::string back = Unquote(quoted);
  Property(
      cut ? value.substr(0, back.size()) == back && back.size() < value.size()
          : value == back,
      "a quote is what was given");
}

void CheckKey(std::string_view id) {
  const absl::StatusOr<InstanceKey> key =
      MakeInstanceKey("tenant", id, "source");
  Property(key.ok() == IsId(id), "an ID is taken by the rule");
  if (!key.ok()) return CheckRefusal(key.status());
  Property(key->tenant == "tenant", "a key has its tenant");
  Property(IsId(key->id), "a key's ID keeps the rule");
  Property(key->id.size() == id.size(), "the one form is as long");
  const absl::StatusOr<InstanceKey> again =
      MakeInstanceKey("tenant", key->id, "source");
  Property(again.ok() && *again == *key, "the one form of an ID is its own");
  const bool is_entity =
      id[0] == '@' && id.find('@', 1) != std::string_view::npos;
  Property(is_entity || key->id == id, "an ID stays as it is");
  if (is_entity) {
    const size_t rest = id.find('@', 1);
    Property(key->id.substr(rest) == id.substr(rest), "an entity's key stays");
  }
  Property(!IsTextHeaderId(id) || IsTextHeaderId(key->id),
           "the one form travels as the ID came");
}

void CheckValue(std::string_view value) {
  CheckQuote(value);
  CheckKey(value);
  Property(IsTextHeaderId(value) == IsTextId(value), "a text ID is known");
  const absl::Status text = CheckTextHeaderId("header", value);
  Property(text.ok() == IsTextId(value), "a text ID is taken by the rule");
  if (!text.ok()) CheckRefusal(text);
  const absl::StatusOr<absl::Duration> timeout = ParseTimeout("source", value);
  if (!timeout.ok()) return CheckRefusal(timeout.status());
  Property(
      *timeout >= absl::ZeroDuration() && *timeout < absl::InfiniteDuration(),
      "a timeout is finite, zero or more");
}

InstanceHeaderNames CheckNames(const std::string& name) {
  const absl::StatusOr<InstanceHeaderNames> names =
      InstanceHeaderNames::Make(name);
  if (!names.ok()) {
    CheckRefusal(names.status());
    return InstanceHeaderNames();
  }
  Property(IsHeaderName(name), "a header name is a metadata key");
  Property(names->text == name && names->binary == name + "-bin",
           "the names are the one given and its -bin");
  return *names;
}

// ---- Properties of a whole call

// The values of `name`, in order.
std::vector<std::string> ValuesOf(const std::vector<Header>& headers,
                                  const std::string& name) {
  std::vector<std::string> values;
  for (const Header& header : headers) {
    if (header.first == name) values.push_back(header.second);
  }
  return values;
}

void CheckCall(const InstanceHeaderNames& names,
               const std::vector<Header>& headers) {
  InstanceHeaderReader reader(names);
  for (const auto& [name, value] : headers) reader.Add(name, value);
  const absl::StatusOr<InstanceRequest> request = reader.Finish(kTestTenant);

  const auto text = ValuesOf(headers, names.text);
  const auto binary = ValuesOf(headers, names.binary);
  const auto timeout = ValuesOf(headers, "instance-idle-timeout");
  const auto expect = ValuesOf(headers, "instance-expect");
  const bool right =
      text.size() + binary.size() <= 1 && timeout.size() <= 1 &&
      expect.size() <= 1 && (text.empty() || IsTextId(text[0])) &&
      (binary.empty() || IsId(binary[0])) &&
      (timeout.empty() || ParseTimeout("", timeout[0]).ok()) &&
      (expect.empty() || expect[0] == "new" || expect[0] == "existing");
  Property(request.ok() == right, "a call is taken by the rules");
  if (!request.ok()) return CheckRefusal(request.status());

  const InstanceKey& key = request->key;
  Property(key.tenant == kTestTenant, "the tenant is the one given");
  Property(request->id_generated == (text.empty() && binary.empty()),
           "an ID is made if, and only if, none is given");
  if (request->id_generated) {
    Property(IsUuid(key.id), "an ID that is made is a UUID");
  } else {
    Property(key == *MakeInstanceKey(kTestTenant,
                                     text.empty() ? binary[0] : text[0], ""),
             "the key is that of the ID");
  }
  Property(request->idle_timeout.has_value() == !timeout.empty(),
           "an idle timeout is there if it is given");
  Property(request->expect == (expect.empty()       ? Expect::kAny
                               : expect[0] == "new" ? Expect::kNew
                                                    : Expect::kExisting),
           "what is expected is what is given");
}

// ---- The input

std::string Unescape(std::string_view escaped) {
  std::string value;
  for (size_t i = 0; i < escaped.size(); ++i) {
    const bool escape = escaped[i] == '\\' && i + 1 < escaped.size();
    if (escape && escaped[i + 1] == 'n') {
      value += '\n', ++i;
    } else if (escape && escaped[i + 1] == '\\') {
      value += '\\', ++i;
    } else {
      value += escaped[i];
    }
  }
  return value;
}

std::string TakeLine(std::string_view& input) {
  const size_t end = std::min(input.find('\n'), input.size());
  std::string line(input.substr(0, end));
  input.remove_prefix(std::min(end + 1, input.size()));
  return line;
}

}  // namespace
}  // namespace leasehold

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using leasehold::Header;
  std::string_view input(reinterpret_cast<const char*>(data), size);
  const auto names =
      leasehold::CheckNames(leasehold::Unescape(leasehold::TakeLine(input)));
  std::vector<Header> headers;
  while (!input.empty()) {
    const std::string line = leasehold::TakeLine(input);
    const size_t colon = std::min(line.find(": "), line.size());
    const size_t value = std::min(colon + 2, line.size());
    headers.emplace_back(line.substr(0, colon),
                         leasehold::Unescape(line.substr(value)));
    leasehold::CheckValue(headers.back().second);
  }
  leasehold::CheckCall(names, headers);
  return 0;
}
