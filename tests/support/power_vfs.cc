#include "tests/support/power_vfs.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

namespace leasehold {
namespace {

constexpr size_t kSector = 512;
constexpr int kLongestName = 1024;

std::string NewName() {
  static std::atomic<int> next = 0;
  return absl::StrCat("power-", next++);
}

}  // namespace

// A change of a file that may not be on the disk.
struct PowerVfs::Write {
  // A write: whole sectors, with their contents after it, from `offset` on; the
  // last one as far as the file went. Empty for a truncation.
  size_t offset = 0;
  std::string data;
  std::optional<size_t> truncated_to;
  // The sync that should have written it failed: it counts as written.
  bool clean = false;
  std::vector<bool> overtaken;  // Per sector: a later sync wrote it.

  size_t sectors() const { return (data.size() + kSector - 1) / kSector; }

  // Applies the i-th sector to `disk`.
  void Apply(size_t i, std::string& disk) const {
    const size_t begin = offset + i * kSector;
    const std::string sector = data.substr(i * kSector, kSector);
    if (disk.size() < begin + sector.size()) {
      disk.resize(begin + sector.size());
    }
    disk.replace(begin, sector.size(), sector);
  }
};

struct PowerVfs::File {
  std::string path;            // Empty: a temporary file without a name.
  std::string seen;            // What programs see.
  std::string disk;            // What is certainly on the disk.
  std::vector<Write> pending;  // From disk to seen, in order.
  bool name_is_durable = false;
  std::vector<Handle*> handles;
  std::vector<std::unique_ptr<char[]>> shared_memory;

  void Put(size_t offset, std::string_view data) {
    if (seen.size() < offset + data.size()) seen.resize(offset + data.size());
    seen.replace(offset, data.size(), data);
    const size_t begin = offset / kSector * kSector;
    const size_t end = (offset + data.size() + kSector - 1) / kSector * kSector;
    Write write;
    write.offset = begin;
    write.data = seen.substr(begin, end - begin);
    pending.push_back(std::move(write));
  }

  void Truncate(size_t size) {
    seen.resize(size);
    Write write;
    write.truncated_to = size;
    pending.push_back(std::move(write));
  }

  void Sync() {
    std::vector<Write> left;
    for (Write& write : pending) {
      if (write.truncated_to) {
        disk.resize(*write.truncated_to);
      } else if (write.clean) {
        left.push_back(std::move(write));
      } else {
        for (size_t i = 0; i < write.sectors(); ++i) write.Apply(i, disk);
        for (Write& old : left) Overtake(old, write);
      }
    }
    pending = std::move(left);
    disk.resize(seen.size());  // Unwritten gaps are zeros.
    name_is_durable = true;
  }

  void FailSync() {
    for (Write& write : pending) write.clean = true;
  }

  // What a loss of power leaves.
  std::string Remains(Random& random) const {
    std::string remains = disk;
    const uint64_t kept_percent = Uniform(random, 0, 4) * 25;
    for (const Write& write : pending) {
      const bool kept = Uniform(random, 0, 99) < kept_percent;
      const bool torn = OneIn(random, 4);
      if (write.truncated_to) {
        if (kept) remains.resize(*write.truncated_to);
        continue;
      }
      for (size_t i = 0; i < write.sectors(); ++i) {
        const bool overtaken = !write.overtaken.empty() && write.overtaken[i];
        if (!overtaken && (torn ? OneIn(random, 2) : kept)) {
          write.Apply(i, remains);
        }
      }
    }
    return remains;
  }

 private:
  static void Overtake(Write& old, const Write& by) {
    old.overtaken.resize(old.sectors());
    for (size_t i = 0; i < old.sectors(); ++i) {
      const size_t begin = old.offset + i * kSector;
      if (begin >= by.offset && begin < by.offset + by.data.size()) {
        old.overtaken[i] = true;
      }
    }
  }
};

// An open file, in memory that SQLite allocates.
struct PowerVfs::Handle {
  sqlite3_file base;  // First: SQLite knows only this part.
  PowerVfs* vfs;
  std::shared_ptr<File> file;
  int64_t life;  // Of the machine; if that has changed, the handle is dead.
  int lock = SQLITE_LOCK_NONE;
  bool delete_on_close = false;
  bool has_shared_memory = false;
  uint32_t shared = 0;  // Locks of the shared memory, one bit each.
  uint32_t exclusive = 0;

  // Whether another handle of the file satisfies a condition.
  template <typename Condition>
  bool AnyOther(Condition condition) const {
    return std::any_of(
        file->handles.begin(), file->handles.end(),
        [&](const Handle* h) { return h != this && condition(*h); });
  }
};

struct PowerVfs::Methods {
  static PowerVfs& Of(sqlite3_vfs* vfs) {
    return *static_cast<PowerVfs*>(vfs->pAppData);
  }
  static Handle& Of(sqlite3_file* file) {
    return *reinterpret_cast<Handle*>(file);
  }

  // ---- The file system ------------------------------------------------------

  static int Open(sqlite3_vfs* base, const char* path, sqlite3_file* out,
                  int flags, int* out_flags) {
    PowerVfs& vfs = Of(base);
    MutexLock lock(vfs.mu_);
    out->pMethods = nullptr;  // Until it is open: SQLite must not close it.
    std::shared_ptr<File> file;
    if (path == nullptr) {
      file = std::make_shared<File>();
    } else if (const auto found = vfs.files_.find(path);
               found != vfs.files_.end()) {
      file = found->second;
    } else if ((flags & SQLITE_OPEN_CREATE) != 0) {
      if (!vfs.MayChange()) return SQLITE_CANTOPEN;
      file = std::make_shared<File>();
      file->path = path;
      vfs.files_[path] = file;
    } else {
      return SQLITE_CANTOPEN;
    }
    auto* handle = new (out) Handle{
        .base = {&kFileMethods}, .vfs = &vfs, .file = file, .life = vfs.lives_};
    handle->delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    file->handles.push_back(handle);
    if (out_flags != nullptr) *out_flags = flags;
    return SQLITE_OK;
  }

  static int Delete(sqlite3_vfs* base, const char* path, int sync_directory) {
    PowerVfs& vfs = Of(base);
    MutexLock lock(vfs.mu_);
    const auto found = vfs.files_.find(path);
    if (found == vfs.files_.end()) return SQLITE_IOERR_DELETE_NOENT;
    if (!vfs.MayChange()) return SQLITE_IOERR_DELETE;
    if (vfs.bytes_left_) {
      *vfs.bytes_left_ += static_cast<int64_t>(found->second->seen.size());
    }
    // A new file of that name must not restore an older one.
    if (found->second->name_is_durable) vfs.deleted_[path] = found->second;
    vfs.files_.erase(found);
    if (sync_directory != 0) vfs.SyncNames();
    return SQLITE_OK;
  }

  static int Access(sqlite3_vfs* base, const char* path, int, int* out) {
    PowerVfs& vfs = Of(base);
    MutexLock lock(vfs.mu_);
    *out = vfs.files_.count(path) != 0 ? 1 : 0;
    return SQLITE_OK;
  }

  static int FullPathname(sqlite3_vfs*, const char* path, int size, char* out) {
    sqlite3_snprintf(size, out, "%s", path);
    return SQLITE_OK;
  }

  static int Randomness(sqlite3_vfs*, int size, char* out) {
    std::memset(out, 7, static_cast<size_t>(size));
    return size;
  }
  // Another thread holds the lock, and may need the time.
  static int Sleep(sqlite3_vfs*, int microseconds) {
    std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
    return microseconds;
  }
  static int CurrentTime(sqlite3_vfs*, double* out) {
    *out = 2'460'000.5;  // Days; in February 2023.
    return SQLITE_OK;
  }
  static int GetLastError(sqlite3_vfs*, int, char*) { return 0; }

  // ---- A file ---------------------------------------------------------------

  static int Close(sqlite3_file* base) {
    Handle& handle = Of(base);
    PowerVfs& vfs = *handle.vfs;
    MutexLock lock(vfs.mu_);
    std::erase(handle.file->handles, &handle);
    if (handle.delete_on_close) vfs.files_.erase(handle.file->path);
    handle.~Handle();
    return SQLITE_OK;
  }

  static int Read(sqlite3_file* base, void* out, int size, sqlite3_int64 at) {
    Handle& handle = Of(base);
    PowerVfs& vfs = *handle.vfs;
    MutexLock lock(vfs.mu_);
    if (vfs.Dead(handle)) return SQLITE_IOERR_READ;
    const std::string& seen = handle.file->seen;
    const size_t begin = std::min(static_cast<size_t>(at), seen.size());
    const size_t got = std::min(static_cast<size_t>(size), seen.size() - begin);
    std::memcpy(out, seen.data() + begin, got);
    if (got == static_cast<size_t>(size)) return SQLITE_OK;
    std::memset(static_cast<char*>(out) + got, 0, size - got);
    return SQLITE_IOERR_SHORT_READ;
  }

  static int Write(sqlite3_file* base, const void* data, int size,
                   sqlite3_int64 at) {
    Handle& handle = Of(base);
    PowerVfs& vfs = *handle.vfs;
    MutexLock lock(vfs.mu_);
    if (vfs.Dead(handle) || !vfs.MayChange()) return SQLITE_IOERR_WRITE;
    const auto end = at + size;
    const int64_t growth = std::max<int64_t>(
        end - static_cast<int64_t>(handle.file->seen.size()), 0);
    if (vfs.bytes_left_) {
      if (growth > *vfs.bytes_left_) return SQLITE_FULL;
      *vfs.bytes_left_ -= growth;
    }
    handle.file->Put(static_cast<size_t>(at), {static_cast<const char*>(data),
                                               static_cast<size_t>(size)});
    return SQLITE_OK;
  }

  static int Truncate(sqlite3_file* base, sqlite3_int64 size) {
    Handle& handle = Of(base);
    PowerVfs& vfs = *handle.vfs;
    MutexLock lock(vfs.mu_);
    if (vfs.Dead(handle) || !vfs.MayChange()) return SQLITE_IOERR_TRUNCATE;
    if (vfs.bytes_left_) {
      *vfs.bytes_left_ += static_cast<int64_t>(handle.file->seen.size()) - size;
    }
    handle.file->Truncate(static_cast<size_t>(size));
    return SQLITE_OK;
  }

  static int Sync(sqlite3_file* base, int) {
    Handle& handle = Of(base);
    PowerVfs& vfs = *handle.vfs;
    MutexLock lock(vfs.mu_);
    if (vfs.Dead(handle)) return SQLITE_IOERR_FSYNC;
    ++vfs.syncs_[handle.file->path];
    const bool fails = vfs.syncs_to_failure_ && (*vfs.syncs_to_failure_)-- == 0;
    if (fails) vfs.syncs_to_failure_.reset();
    if (!vfs.MayChange() || fails) {
      handle.file->FailSync();
      return SQLITE_IOERR_FSYNC;
    }
    handle.file->Sync();
    return SQLITE_OK;
  }

  static int FileSize(sqlite3_file* base, sqlite3_int64* out) {
    Handle& handle = Of(base);
    PowerVfs& vfs = *handle.vfs;
    MutexLock lock(vfs.mu_);
    if (vfs.Dead(handle)) return SQLITE_IOERR_FSTAT;
    *out = static_cast<sqlite3_int64>(handle.file->seen.size());
    return SQLITE_OK;
  }

  static int Lock(sqlite3_file* base, int level) {
    Handle& handle = Of(base);
    PowerVfs& vfs = *handle.vfs;
    MutexLock lock(vfs.mu_);
    if (vfs.Dead(handle)) return SQLITE_IOERR_LOCK;
    if (handle.lock >= level) return SQLITE_OK;
    const auto other = [&](int least) {
      return handle.AnyOther([&](const Handle& h) { return h.lock >= least; });
    };
    switch (level) {
      case SQLITE_LOCK_SHARED:
        if (other(SQLITE_LOCK_PENDING)) return SQLITE_BUSY;
        break;
      case SQLITE_LOCK_RESERVED:
        if (other(SQLITE_LOCK_RESERVED)) return SQLITE_BUSY;
        break;
      default:
        if (other(SQLITE_LOCK_RESERVED)) return SQLITE_BUSY;
        handle.lock = SQLITE_LOCK_PENDING;
        if (other(SQLITE_LOCK_SHARED)) return SQLITE_BUSY;
        break;
    }
    handle.lock = level;
    return SQLITE_OK;
  }

  static int Unlock(sqlite3_file* base, int level) {
    Handle& handle = Of(base);
    MutexLock lock(handle.vfs->mu_);
    handle.lock = std::min(handle.lock, level);
    return SQLITE_OK;
  }

  static int CheckReservedLock(sqlite3_file* base, int* out) {
    Handle& handle = Of(base);
    MutexLock lock(handle.vfs->mu_);
    const auto reserved = [](const Handle& h) {
      return h.lock >= SQLITE_LOCK_RESERVED;
    };
    *out = reserved(handle) || handle.AnyOther(reserved) ? 1 : 0;
    return SQLITE_OK;
  }

  static int FileControl(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int SectorSize(sqlite3_file*) { return 4096; }
  // A torn write leaves the bytes beside it alone, as SQLite assumes of any
  // disk by default.
  static int DeviceCharacteristics(sqlite3_file*) {
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
  }

  // ---- Shared memory --------------------------------------------------------

  static int ShmMap(sqlite3_file* base, int region, int size, int extend,
                    void volatile** out) {
    Handle& handle = Of(base);
    PowerVfs& vfs = *handle.vfs;
    MutexLock lock(vfs.mu_);
    *out = nullptr;
    if (vfs.Dead(handle)) return SQLITE_IOERR_SHMMAP;
    handle.has_shared_memory = true;
    auto& regions = handle.file->shared_memory;
    const auto index = static_cast<size_t>(region);
    while (extend != 0 && regions.size() <= index) {
      regions.push_back(std::make_unique<char[]>(static_cast<size_t>(size)));
    }
    if (index < regions.size()) *out = regions[index].get();
    return SQLITE_OK;
  }

  static int ShmLock(sqlite3_file* base, int first, int count, int flags) {
    Handle& handle = Of(base);
    PowerVfs& vfs = *handle.vfs;
    MutexLock lock(vfs.mu_);
    const uint32_t mask = ((1u << count) - 1) << first;
    if ((flags & SQLITE_SHM_UNLOCK) != 0) {
      handle.shared &= ~mask;
      handle.exclusive &= ~mask;
      return SQLITE_OK;
    }
    if (vfs.Dead(handle)) return SQLITE_IOERR_SHMLOCK;
    const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
    if (handle.AnyOther([&](const Handle& h) {
          return ((h.exclusive | (exclusive ? h.shared : 0)) & mask) != 0;
        })) {
      return SQLITE_BUSY;
    }
    (exclusive ? handle.exclusive : handle.shared) |= mask;
    return SQLITE_OK;
  }

  static void ShmBarrier(sqlite3_file* base) {
    MutexLock lock(Of(base).vfs->mu_);
  }

  static int ShmUnmap(sqlite3_file* base, int) {
    Handle& handle = Of(base);
    MutexLock lock(handle.vfs->mu_);
    handle.has_shared_memory = false;
    handle.shared = handle.exclusive = 0;
    if (!handle.AnyOther([](const Handle& h) { return h.has_shared_memory; })) {
      handle.file->shared_memory.clear();
    }
    return SQLITE_OK;
  }

  static const sqlite3_io_methods kFileMethods;
};

const sqlite3_io_methods PowerVfs::Methods::kFileMethods = {
    .iVersion = 2,
    .xClose = Close,
    .xRead = Read,
    .xWrite = Write,
    .xTruncate = Truncate,
    .xSync = Sync,
    .xFileSize = FileSize,
    .xLock = Lock,
    .xUnlock = Unlock,
    .xCheckReservedLock = CheckReservedLock,
    .xFileControl = FileControl,
    .xSectorSize = SectorSize,
    .xDeviceCharacteristics = DeviceCharacteristics,
    .xShmMap = ShmMap,
    .xShmLock = ShmLock,
    .xShmBarrier = ShmBarrier,
    .xShmUnmap = ShmUnmap,
    .xFetch = nullptr,
    .xUnfetch = nullptr,
};

PowerVfs::PowerVfs() : name_(NewName()), vfs_(new sqlite3_vfs{}) {
  vfs_->iVersion = 1;
  vfs_->szOsFile = sizeof(Handle);
  vfs_->mxPathname = kLongestName;
  vfs_->zName = name_.c_str();
  vfs_->pAppData = this;
  vfs_->xOpen = Methods::Open;
  vfs_->xDelete = Methods::Delete;
  vfs_->xAccess = Methods::Access;
  vfs_->xFullPathname = Methods::FullPathname;
  vfs_->xRandomness = Methods::Randomness;
  vfs_->xSleep = Methods::Sleep;
  vfs_->xCurrentTime = Methods::CurrentTime;
  vfs_->xGetLastError = Methods::GetLastError;
  if (sqlite3_vfs_register(vfs_.get(), 0) != SQLITE_OK) std::abort();
}

PowerVfs::~PowerVfs() { sqlite3_vfs_unregister(vfs_.get()); }

bool PowerVfs::Dead(const Handle& handle) const {
  return handle.life != lives_;
}

bool PowerVfs::MayChange() {
  ++operations_;
  if (!operations_to_failure_) return true;
  if (*operations_to_failure_ == 0) return false;
  --*operations_to_failure_;
  return true;
}

void PowerVfs::SyncNames() {
  deleted_.clear();
  for (const auto& [path, file] : files_) file->name_is_durable = true;
}

void PowerVfs::PowerLoss(Random& random) {
  MutexLock lock(mu_);
  ++lives_;
  operations_to_failure_.reset();
  syncs_to_failure_.reset();
  std::map<std::string, std::shared_ptr<File>> remain;
  const auto keep = [&](const std::string& path, const File& file) {
    auto kept = std::make_shared<File>();
    kept->path = path;
    kept->seen = kept->disk = file.Remains(random);
    kept->name_is_durable = true;
    remain[path] = std::move(kept);
  };
  for (const auto& [path, file] : deleted_) {
    if (OneIn(random, 2)) keep(path, *file);
  }
  for (const auto& [path, file] : files_) {
    if (file->name_is_durable || OneIn(random, 2)) keep(path, *file);
  }
  files_ = std::move(remain);
  deleted_.clear();
}

void PowerVfs::FailSync(int64_t n) {
  MutexLock lock(mu_);
  syncs_to_failure_ = n;
}

void PowerVfs::FailFrom(std::optional<int64_t> n) {
  MutexLock lock(mu_);
  operations_to_failure_ = n;
}

void PowerVfs::FillUp(std::optional<int64_t> bytes_left) {
  MutexLock lock(mu_);
  bytes_left_ = bytes_left;
}

int64_t PowerVfs::syncs(std::string_view name_end) const {
  MutexLock lock(mu_);
  int64_t syncs = 0;
  for (const auto& [path, count] : syncs_) {
    if (path.ends_with(name_end)) syncs += count;
  }
  return syncs;
}

int64_t PowerVfs::operations() const {
  MutexLock lock(mu_);
  return operations_;
}

std::optional<std::string> PowerVfs::Contents(const std::string& path) const {
  MutexLock lock(mu_);
  const auto found = files_.find(path);
  if (found == files_.end()) return std::nullopt;
  return found->second->seen;
}

void PowerVfs::PutFile(const std::string& path, std::string contents) {
  MutexLock lock(mu_);
  auto file = std::make_shared<File>();
  file->path = path;
  file->seen = file->disk = std::move(contents);
  file->name_is_durable = true;
  files_[path] = std::move(file);
  deleted_.erase(path);
}

}  // namespace leasehold
