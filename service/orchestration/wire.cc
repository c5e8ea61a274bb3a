#include "service/orchestration/wire.h"

namespace leasehold {
namespace {

// What follows a field's number.
enum WireType : uint64_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kFixed32 = 5,
};

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
  out_.push_back(0);  // Enough for the length of nearly all.
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

bool WireReader::Next() {
  if (rest_.empty() || !ok_) return false;
  ok_ = false;
  varint_ = 0;
  bytes_ = {};
  uint64_t tag;
  if (!TakeVarint(tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return false;
  field_ = static_cast<int>(tag >> 3);
  switch (tag & 7) {
    case kVarint:
      ok_ = TakeVarint(varint_);
      break;
    case kBytes: {
      uint64_t size;
      if (!TakeVarint(size) || size > rest_.size()) break;
      bytes_ = rest_.substr(0, size);
      rest_.remove_prefix(size);
      ok_ = true;
      break;
    }
    case kFixed64:
    case kFixed32: {
      const size_t size = (tag & 7) == kFixed64 ? 8 : 4;
      if (size > rest_.size()) break;
      rest_.remove_prefix(size);
      ok_ = true;
      break;
    }
    default:
      break;
  }
  return ok_;
}

bool WireReader::Read(Payload& value) const {
  value.emplace();
  WireReader reader(bytes_);
  while (reader.Next()) {
    if (reader.field() == 1) value->assign(reader.bytes());
  }
  return reader.ok();
}

bool WireReader::Read(StringMap& map) const {
  auto& [key, value] = map.emplace_back();
  WireReader reader(bytes_);
  while (reader.Next()) {
    if (reader.field() == 1) key.assign(reader.bytes());
    if (reader.field() == 2) value.assign(reader.bytes());
  }
  return reader.ok();
}

}  // namespace leasehold
