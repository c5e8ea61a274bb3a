#include "service/tracing/span_context.h"

#include <algorithm>
#include <set>

#include "service/base/hash.h"

namespace leasehold {
namespace {

constexpr size_t kTraceParentBytes = 55;
constexpr size_t kKeyBytesMax = 256;
constexpr size_t kTenantBytesMax = 241;
constexpr size_t kSystemBytesMax = 14;
constexpr size_t kValueBytesMax = 256;
// Members that are longer go first if there is too much.
constexpr size_t kLongMemberBytes = 128;

bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsKeyChar(char c) {
  return IsLower(c) || IsDigit(c) || c == '_' || c == '-' || c == '*' ||
         c == '/';
}

// Lower-case hex digits only, as the recommendation wants it.
bool ReadHex(std::string_view text, uint64_t& value) {
  value = 0;
  for (const char c : text) {
    if (!IsDigit(c) && (c < 'a' || c > 'f')) return false;
    value =
        value << 4 | static_cast<uint64_t>(IsDigit(c) ? c - '0' : c - 'a' + 10);
  }
  return true;
}

void AppendHex(std::string& out, uint64_t value, int digits) {
  for (int i = digits - 1; i >= 0; --i) {
    out.push_back("0123456789abcdef"[value >> (4 * i) & 0xf]);
  }
}

void AppendBytes(std::string& out, uint64_t value) {
  for (int i = 7; i >= 0; --i) {
    out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
  }
}

bool AreKeyChars(std::string_view text, size_t max) {
  return !text.empty() && text.size() <= max &&
         std::all_of(text.begin(), text.end(), IsKeyChar);
}

// `key`, or `tenant@system`.
bool IsKey(std::string_view key) {
  const size_t at = key.find('@');
  if (at == std::string_view::npos) {
    return AreKeyChars(key, kKeyBytesMax) && IsLower(key.front());
  }
  const std::string_view tenant = key.substr(0, at);
  const std::string_view system = key.substr(at + 1);
  return AreKeyChars(tenant, kTenantBytesMax) &&
         (IsLower(tenant.front()) || IsDigit(tenant.front())) &&
         AreKeyChars(system, kSystemBytesMax) && IsLower(system.front());
}

bool IsValue(std::string_view value) {
  return !value.empty() && value.size() <= kValueBytesMax &&
         value.back() != ' ' &&
         std::all_of(value.begin(), value.end(), [](char c) {
           return c >= 0x20 && c <= 0x7e && c != ',' && c != '=';
         });
}

std::string_view WithoutSpaces(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Adds the members of one header. False: it breaks a rule.
bool AddMembers(std::string_view line, std::set<std::string_view>& keys,
                std::vector<std::string_view>& members) {
  while (!line.empty()) {
    const size_t comma = std::min(line.find(','), line.size());
    const std::string_view member = WithoutSpaces(line.substr(0, comma));
    line.remove_prefix(std::min(comma + 1, line.size()));
    if (member.empty()) continue;
    const size_t equals = member.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = member.substr(0, equals);
    if (!IsKey(key) || !IsValue(member.substr(equals + 1))) return false;
    if (!keys.insert(key).second || keys.size() > kTraceStateMembersMax) {
      return false;
    }
    members.push_back(member);
  }
  return true;
}

size_t SizeOf(const std::vector<std::string_view>& members) {
  size_t size = members.empty() ? 0 : members.size() - 1;
  for (const std::string_view member : members) size += member.size();
  return size;
}

// Whole members are left out: long ones first, then the last ones, which have
// not been touched for the longest.
void FitInto(size_t bytes_max, std::vector<std::string_view>& members) {
  for (size_t i = members.size(); i > 0 && SizeOf(members) > bytes_max; --i) {
    if (members[i - 1].size() > kLongMemberBytes) {
      members.erase(members.begin() + static_cast<ptrdiff_t>(i) - 1);
    }
  }
  while (SizeOf(members) > bytes_max) members.pop_back();
}

}  // namespace

std::optional<SpanContext> ParseTraceParent(std::string_view text) {
  // A later version may say more behind another dash.
  if (text.size() < kTraceParentBytes || text[2] != '-' || text[35] != '-' ||
      text[52] != '-') {
    return std::nullopt;
  }
  SpanContext context;
  uint64_t version = 0;
  uint64_t flags = 0;
  if (!ReadHex(text.substr(0, 2), version) ||
      !ReadHex(text.substr(3, 16), context.trace.high) ||
      !ReadHex(text.substr(19, 16), context.trace.low) ||
      !ReadHex(text.substr(36, 16), context.span) ||
      !ReadHex(text.substr(53, 2), flags) || version == 0xff) {
    return std::nullopt;
  }
  if (text.size() > kTraceParentBytes &&
      (version == 0 || text[kTraceParentBytes] != '-')) {
    return std::nullopt;
  }
  if (context.trace == TraceId{} || context.span == 0) return std::nullopt;
  // What other flags mean is not known, so they are not passed on.
  context.flags = static_cast<uint8_t>(flags & SpanContext::kSampled);
  return context;
}

std::string ReadTraceState(const std::vector<std::string_view>& lines) {
  std::set<std::string_view> keys;
  std::vector<std::string_view> members;
  for (const std::string_view line : lines) {
    if (!AddMembers(line, keys, members)) return {};
  }
  FitInto(kTraceStateBytesMax, members);
  std::string state;
  for (const std::string_view member : members) {
    if (!state.empty()) state.push_back(',');
    state.append(member);
  }
  return state;
}

std::optional<SpanContext> ReadSpanContext(
    const std::vector<std::string_view>& trace_parents,
    const std::vector<std::string_view>& trace_states) {
  if (trace_parents.size() != 1) return std::nullopt;
  std::optional<SpanContext> context = ParseTraceParent(trace_parents.front());
  if (context.has_value()) context->state = ReadTraceState(trace_states);
  return context;
}

std::string FormatTraceParent(const SpanContext& context) {
  std::string text = "00-";
  text.reserve(kTraceParentBytes);
  AppendHex(text, context.trace.high, 16);
  AppendHex(text, context.trace.low, 16);
  text.push_back('-');
  AppendHex(text, context.span, 16);
  text.push_back('-');
  AppendHex(text, context.flags, 2);
  return text;
}

std::string HexOf(SpanId id) {
  std::string text;
  AppendHex(text, id, 16);
  return text;
}

std::optional<SpanId> ParseSpanId(std::string_view text) {
  SpanId id = 0;
  if (text.size() != 16 || !ReadHex(text, id) || id == 0) return std::nullopt;
  return id;
}

std::string BytesOf(const TraceId& id) {
  std::string bytes;
  AppendBytes(bytes, id.high);
  AppendBytes(bytes, id.low);
  return bytes;
}

std::string BytesOf(SpanId id) {
  std::string bytes;
  AppendBytes(bytes, id);
  return bytes;
}

SpanId DerivedSpanId(std::string_view seed, uint64_t number) {
  const SpanId id = MixBits(HashBytes(seed) + MixBits(number));
  return id == 0 ? 1 : id;
}

}  // namespace leasehold
