#include "service/rpc/delay_probe.h"

#include <grpcpp/security/server_credentials.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

namespace leasehold {
namespace {

using grpc::experimental::ExternalConnectionAcceptor;
using ConnectionType =
    grpc::ServerBuilder::experimental_type::ExternalConnectionType;

// A connection that the server has ended is not replaced for so long: it may be
// about to end all of them.
constexpr absl::Duration kPause = absl::Seconds(1);

// HTTP/2 (RFC 9113).
constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kHeaderBytes = 9;
constexpr size_t kPingBytes = 8;
constexpr char kSettings = 4;
constexpr char kPing = 6;
constexpr char kGoAway = 7;
constexpr char kAck = 1;

// The header of a frame of stream 0.
std::string FrameHeader(size_t bytes, char type, char flags) {
  std::string header(kHeaderBytes, '\0');
  header[2] = static_cast<char>(bytes);
  header[3] = type;
  header[4] = flags;
  return header;
}

size_t PayloadBytes(std::string_view header) {
  size_t bytes = 0;
  for (size_t i = 0; i < 3; ++i) {
    bytes = bytes << 8 | static_cast<unsigned char>(header[i]);
  }
  return bytes;
}

}  // namespace

void DelayProbe::Descriptor::Set(int descriptor) {
  if (open()) close(descriptor_);
  descriptor_ = descriptor;
}

DelayProbe::DelayProbe(grpc::ServerBuilder& builder, const Clock& clock,
                       std::function<size_t()> arrived,
                       std::function<bool(absl::Duration)> report)
    : clock_(clock),
      arrived_(std::move(arrived)),
      report_(std::move(report)),
      acceptor_(builder.experimental().AddExternalConnectionAcceptor(
          ConnectionType::FROM_FD, grpc::InsecureServerCredentials())) {}

void DelayProbe::Start() {
  woken_.Set(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  thread_ = std::thread([this] { Run(); });
}

void DelayProbe::Stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  eventfd_write(woken_.get(), 1);
  thread_.join();
}

void DelayProbe::Run() {
  while (!stopping_) {
    const Instant now = clock_.Now();
    if (!Wanted(now)) {
      Disconnect();
      Wait(kIdleTick);
      continue;
    }
    if (!connection_.open() && now >= goes_on_.value_or(now)) Connect();
    Tick(now);
    const Instant end = now + kTick;
    while (!stopping_) {
      const absl::Duration left = end - clock_.Now();
      if (left <= absl::ZeroDuration()) break;
      Wait(left);
    }
  }
  Disconnect();
}

bool DelayProbe::Wanted(Instant now) {
  const size_t arrived = arrived_();
  if (std::exchange(arrived_before_, arrived) != arrived) {
    called_ = now;
    return true;
  }
  return wanted_ || (connection_.open() && now - called_ < kQuiet);
}

void DelayProbe::Connect() {
  std::array<int, 2> ends = {};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                 ends.data()) != 0) {
    goes_on_ = clock_.Now() + kPause;
    return;
  }
  connection_.Set(ends[0]);
  ExternalConnectionAcceptor::NewConnectionParameters server;
  server.fd = ends[1];
  acceptor_->HandleNewConnection(&server);
  // Its own acknowledgement is the answer to the first question.
  Send(kPreface);
  asked_ = clock_.Now();
  Send(FrameHeader(0, kSettings, 0));
}

void DelayProbe::Disconnect() {
  connection_.Set(-1);
  read_.clear();
  asked_.reset();
  delay_ = absl::ZeroDuration();
}

void DelayProbe::Tick(Instant now) {
  if (!connection_.open()) return;
  wanted_ =
      report_(asked_.has_value() ? std::max(delay_, now - *asked_) : delay_);
  if (asked_.has_value()) return;
  asked_ = clock_.Now();
  Send(FrameHeader(0, kSettings, 0));
}

void DelayProbe::Wait(absl::Duration time) {
  std::array<pollfd, 2> waits = {
      pollfd{.fd = woken_.get(), .events = POLLIN, .revents = 0},
      // A negative descriptor is left out.
      pollfd{.fd = connection_.get(), .events = POLLIN, .revents = 0}};
  const auto ms =
      absl::ToInt64Milliseconds(absl::Ceil(time, absl::Milliseconds(1)));
  if (poll(waits.data(), waits.size(), static_cast<int>(ms)) > 0 &&
      waits[1].revents != 0) {
    Read();
  }
}

void DelayProbe::Read() {
  std::array<char, 4096> bytes;
  const ssize_t count = recv(connection_.get(), bytes.data(), bytes.size(), 0);
  if (count <= 0) {
    Disconnect();
    goes_on_ = clock_.Now() + kPause;
    return;
  }
  read_.append(bytes.data(), static_cast<size_t>(count));
  while (connection_.open() && TakeFrame()) {
  }
}

bool DelayProbe::TakeFrame() {
  if (read_.size() < kHeaderBytes) return false;
  const size_t bytes = PayloadBytes(read_);
  if (read_.size() < kHeaderBytes + bytes) return false;
  const char type = read_[3];
  const bool ack = (read_[4] & kAck) != 0;
  const std::string payload = read_.substr(kHeaderBytes, bytes);
  read_.erase(0, kHeaderBytes + bytes);
  if (type == kSettings && ack && asked_.has_value()) {
    delay_ = clock_.Now() - *std::exchange(asked_, std::nullopt);
  } else if (type == kSettings && !ack) {
    Send(FrameHeader(0, kSettings, kAck));
  } else if (type == kPing && !ack && bytes == kPingBytes) {
    Send(FrameHeader(kPingBytes, kPing, kAck) + payload);
  } else if (type == kGoAway) {
    Disconnect();
    goes_on_ = clock_.Now() + kPause;
  }
  return true;
}

void DelayProbe::Send(std::string_view bytes) {
  // A few bytes, of which one question at a time is under way: there is room.
  if (send(connection_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(bytes.size())) {
    Disconnect();
    goes_on_ = clock_.Now() + kPause;
  }
}

}  // namespace leasehold
