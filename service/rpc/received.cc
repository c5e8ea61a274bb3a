#include "service/rpc/received.h"

#include <google/protobuf/descriptor.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lease/base/utf8.h"

namespace leasehold {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// As deep as the Protobuf libraries of most languages can read.
constexpr int kDepthMax = 100;

// Goes through the fields of a message, of any wire type.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : rest_(bytes) {}

  // False: there are no more, or this is not a message.
  bool Next() {
    if (!ok_ || rest_.empty()) return false;
    const std::string_view before = rest_;
    uint64_t tag = 0;
    ok_ = TakeVarint(tag) && tag >> 3 != 0 && tag >> 3 <= kNumberMax &&
          TakeValue(tag, 0);
    number_ = static_cast<int>(tag >> 3);
    has_bytes_ = (tag & 7) == kBytes;
    raw_ = before.substr(0, before.size() - rest_.size());
    return ok_;
  }
  bool ok() const { return ok_; }

  int number() const { return number_; }
  // With its tag.
  std::string_view raw() const { return raw_; }
  // Whether it is text or a message; `bytes` is its content.
  bool has_bytes() const { return has_bytes_; }
  std::string_view bytes() const { return bytes_; }

 private:
  enum WireType { kVarint, kFixed64, kBytes, kGroup, kEndGroup, kFixed32 };
  static constexpr uint64_t kNumberMax = (1 << 29) - 1;

  bool TakeVarint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  bool Skip(uint64_t size) {
    if (size > rest_.size()) return false;
    rest_.remove_prefix(size);
    return true;
  }

  bool TakeValue(uint64_t tag, int depth) {
    uint64_t value = 0;
    switch (tag & 7) {
      case kVarint:
        return TakeVarint(value);
      case kFixed64:
        return Skip(8);
      case kFixed32:
        return Skip(4);
      case kBytes:
        if (!TakeVarint(value) || value > rest_.size()) return false;
        bytes_ = rest_.substr(0, value);
        return Skip(value);
      case kGroup:
        return depth < kDepthMax && TakeGroup(tag >> 3, depth + 1);
      default:
        return false;
    }
  }

  bool TakeGroup(uint64_t number, int depth) {
    uint64_t tag = 0;
    while (TakeVarint(tag) && tag >> 3 != 0) {
      if ((tag & 7) == kEndGroup) return tag >> 3 == number;
      if (!TakeValue(tag, depth)) return false;
    }
    return false;
  }

  std::string_view rest_;
  std::string_view raw_;
  std::string_view bytes_;
  int number_ = 0;
  bool has_bytes_ = false;
  bool ok_ = true;
};

bool IsWrapper(const Descriptor& type) {
  return type.full_name() == "google.protobuf.StringValue";
}

// The name of a field in a message for people. `at`: the index in a repeated
// field.
std::string PathOf(const std::string& path, const Descriptor& type,
                   const FieldDescriptor& field, int at) {
  if (IsWrapper(type)) return path;
  const std::string name = field.is_repeated() && !field.is_map()
                               ? absl::StrCat(field.name(), "[", at, "]")
                               : std::string(field.name());
  return path.empty() ? name : absl::StrCat(path, ".", name);
}

// Long ones are cut in the middle.
std::string Shown(const std::string& path) {
  constexpr size_t kShown = 60;
  if (path.size() <= 2 * kShown) return path;
  return absl::StrCat(path.substr(0, kShown), " ... ",
                      path.substr(path.size() - kShown));
}

// The first thing that is wrong; nullopt: nothing.
std::optional<std::string> FindWrong(std::string_view bytes,
                                     const Descriptor& type,
                                     const std::string& path, int depth) {
  if (depth > kDepthMax) {
    return absl::StrCat(Shown(path), ": is nested more than ", kDepthMax,
                        " levels deep");
  }
  std::map<int, int> seen;  // How many of each repeated field there were.
  FieldReader fields(bytes);
  while (fields.Next()) {
    const FieldDescriptor* field = type.FindFieldByNumber(fields.number());
    if (field == nullptr || !fields.has_bytes()) continue;
    const bool is_text = field->type() == FieldDescriptor::TYPE_STRING;
    if (!is_text && field->type() != FieldDescriptor::TYPE_MESSAGE) continue;
    const std::string name = PathOf(
        path, type, *field, field->is_repeated() ? seen[field->number()]++ : 0);
    if (!is_text) {
      std::optional<std::string> wrong =
          FindWrong(fields.bytes(), *field->message_type(), name, depth + 1);
      if (wrong.has_value()) return wrong;
      continue;
    }
    const size_t at = FindNotUtf8(fields.bytes());
    if (at != std::string_view::npos) {
      return absl::StrCat(Shown(name), ": is not valid UTF-8 at byte ", at);
    }
  }
  if (fields.ok()) return std::nullopt;
  return absl::StrCat(path.empty() ? "the request" : Shown(path),
                      path.empty() ? "" : ":", " is not a valid ",
                      std::string(type.full_name()));
}

void AppendVarint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) {
    out.push_back(static_cast<char>(value | 0x80));
  }
  out.push_back(static_cast<char>(value));
}

// See RepairFailures.
class FailureRepair {
 public:
  FailureRepair(const Descriptor& failure, int depth_max)
      : failure_(failure), depth_max_(depth_max) {}

  // `failures`: how deep in failures `bytes` is nested. nullopt: nothing
  // changes.
  std::optional<std::string> Repair(std::string_view bytes,
                                    const Descriptor& type, int failures,
                                    int depth) const {
    if (&type == &failure_) ++failures;
    std::string repaired;
    bool changed = false;
    FieldReader fields(bytes);
    while (fields.Next()) {
      std::optional<std::string> value;
      if (!IsCut(fields, type, failures, depth)) {
        value = RepairField(fields, type, failures, depth);
        if (!value.has_value()) {
          repaired.append(fields.raw());
          continue;
        }
        AppendVarint(static_cast<uint64_t>(fields.number()) << 3 | 2, repaired);
        AppendVarint(value->size(), repaired);
        repaired.append(*value);
      }
      changed = true;
    }
    if (!changed || !fields.ok()) return std::nullopt;
    return repaired;
  }

 private:
  // What is nested deeper than any library reads.
  bool IsCut(const FieldReader& field, const Descriptor& type, int failures,
             int depth) const {
    const FieldDescriptor* known = type.FindFieldByNumber(field.number());
    if (failures == 0 || known == nullptr || !field.has_bytes() ||
        known->type() != FieldDescriptor::TYPE_MESSAGE) {
      return false;
    }
    return depth >= kDepthMax - 1 ||
           (known->message_type() == &failure_ && failures >= depth_max_);
  }

  std::optional<std::string> RepairField(const FieldReader& field,
                                         const Descriptor& type, int failures,
                                         int depth) const {
    const FieldDescriptor* known = type.FindFieldByNumber(field.number());
    if (known == nullptr || !field.has_bytes() || depth >= kDepthMax) {
      return std::nullopt;
    }
    if (known->type() == FieldDescriptor::TYPE_MESSAGE) {
      return Repair(field.bytes(), *known->message_type(), failures, depth + 1);
    }
    if (known->type() != FieldDescriptor::TYPE_STRING || failures == 0 ||
        FindNotUtf8(field.bytes()) == std::string_view::npos) {
      return std::nullopt;
    }
    return MakeUtf8(field.bytes());
  }

  const Descriptor& failure_;
  const int depth_max_;
};

}  // namespace

std::string Flatten(const grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  std::string flat;
  if (!bytes.Dump(&slices).ok()) return flat;
  flat.reserve(bytes.Length());
  for (const grpc::Slice& slice : slices) {
    flat.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return flat;
}

absl::Status WhyUnreadable(std::string_view bytes, const Descriptor& type) {
  const std::optional<std::string> wrong = FindWrong(bytes, type, "", 0);
  return absl::InvalidArgumentError(wrong.value_or(absl::StrCat(
      "the request is not a valid ", std::string(type.full_name()))));
}

absl::Status ParseReceived(grpc::ByteBuffer& bytes,
                           google::protobuf::Message& message,
                           size_t bytes_max) {
  if (bytes.Length() > bytes_max) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the request has ", bytes.Length(), " bytes; at most ",
                     bytes_max, " are allowed"));
  }
  grpc::ProtoBufferReader reader(&bytes);
  if (reader.status().ok() && message.ParseFromZeroCopyStream(&reader)) {
    return absl::OkStatus();
  }
  message.Clear();
  return WhyUnreadable(Flatten(bytes), *message.GetDescriptor());
}

std::string RepairFailures(std::string_view bytes, const Descriptor& type,
                           const Descriptor& failure, int depth_max) {
  return FailureRepair(failure, depth_max)
      .Repair(bytes, type, /*failures=*/0, /*depth=*/0)
      .value_or(std::string(bytes));
}

}  // namespace leasehold
