// The wire form of Protocol Buffers, for values that are stored and sent as
// they are: WireWriter, WireReader.
//
// An event is encoded once, when it comes to be; the same bytes lie in the
// store and go to a worker with each turn, never taken apart in between. So
// their form is the one that the Durable Task contract gives its messages. This
// room links neither gRPC nor its generated classes (whose names are global): a
// value says what its fields are, once, for both directions:
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
// As in proto3, plain fields that are zero or empty are not written, and
// unknown fields are passed over.
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

// A google.protobuf.StringValue: absent, empty and text are three things.
using Payload = std::optional<std::string>;

// A message that nobody here looks into, as its bytes.
struct OpaqueMessage {
  std::optional<std::string> bytes;
  bool has_value() const { return bytes.has_value(); }
  friend bool operator==(const OpaqueMessage&, const OpaqueMessage&) = default;
};

// A google.protobuf.Timestamp. Kept as it came: nanoseconds, and years that
// other types of time do not have.
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

  // Fields of a message; see above which are written.
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

  // A message in a field, whose fields are written between the two.
  size_t Begin(int number);
  void End(size_t begin);

 private:
  void Raw(uint64_t value);

  std::string& out_;
};

// Goes through the fields of a message.
//
//   WireReader reader(bytes);
//   while (reader.Next()) reader.field(), reader.bytes(), reader.varint()
//   if (!reader.ok()) it was no message.
class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  // False: there are no more fields, or it is no message.
  bool Next();
  bool ok() const { return ok_; }

  int field() const { return field_; }
  // Of a field with bytes; empty for others.
  std::string_view bytes() const { return bytes_; }
  // Of a field with a number; 0 for others.
  uint64_t varint() const { return varint_; }

  // Reads the present field into a value. False: it is not of that form.
  bool Read(std::string& value) const {
    value.assign(bytes_);
    return true;
  }
  bool Read(int32_t& value) const {
    value = static_cast<int32_t>(varint_);
    return true;
  }
  bool Read(int64_t& value) const {
    value = static_cast<int64_t>(varint_);
    return true;
  }
  bool Read(bool& value) const {
    value = varint_ != 0;
    return true;
  }
  bool Read(Payload& value) const;
  bool Read(OpaqueMessage& value) const {
    value.bytes.emplace(bytes_);
    return true;
  }
  bool Read(StringMap& map) const;
  bool Read(std::vector<std::string>& values) const {
    values.emplace_back(bytes_);
    return true;
  }
  template <typename Message>
  requires requires(Message& m, WireWriter& w) { Message::Visit(m, w); }
  bool Read(Message& message) const { return ReadMessage(bytes_, message); }
  template <typename Message>
  requires requires(Message& m, WireWriter& w) { Message::Visit(m, w); }
  bool Read(std::optional<Message>& message) const {
    return Read(message.emplace());
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
  bool TakeVarint(uint64_t& value);

  std::string_view rest_;
  int field_ = 0;
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

// nullopt: the bytes are no such message.
template <typename Message>
std::optional<Message> DecodeMessage(std::string_view bytes) {
  std::optional<Message> message(std::in_place);
  if (!WireReader::ReadMessage(bytes, *message)) message.reset();
  return message;
}

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_ORCHESTRATION_WIRE_H_
