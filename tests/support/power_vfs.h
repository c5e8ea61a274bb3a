// PowerVfs: a disk in memory, for SQLite, that can lose power.
//
// A write is not on a disk until it has been synced. This class keeps both:
// what programs see, and what is certainly on the disk. PowerLoss decides at
// random what happens to the rest:
//
//   - Each write since the last sync of its file is kept, lost, or torn: some
//     of its sectors (512 bytes) are written and some are not. So writes arrive
//     in any order. As in a page cache, a sector contains what it contained at
//     some moment between the sync and the end.
//   - A file's size is one of those that it had in between.
//   - A file that was created and never synced may be gone (its name is synced
//     with it: SQLite's own VFS ensures that for logs, ext4 and XFS for all
//     files). A deleted file may be back, unless SQLite synced the directory.
//   - A failed sync has written nothing, and what it should have written counts
//     as clean: the next sync does not write it either (as in Linux).
//
// Connections of one process share a file as on a real disk, with locks and
// with the shared memory that a write-ahead log needs.
//
// Thread-safety: safe; PowerLoss, and the functions that set faults, belong to
// the test's thread.   Lifetime: outlives all connections opened with it, dead
// ones too.
#ifndef LEASEHOLD_TESTS_SUPPORT_POWER_VFS_H_
#define LEASEHOLD_TESTS_SUPPORT_POWER_VFS_H_

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "lease/base/mutex.h"
#include "tests/support/seed.h"

namespace leasehold {

class PowerVfs {
 public:
  PowerVfs();
  // REQUIRES: no connection is left.
  ~PowerVfs();
  PowerVfs(const PowerVfs&) = delete;
  PowerVfs& operator=(const PowerVfs&) = delete;

  // The name to open databases with; unique per VFS.
  const std::string& name() const { return name_; }

  // The machine loses power, and gets it back. All connections are dead: their
  // operations fail with SQLITE_IOERR until they are closed and reopened.
  void PowerLoss(Random& random) ABSL_LOCKS_EXCLUDED(mu_);

  // The n-th sync from now (0: the next one) fails, once.
  void FailSync(int64_t n) ABSL_LOCKS_EXCLUDED(mu_);
  // From the n-th write or sync from now on (0: the next one), everything that
  // would change the disk fails: until PowerLoss, or nullopt.
  void FailFrom(std::optional<int64_t> n) ABSL_LOCKS_EXCLUDED(mu_);
  // Files may grow by this many bytes in total, then the disk is full.
  void FillUp(std::optional<int64_t> bytes_left) ABSL_LOCKS_EXCLUDED(mu_);

  // Syncs of a file so far, by the end of its name: "leasehold.db-wal".
  int64_t syncs(std::string_view name_end) const ABSL_LOCKS_EXCLUDED(mu_);
  // Writes and syncs so far, of all files.
  int64_t operations() const ABSL_LOCKS_EXCLUDED(mu_);

  // What a program sees of a file; nullopt if there is none.
  std::optional<std::string> Contents(const std::string& path) const
      ABSL_LOCKS_EXCLUDED(mu_);
  // Puts a synced file there, in place of any existing one. REQUIRES: nobody
  // has it open.
  void PutFile(const std::string& path, std::string contents)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  struct Write;
  struct File;
  struct Handle;
  struct Methods;  // What SQLite calls.

  bool Dead(const Handle& handle) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Counts one more write or sync; false: it fails.
  bool MayChange() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes all names durable.
  void SyncNames() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Guarded by mu_, as are the files' contents.
  mutable Mutex mu_;
  std::map<std::string, std::shared_ptr<File>> files_ ABSL_GUARDED_BY(mu_);
  // Deleted, but the directory is not synced yet.
  std::map<std::string, std::shared_ptr<File>> deleted_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int64_t> syncs_ ABSL_GUARDED_BY(mu_);
  int64_t operations_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t lives_ ABSL_GUARDED_BY(mu_) = 0;  // Counts losses of power.
  std::optional<int64_t> syncs_to_failure_ ABSL_GUARDED_BY(mu_);
  std::optional<int64_t> operations_to_failure_ ABSL_GUARDED_BY(mu_);
  std::optional<int64_t> bytes_left_ ABSL_GUARDED_BY(mu_);

  // Constant after construction.
  std::string name_;
  std::unique_ptr<sqlite3_vfs> vfs_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_TESTS_SUPPORT_POWER_VFS_H_
