// Witness: what a process leaves behind, however it ends: which work was out,
// how often it was lost before, and how many commits were acknowledged.
//
// A small file mapped into memory. A value written there is in the file even if
// the process dies at the next instruction, and writing costs no more than
// writing memory. Only a loss of power may lose it, which does no harm: a loss
// of power is not blamed on the work that was out, and the recorded number of
// commits is never too high.
//
//   free ──Add──▶ noted ──SetOut──▶ out ──SetOut(false)──▶ noted ──Free──▶ free
//                   ▲                │
//                   └── TakeLeft ────┘  the process ended: lost once more
//
// Thread-safety: places belong to one thread at a time, the number of commits
// to another.   Lifetime: outlives its places.
#ifndef LEASEHOLD_SERVICE_STORAGE_WITNESS_H_
#define LEASEHOLD_SERVICE_STORAGE_WITNESS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "service/storage/records.h"

namespace leasehold {

class Witness {
 public:
  // Identifies a piece of work.
  struct Name {
    RunNumber number = 0;
    int32_t kind = 0;
    int32_t id = 0;
    friend auto operator<=>(const Name&, const Name&) = default;
  };

  // The slot of one piece of work; empty if there was no room. Frees the slot
  // when destroyed.
  class Place {
   public:
    Place() = default;
    ~Place() { Free(); }
    Place(Place&& other) noexcept;
    Place& operator=(Place&& other) noexcept;

    explicit operator bool() const { return witness_ != nullptr; }
    // Whether the work counts as lost if the process ends now.
    void SetOut(bool out);
    void SetLosses(int32_t losses);
    void Free();

   private:
    friend class Witness;
    Place(Witness* witness, size_t index) : witness_(witness), index_(index) {}

    Witness* witness_ = nullptr;
    size_t index_ = 0;
  };

  struct Left {
    Name name;
    int32_t losses = 0;
    Place place;
  };

  // In memory only, for a store that forgets: there is nothing to pass on.
  Witness();
  // Opens the file at `path`; creates it if it is missing or not one of ours.
  //   Unavailable: it cannot be created or mapped.
  static absl::StatusOr<std::unique_ptr<Witness>> Open(const std::string& path);
  ~Witness();
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  // Notes work that is not out, and was never lost.
  Place Add(const Name& name);
  // Returns the notes of the previous process, and those of this one that
  // belong to no Place: work that was out counts one more loss, and is no
  // longer out.
  std::vector<Left> TakeLeft();

  // Whether someone has emptied the file since it was created.
  bool emptied() const { return emptied_; }

  // How many commits the store has ever acknowledged.
  uint64_t commits() const;
  void SetCommits(uint64_t commits);

  // For tests: the whole contents, and how to restore them.
  std::string Save() const;
  void Restore(const std::string& saved);

 private:
  struct Header;
  struct Slot;

  Witness(void* memory, std::string path);

  Header& header() const;
  Slot& slot(size_t index) const;
  // Finds the free slots.
  void FindFree();

  void* const memory_;
  const std::string path_;  // Empty: in memory only.
  std::vector<uint32_t> free_;
  std::vector<bool> given_;  // Slots that have a Place.
  bool emptied_ = false;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_STORAGE_WITNESS_H_
