#include "service/orchestration/wire.h"

namespace leasehold {
namespace {

// The wire types, stored beside field numbers.
enum WireType : uint64_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kGroup = 3,
  kGroupEnd = 4,
  kFixed32 = 5,
};

// Nesting limit for groups, as Protocol Buffers have for messages.
constexpr size_t kGroupDepthMax = 100;

}  // namespace

void WireWriter::Raw(uint64_t value) {
  while (value >= 0x80) {
    out_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out_.push_back(static_cast<char>(value));
}

void WireWriter::Varint(int number, uint64_t value) {
  Raw(static_cast<uint64_t>(number) << 3 | kVarint);
  Raw(value);
}

void WireWriter::Bytes(int number, std::string_view value) {
  Raw(static_cast<uint64_t>(number) << 3 | kBytes);
  Raw(value.size());
  out_.append(value);
}

size_t WireWriter::Begin(int number) {
  Raw(static_cast<uint64_t>(number) << 3 | kBytes);
  out_.push_back(0);  // Enough for nearly all lengths.
  return out_.size();
}

void WireWriter::End(size_t begin) {
  const size_t length = out_.size() - begin;
  if (length < 0x80) {
    out_[begin - 1] = static_cast<char>(length);
    return;
  }
  std::string prefix;
  WireWriter(prefix).Raw(length);
  out_.replace(begin - 1, 1, prefix);
}

void WireWriter::operator()(int number, const Payload& value) {
  if (!value.has_value()) return;
  const size_t begin = Begin(number);
  if (!value->empty()) Bytes(1, *value);
  End(begin);
}

void WireWriter::operator()(int number, const StringMap& map) {
  for (const auto& [key, value] : map) {
    const size_t begin = Begin(number);
    Bytes(1, key);
    Bytes(2, value);
    End(begin);
  }
}

bool WireReader::TakeVarint(uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest_.empty()) return false;
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool WireReader::TakeTag(int& field, uint64_t& type) {
  uint64_t tag;
  if (!TakeVarint(tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return false;
  field = static_cast<int>(tag >> 3);
  type = tag & 7;
  return true;
}

bool WireReader::TakeValue(uint64_t type) {
  switch (type) {
    case kVarint:
      return TakeVarint(varint_);
    case kBytes: {
      uint64_t size;
      if (!TakeVarint(size) || size > rest_.size()) return false;
      bytes_ = rest_.substr(0, size);
      rest_.remove_prefix(size);
      return true;
    }
    case kFixed64:
    case kFixed32: {
      const size_t size = type == kFixed64 ? 8 : 4;
      if (size > rest_.size()) return false;
      rest_.remove_prefix(size);
      return true;
    }
    default:
      return false;
  }
}

bool WireReader::PassGroup(int field) {
  std::vector<int> open = {field};  // The groups that have not ended.
  while (!open.empty()) {
    uint64_t type;
    if (!TakeTag(field, type)) return false;
    if (type == kGroupEnd) {
      if (field != open.back()) return false;
      open.pop_back();
    } else if (type == kGroup) {
      if (open.size() == kGroupDepthMax) return false;
      open.push_back(field);
    } else if (!TakeValue(type)) {
      return false;
    }
  }
  varint_ = 0;  // A group's content is dropped.
  bytes_ = {};
  return true;
}

bool WireReader::Next() {
  if (rest_.empty() || !ok_) return false;
  varint_ = 0;
  bytes_ = {};
  kind_ = Kind::kOther;
  uint64_t type = 0;
  ok_ = TakeTag(field_, type) &&
        (type == kGroup ? PassGroup(field_) : TakeValue(type));
  if (type == kVarint) kind_ = Kind::kVarint;
  if (type == kBytes) kind_ = Kind::kBytes;
  return ok_;
}

bool WireReader::Read(Payload& value) const {
  if (!has_bytes()) return true;
  value.emplace();
  WireReader reader(bytes_);
  while (reader.Next()) {
    if (reader.field() == 1 && !reader.Read(*value)) return false;
  }
  return reader.ok();
}

bool WireReader::Read(StringMap& map) const {
  if (!has_bytes()) return true;
  auto& [key, value] = map.emplace_back();
  WireReader reader(bytes_);
  while (reader.Next()) {
    if (reader.field() == 1) reader.Read(key);
    if (reader.field() == 2) reader.Read(value);
  }
  return reader.ok();
}

}  // namespace leasehold
