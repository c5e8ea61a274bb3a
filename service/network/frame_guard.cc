#include "service/network/frame_guard.h"

#include <algorithm>
#include <utility>

namespace leasehold {
namespace {

// More than a connection's streams; 512 KiB.
constexpr size_t kBirths = 1 << 16;

// The least that a frame counts: an empty one costs work too.
constexpr size_t kFrameBytes = 64;

// A birth: 24 bits of the stream's address, 40 of milliseconds. 0: none.
constexpr int kTimeBits = 40;

uint64_t HashOf(const void* stream) {
  // Addresses of objects of one type differ in their middle bits.
  return reinterpret_cast<uintptr_t>(stream) * uint64_t{0x9E3779B97F4A7C15};
}
size_t PlaceOf(uint64_t hash) { return (hash >> 24) % kBirths; }
uint64_t MarkOf(uint64_t hash) { return hash >> kTimeBits << kTimeBits; }
uint64_t MillisecondsOf(Instant time) {
  return static_cast<uint64_t>(time.ns / 1'000'000) &
         ((uint64_t{1} << kTimeBits) - 1);
}

}  // namespace

FrameGuard::FrameGuard(const Clock& clock, FrameLimits limits,
                       std::function<void(Cut)> on_cut)
    : clock_(clock),
      limits_(limits),
      on_cut_(std::move(on_cut)),
      births_(std::make_unique<std::atomic<uint64_t>[]>(kBirths)) {}

void FrameGuard::OnHeaderFrame(const void* parser, bool ends_block) {
  if (ends_block && NoBlocks()) return;
  MutexLock lock(mu_);
  auto found = blocks_.find(parser);
  if (found == blocks_.end()) {
    if (ends_block) return;
    found = blocks_.emplace(parser, Block()).first;
    CountBlocksLocked();
  }
  found->second.last_frame = ends_block;
}

bool FrameGuard::AdmitHeaderBytes(const void* parser, size_t bytes,
                                  bool ends_frame) {
  if (ends_frame && NoBlocks()) return true;  // A block in one piece: 16 KiB.
  {
    MutexLock lock(mu_);
    auto found = blocks_.find(parser);
    if (found == blocks_.end()) {
      if (ends_frame) return true;
      found = blocks_.emplace(parser, Block()).first;
    }
    Block& block = found->second;
    block.bytes += bytes + kFrameBytes;
    const bool admitted = block.bytes <= limits_.header_block_bytes_max;
    if (!admitted || (ends_frame && block.last_frame)) blocks_.erase(found);
    CountBlocksLocked();
    if (admitted) return true;
  }
  on_cut_(Cut::kHeaderBlock);
  return false;
}

void FrameGuard::OnStream(const void* stream) {
  const uint64_t hash = HashOf(stream);
  births_[PlaceOf(hash)].store(MarkOf(hash) | MillisecondsOf(clock_.Now()),
                               std::memory_order_relaxed);
}

bool FrameGuard::IsYoung(const void* stream, Instant now) const {
  if (stream == nullptr) return true;  // It was reset while being answered.
  const uint64_t hash = HashOf(stream);
  const uint64_t birth = births_[PlaceOf(hash)].load(std::memory_order_relaxed);
  if (MarkOf(birth) != MarkOf(hash)) return false;
  const uint64_t age = MillisecondsOf(now) - (birth - MarkOf(hash));
  return age < static_cast<uint64_t>(absl::ToInt64Milliseconds(kYoung));
}

bool FrameGuard::AdmitReset(const void* connection, const void* stream) {
  const Instant now = clock_.Now();
  if (!IsYoung(stream, now) || TakeToken(connection, now)) return true;
  on_cut_(Cut::kResets);
  return false;
}

bool FrameGuard::TakeToken(const void* connection, Instant now) {
  MutexLock lock(mu_);
  auto [found, created] =
      buckets_.try_emplace(connection, Bucket{limits_.resets_max, now});
  Bucket& bucket = found->second;
  bucket.tokens =
      std::min(limits_.resets_max,
               bucket.tokens + absl::ToDoubleSeconds(now - bucket.filled) *
                                   limits_.resets_per_second_max);
  bucket.filled = now;
  bucket.tokens -= 1;
  const bool admitted = bucket.tokens >= 0;
  if (!admitted) buckets_.erase(found);
  return admitted;
}

void FrameGuard::OnGone(const void* connection, const void* parser) {
  MutexLock lock(mu_);
  blocks_.erase(parser);
  buckets_.erase(connection);
  CountBlocksLocked();
}

}  // namespace leasehold
