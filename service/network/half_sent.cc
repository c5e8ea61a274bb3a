#include "service/network/half_sent.h"

#include <algorithm>
#include <utility>

namespace leasehold {

HalfSent::HalfSent(HalfSentLimits limits, std::function<void()> on_refused)
    : limits_(limits), on_refused_(std::move(on_refused)) {}

bool HalfSent::Advance(Stream& stream, absl::string_view bytes) {
  while (!bytes.empty()) {
    if (stream.bytes < kPrefixBytes) {
      if (stream.bytes > 0) {
        stream.size = stream.size << 8 | static_cast<unsigned char>(bytes[0]);
      }
      ++stream.bytes;
      bytes.remove_prefix(1);
      if (stream.bytes == kPrefixBytes) stream.size += kPrefixBytes;
    } else {
      const size_t taken = std::min(bytes.size(), stream.size - stream.bytes);
      stream.bytes += taken;
      bytes.remove_prefix(taken);
    }
    if (stream.bytes >= kPrefixBytes && stream.bytes == stream.size) {
      stream.bytes = stream.size = 0;  // It is complete; the next begins.
    }
  }
  return stream.bytes > 0;
}

bool HalfSent::Admit(const void* connection, const void* stream,
                     absl::string_view bytes) {
  if (unfinished_.load(std::memory_order_relaxed) == 0) {
    Stream alone;
    if (!Advance(alone, bytes)) return true;
  }
  {
    MutexLock lock(mu_);
    auto found = streams_.find(stream);
    const bool known = found != streams_.end();
    Stream next = known ? found->second : Stream{.connection = connection};
    const size_t before = next.bytes;
    if (!Advance(next, bytes)) {
      if (known) ForgetLocked(found);
      return true;
    }
    if (!known) {
      found = streams_.emplace(stream, next).first;
      ++connections_[connection].streams;
      unfinished_.store(streams_.size(), std::memory_order_relaxed);
    }
    found->second = next;
    Connection& all = connections_[connection];
    all.bytes += next.bytes - before;
    bytes_ += next.bytes - before;
    // It has fewer bytes than before, for which there was room.
    if (next.bytes <= before || HasRoomLocked(all)) return true;
    ForgetLocked(found);
  }
  on_refused_();
  return false;
}

bool HalfSent::HasRoomLocked(const Connection& connection) const {
  if (connection.streams > 1 &&
      connection.bytes > limits_.connection_bytes_max) {
    return false;
  }
  return bytes_ <= limits_.bytes_max ||
         connection.bytes <= limits_.bytes_max / connections_.size();
}

void HalfSent::ForgetLocked(StreamMap::iterator stream) {
  const auto connection = connections_.find(stream->second.connection);
  connection->second.bytes -= stream->second.bytes;
  bytes_ -= stream->second.bytes;
  if (--connection->second.streams == 0) connections_.erase(connection);
  streams_.erase(stream);
  unfinished_.store(streams_.size(), std::memory_order_relaxed);
}

void HalfSent::OnStreamEnded(const void* stream) {
  if (unfinished_.load(std::memory_order_relaxed) == 0) return;
  MutexLock lock(mu_);
  const auto found = streams_.find(stream);
  if (found != streams_.end()) ForgetLocked(found);
}

size_t HalfSent::bytes() const {
  MutexLock lock(mu_);
  return bytes_;
}

}  // namespace leasehold
