// The wire form of Protocol Buffers, for values that are stored and sent as
// they are: WireWriter, WireReader.
//
// An event is encoded once, when it is created; the same bytes are stored and
// sent to a worker with each turn, and are not decoded in between. So they have
// the form that the Durable Task contract gives its messages. This room does
// not link gRPC or the contract's generated classes (whose names are global):
// each value lists its fields once, for both directions:
//
//   struct TimerFired {
//     Timestamp fire_at;
//     int32_t timer_id = 0;
//     template <typename Self, typename Fields>
//     static void Visit(Self& self, Fields&& field) {
//       field(1, self.fire_at);
//       field(2, self.timer_id);
//     }
//   };
//   std::string bytes = EncodeMessage(fired);
//   std::optional<TimerFired> again = DecodeMessage<TimerFired>(bytes);
//
// As in proto3, plain fields that are zero or empty are not written. Fields
// that are unknown or of an unexpected wire type are skipped, including groups:
// everything that Protocol Buffers accept can be read here.
//
// Thread-safety: values; callers synchronise.
#ifndef LEASEHOLD_SERVICE_ORCHESTRATION_WIRE_H_
#define LEASEHOLD_SERVICE_ORCHESTRATION_WIRE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace leasehold {

// A google.protobuf.StringValue: absent, empty and text are distinct.
using Payload = std::optional<std::string>;

// The bytes of a message that is not decoded here.
struct OpaqueMessage {
  std::optional<std::string> bytes;
  bool has_value() const { return bytes.has_value(); }
  friend bool operator==(const OpaqueMessage&, const OpaqueMessage&) = default;
};

// A google.protobuf.Timestamp, kept as received: with nanoseconds, and with
// years that other time types cannot represent.
struct Timestamp {
  int64_t seconds = 0;
  int32_t nanos = 0;
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;

  template <typename Self, typename Fields>
  static void Visit(Self& self, Fields&& field) {
    field(1, self.seconds);
    field(2, self.nanos);
  }
};

// A map<string, string>.
using StringMap = std::vector<std::pair<std::string, std::string>>;

// Appends to a string.
class WireWriter {
 public:
  explicit WireWriter(std::string& out) : out_(out) {}

  // Fields of a message. The rules above say which are written.
  void operator()(int number, const std::string& value) {
    if (!value.empty()) Bytes(number, value);
  }
  void operator()(int number, int32_t value) {
    (*this)(number, static_cast<int64_t>(value));
  }
  void operator()(int number, int64_t value) {
    if (value != 0) Varint(number, static_cast<uint64_t>(value));
  }
  void operator()(int number, bool value) {
    if (value) Varint(number, 1);
  }
  void operator()(int number, const Payload& value);
  void operator()(int number, const OpaqueMessage& value) {
    if (value.has_value()) Bytes(number, *value.bytes);
  }
  void operator()(int number, const StringMap& map);
  void operator()(int number, const std::vector<std::string>& values) {
    for (const std::string& value : values) Bytes(number, value);
  }
  template <typename Message>
  requires requires(const Message& m, WireWriter& w) { Message::Visit(m, w); }
  void operator()(int number, const Message& message) {
    const size_t begin = Begin(number);
    Message::Visit(message, *this);
    End(begin);
  }
  template <typename Message>
  requires requires(const Message& m, WireWriter& w) { Message::Visit(m, w); }
  void operator()(int number, const std::optional<Message>& message) {
    if (message.has_value()) (*this)(number, *message);
  }

  // A field of bytes, written even if it is empty.
  void Bytes(int number, std::string_view value);
  void Varint(int number, uint64_t value);

  // Begin and End enclose the fields of a message that is itself a field.
  size_t Begin(int number);
  void End(size_t begin);

 private:
  void Raw(uint64_t value);

  std::string& out_;
};

// Reads the fields of a message one by one.
//
//   WireReader reader(bytes);
//   while (reader.Next()) reader.field(), reader.bytes(), reader.varint()
//   if (!reader.ok()) it was not a message.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  // False: there are no more fields, or this is not a message.
  bool Next();
  bool ok() const { return ok_; }

  int field() const { return field_; }
  // Whether the current field holds bytes or a number; groups and fields of
  // fixed width hold neither.
  bool has_bytes() const { return kind_ == Kind::kBytes; }
  bool has_varint() const { return kind_ == Kind::kVarint; }
  // The value of a bytes field; empty for others.
  std::string_view bytes() const { return bytes_; }
  // The value of a number field; 0 for others.
  uint64_t varint() const { return varint_; }

  // Reads the current field into a value; a field of another wire type changes
  // nothing. False: the bytes are malformed.
  bool Read(std::string& value) const {
    if (has_bytes()) value.assign(bytes_);
    return true;
  }
  bool Read(int32_t& value) const {
    if (has_varint()) value = static_cast<int32_t>(varint_);
    return true;
  }
  bool Read(int64_t& value) const {
    if (has_varint()) value = static_cast<int64_t>(varint_);
    return true;
  }
  bool Read(bool& value) const {
    if (has_varint()) value = varint_ != 0;
    return true;
  }
  bool Read(Payload& value) const;
  bool Read(OpaqueMessage& value) const {
    if (has_bytes()) value.bytes.emplace(bytes_);
    return true;
  }
  bool Read(StringMap& map) const;
  bool Read(std::vector<std::string>& values) const {
    if (has_bytes()) values.emplace_back(bytes_);
    return true;
  }
  template <typename Message>
  requires requires(Message& m, WireWriter& w) { Message::Visit(m, w); }
  bool Read(Message& message) const {
    return !has_bytes() || ReadMessage(bytes_, message);
  }
  template <typename Message>
  requires requires(Message& m, WireWriter& w) { Message::Visit(m, w); }
  bool Read(std::optional<Message>& message) const {
    return !has_bytes() || Read(message.emplace());
  }

  // Reads all fields of `bytes`.
  template <typename Message>
  static bool ReadMessage(std::string_view bytes, Message& message) {
    WireReader reader(bytes);
    bool good = true;
    while (good && reader.Next()) {
      Message::Visit(message, [&](int number, auto& value) {
        if (number == reader.field_) good = good && reader.Read(value);
      });
    }
    return good && reader.ok();
  }

 private:
  enum class Kind { kVarint, kBytes, kOther };

  bool TakeVarint(uint64_t& value);
  // Reads the next field's number and wire type.
  bool TakeTag(int& field, uint64_t& type);
  // Reads a value of that type, except for a group.
  bool TakeValue(uint64_t type);
  // Skips the rest of a group, up to its end.
  bool PassGroup(int field);

  std::string_view rest_;
  int field_ = 0;
  Kind kind_ = Kind::kOther;
  uint64_t varint_ = 0;
  std::string_view bytes_;
  bool ok_ = true;
};

template <typename Message>
std::string EncodeMessage(const Message& message) {
  std::string bytes;
  WireWriter writer(bytes);
  Message::Visit(message, writer);
  return bytes;
}

// nullopt: the bytes are not such a message.
template <typename Message>
std::optional<Message> DecodeMessage(std::string_view bytes) {
  std::optional<Message> message(std::in_place);
  if (!WireReader::ReadMessage(bytes, *message)) message.reset();
  return message;
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_WIRE_H_
