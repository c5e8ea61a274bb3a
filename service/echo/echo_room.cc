#include "service/echo/echo_room.h"

#include <algorithm>
#include <utility>

namespace leasehold {
namespace {

constexpr size_t kBatchEchoesMax = 64;

}  // namespace

void EchoRoom::Open(const std::function<std::optional<uint64_t>()>& publish) {
  MutexLock lock(mu_);
  if (const std::optional<uint64_t> sequence = publish())
    first_ = *sequence + 1;
}

void EchoRoom::Record(uint64_t sequence, std::string_view text) {
  std::shared_ptr<const Readers> readers;
  std::vector<std::shared_ptr<Reader>> dropped;
  {
    MutexLock lock(mu_);
    if (sequence < first_) return;  // Too late: its place is gone.
    const size_t place = sequence - first_;
    if (place >= echoes_.size()) echoes_.resize(place + 1);
    echoes_[place] = std::make_shared<const std::string>(text);
    bytes_ += text.size();
    while (complete_ < echoes_.size() && echoes_[complete_] != nullptr) {
      ++complete_;
    }
    while (complete_ > 1 &&
           (echoes_.size() > kEchoesMax || bytes_ > kBytesMax)) {
      bytes_ -= echoes_.front()->size();
      echoes_.pop_front();
      ++first_;
      --complete_;
    }
    readers = readers_;
    for (const std::shared_ptr<Reader>& reader : *readers) {
      if (reader->caught_up_ && reader->after_ + 1 < first_) {
        dropped.push_back(reader);
      }
    }
  }
  for (const std::shared_ptr<Reader>& reader : dropped) reader->drop_();
  for (const std::shared_ptr<Reader>& reader : *readers) reader->wake_();
}

uint64_t EchoRoom::Join(const std::shared_ptr<Reader>& reader,
                        std::optional<uint64_t> after) {
  MutexLock lock(mu_);
  const uint64_t latest = LatestLocked();
  // A reader ahead of this context has read an earlier context of the ID.
  reader->after_ = std::min(after.value_or(latest), latest);
  auto readers = std::make_shared<Readers>(*readers_);
  readers->push_back(reader);
  readers_ = std::move(readers);
  return latest;
}

void EchoRoom::Leave(const std::shared_ptr<Reader>& reader) {
  MutexLock lock(mu_);
  auto readers = std::make_shared<Readers>(*readers_);
  readers->erase(std::remove(readers->begin(), readers->end(), reader),
                 readers->end());
  readers_ = std::move(readers);
}

EchoRoom::Batch EchoRoom::Read(Reader& reader) {
  MutexLock lock(mu_);
  Batch batch;
  if (reader.after_ + 1 < first_) {
    batch.missed = first_ - 1 - reader.after_;
    reader.after_ = first_ - 1;
  }
  while (reader.after_ < LatestLocked() &&
         batch.echoes.size() < kBatchEchoesMax) {
    const size_t place = reader.after_ + 1 - first_;
    batch.echoes.push_back({reader.after_ + 1, echoes_[place]});
    ++reader.after_;
  }
  if (reader.after_ >= LatestLocked()) reader.caught_up_ = true;
  return batch;
}

}  // namespace leasehold
