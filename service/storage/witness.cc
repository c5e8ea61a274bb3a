#include "service/storage/witness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

constexpr uint64_t kMagic = 0x31'73'73'65'6e'74'69'77;  // "witness1"

// More than are ever out at once: a worker has two hundred. Work that finds no
// slot is not noted, and goes out nevertheless.
constexpr size_t kSlots = 8192;
constexpr size_t kHeaderBytes = 4096;

absl::Status Failed(const std::string& what, const std::string& path,
                    int error) {
  return absl::UnavailableError(
      absl::StrCat("cannot ", what, " \"", path, "\": ", std::strerror(error)));
}

}  // namespace

// Both have a fixed layout: the previous process may be of another version.
struct Witness::Header {
  std::atomic<uint64_t> magic;
  std::atomic<uint64_t> commits;
};

struct Witness::Slot {
  // Written last and cleared first: 0 marks a free slot.
  std::atomic<int64_t> number;
  std::atomic<int32_t> kind;
  std::atomic<int32_t> id;
  std::atomic<int32_t> losses;
  std::atomic<int32_t> out;
};

namespace {

constexpr size_t kSlotBytes = 24;
constexpr size_t kBytes = kHeaderBytes + kSlots * kSlotBytes;

void* MapNothing() {
  return mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

}  // namespace

// ---- The file ---------------------------------------------------------------

Witness::Witness() : Witness(MapNothing(), "") {}

Witness::Witness(void* memory, std::string path)
    : memory_(memory), path_(std::move(path)), given_(kSlots, false) {
  static_assert(sizeof(Slot) == kSlotBytes);
  static_assert(std::atomic<int64_t>::is_always_lock_free);
  if (header().magic != kMagic) {
    std::memset(memory_, 0, kBytes);
    header().magic = kMagic;
  }
  FindFree();
}

Witness::~Witness() { munmap(memory_, kBytes); }

absl::StatusOr<std::unique_ptr<Witness>> Witness::Open(
    const std::string& path) {
  const bool existed = access(path.c_str(), F_OK) == 0;
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return Failed("open", path, errno);
  struct stat found = {};
  const bool emptied =
      existed && fstat(file, &found) == 0 && found.st_size == 0;
  // Writing to mapped memory without disk space behind it would kill the
  // process.
  int error = posix_fallocate(file, 0, kBytes);
  void* memory = MAP_FAILED;
  if (error == 0) {
    memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED) error = errno;
  }
  close(file);
  if (error != 0) return Failed("keep notes in", path, error);
  std::unique_ptr<Witness> witness(new Witness(memory, path));
  witness->emptied_ = emptied;
  return witness;
}

Witness::Header& Witness::header() const {
  return *static_cast<Header*>(memory_);
}

Witness::Slot& Witness::slot(size_t index) const {
  return reinterpret_cast<Slot*>(static_cast<char*>(memory_) +
                                 kHeaderBytes)[index];
}

void Witness::FindFree() {
  free_.clear();
  for (size_t i = kSlots; i-- > 0;) {  // So that the first slots are used most.
    if (slot(i).number == 0) free_.push_back(static_cast<uint32_t>(i));
  }
}

uint64_t Witness::commits() const { return header().commits; }
void Witness::SetCommits(uint64_t commits) { header().commits = commits; }

std::string Witness::Save() const {
  return std::string(static_cast<const char*>(memory_), kBytes);
}

void Witness::Restore(const std::string& saved) {
  std::memcpy(memory_, saved.data(), kBytes);
  given_.assign(kSlots, false);
  FindFree();
}

// ---- Work -------------------------------------------------------------------

Witness::Place Witness::Add(const Name& name) {
  if (free_.empty()) return {};
  const size_t index = free_.back();
  free_.pop_back();
  given_[index] = true;
  Slot& at = slot(index);
  at.kind.store(name.kind, std::memory_order_relaxed);
  at.id.store(name.id, std::memory_order_relaxed);
  at.losses.store(0, std::memory_order_relaxed);
  at.out.store(0, std::memory_order_relaxed);
  at.number.store(name.number, std::memory_order_release);
  return {this, index};
}

std::vector<Witness::Left> Witness::TakeLeft() {
  std::vector<Left> left;
  for (size_t i = 0; i < kSlots; ++i) {
    Slot& at = slot(i);
    if (at.number == 0 || given_[i]) continue;
    if (at.out != 0) {
      ++at.losses;
      at.out = 0;
    }
    given_[i] = true;
    left.push_back({{at.number, at.kind, at.id}, at.losses, Place(this, i)});
  }
  return left;
}

Witness::Place::Place(Place&& other) noexcept
    : witness_(std::exchange(other.witness_, nullptr)), index_(other.index_) {}

Witness::Place& Witness::Place::operator=(Place&& other) noexcept {
  if (this != &other) {
    Free();
    witness_ = std::exchange(other.witness_, nullptr);
    index_ = other.index_;
  }
  return *this;
}

void Witness::Place::SetOut(bool out) {
  if (witness_ == nullptr) return;
  witness_->slot(index_).out.store(out ? 1 : 0, std::memory_order_relaxed);
}

void Witness::Place::SetLosses(int32_t losses) {
  if (witness_ == nullptr) return;
  witness_->slot(index_).losses.store(losses, std::memory_order_relaxed);
}

void Witness::Place::Free() {
  if (witness_ == nullptr) return;
  witness_->slot(index_).number.store(0, std::memory_order_release);
  witness_->given_[index_] = false;
  witness_->free_.push_back(static_cast<uint32_t>(index_));
  witness_ = nullptr;
}

}  // namespace leasehold
