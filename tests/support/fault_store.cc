#include "tests/support/fault_store.h"

#include <utility>

namespace leasehold {
namespace {

absl::Status Closed() { return absl::UnavailableError("the store is closed"); }

}  // namespace

void FaultStore::Calls::FailAt(int64_t n, absl::Status with) {
  fails_at = count + n;
  status = std::move(with);
}

absl::Status FaultStore::Calls::Next() {
  if (fails_at != count++) return absl::OkStatus();
  fails_at.reset();
  return status;
}

void FaultStore::FailCommit(int64_t n, Effect effect) {
  MutexLock lock(mu_);
  commits_.FailAt(n, absl::UnavailableError("the test fails this commit"));
  effect_ = effect;
}

void FaultStore::FailOpen(int64_t n, absl::Status status) {
  MutexLock lock(mu_);
  opens_.FailAt(n, std::move(status));
}

void FaultStore::FailRead(int64_t n, absl::Status status) {
  MutexLock lock(mu_);
  reads_.FailAt(n, std::move(status));
}

int64_t FaultStore::commits() const {
  MutexLock lock(mu_);
  return commits_.count;
}

int64_t FaultStore::opens() const {
  MutexLock lock(mu_);
  return opens_.count;
}

int64_t FaultStore::reads() const {
  MutexLock lock(mu_);
  return reads_.count;
}

absl::Status FaultStore::Open() {
  {
    MutexLock lock(mu_);
    absl::Status status = opens_.Next();
    if (!status.ok()) {
      closed_ = true;
      return status;
    }
  }
  absl::Status status = store_.Open();
  MutexLock lock(mu_);
  closed_ = !status.ok();
  return status;
}

absl::StatusOr<OpenedPartition> FaultStore::OpenPartition(
    PartitionId partition, int64_t generation_min) {
  {
    MutexLock lock(mu_);
    if (closed_) return Closed();
  }
  const auto opened = store_.OpenPartition(partition, generation_min);
  if (!opened.ok()) return opened.status();
  MutexLock lock(mu_);
  fence_ = opened->fence;
  return opened;
}

Fence FaultStore::fence() const {
  MutexLock lock(mu_);
  return fence_;
}

CommitResult FaultStore::Commit(absl::Span<const Fence> fences,
                                absl::Span<const Change> changes) {
  absl::Status failure;
  Effect effect;
  std::function<void()> before;
  {
    MutexLock lock(mu_);
    if (commits_.count == runs_before_commit_) {
      before = std::exchange(before_commit_, {});
    }
    if (closed_) return CommitResult::Refused(Closed());
    failure = commits_.Next();
    effect = effect_;
    if (!failure.ok()) closed_ = effect != Effect::kFenced;
  }
  if (before) before();
  if (failure.ok()) return store_.Commit(fences, changes);
  switch (effect) {
    case Effect::kWhole: {
      const CommitResult result = store_.Commit(fences, changes);
      if (result.known_not_committed()) return result;
      break;
    }
    case Effect::kNone:
      break;
    case Effect::kRefused:
      return CommitResult::Refused(failure);
    case Effect::kFenced:
      return CommitResult::Fenced(
          absl::AbortedError("the test has opened the partition elsewhere"));
  }
  return CommitResult::Unknown(failure);
}

void FaultStore::BeforeCommit(int64_t n, std::function<void()> what) {
  MutexLock lock(mu_);
  runs_before_commit_ = commits_.count + n;
  before_commit_ = std::move(what);
}

void FaultStore::BeforeRead(int64_t n, std::function<void()> what) {
  MutexLock lock(mu_);
  runs_before_ = reads_.count + n;
  before_read_ = std::move(what);
}

absl::Status FaultStore::NextRead() {
  std::function<void()> before;
  absl::Status status;
  {
    MutexLock lock(mu_);
    if (reads_.count == runs_before_) before = std::exchange(before_read_, {});
    status = reads_.Next();
  }
  if (before) before();
  return status;
}

absl::Status FaultStore::ReadOpen(
    PartitionId partition, absl::FunctionRef<void(OpenRun instance)> each) {
  absl::Status status = NextRead();
  return status.ok() ? store_.ReadOpen(partition, each) : status;
}

absl::StatusOr<RunNumber> FaultStore::ReadLastNumber(PartitionId partition) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadLastNumber(partition);
}

absl::StatusOr<std::vector<OutboxRow>> FaultStore::ReadOutbox(
    PartitionId source) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadOutbox(source);
}

absl::StatusOr<std::optional<RunRow>> FaultStore::Find(std::string_view tenant,
                                                       std::string_view id) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.Find(tenant, id);
}

absl::StatusOr<std::vector<RunRow>> FaultStore::ReadReplaced(
    std::string_view tenant, std::string_view id) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadReplaced(tenant, id);
}

absl::StatusOr<std::vector<std::string>> FaultStore::ReadHistory(
    RunNumber number) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadHistory(number);
}

absl::StatusOr<HistoryPart> FaultStore::ReadHistoryPart(RunNumber number,
                                                        int64_t first,
                                                        size_t bytes_max) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadHistoryPart(number, first, bytes_max);
}

absl::StatusOr<HistoryEnds> FaultStore::ReadHistoryEnds(RunNumber number) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadHistoryEnds(number);
}

absl::StatusOr<std::vector<MessageRow>> FaultStore::ReadMessages(
    RunNumber number, const MessageRange& range) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadMessages(number, range);
}

absl::StatusOr<std::optional<TaskRow>> FaultStore::ReadTask(RunNumber number,
                                                            int64_t sequence) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadTask(number, sequence);
}

absl::StatusOr<RowPage> FaultStore::Query(const RowQuery& query) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.Query(query);
}

absl::StatusOr<RowCounts> FaultStore::Count(const RowQuery& query) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.Count(query);
}

absl::StatusOr<FinishedPage> FaultStore::ListFinished(
    const FinishedQuery& query) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ListFinished(query);
}

absl::StatusOr<std::optional<RequestRow>> FaultStore::FindRequest(
    std::string_view tenant, std::string_view request) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.FindRequest(tenant, request);
}

absl::Status FaultStore::ReadAwake(
    PartitionId partition, absl::FunctionRef<void(AwakeEntity entity)> each) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadAwake(partition, each);
}

absl::StatusOr<std::optional<EntityRow>> FaultStore::FindEntity(
    std::string_view tenant, std::string_view id) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.FindEntity(tenant, id);
}

absl::StatusOr<EntityPage> FaultStore::QueryEntities(const EntityQuery& query) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.QueryEntities(query);
}

absl::Status FaultStore::ReadCalls(
    PartitionId partition, absl::FunctionRef<void(CallMark call)> each) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadCalls(partition, each);
}

absl::StatusOr<std::optional<CallRow>> FaultStore::FindCall(
    std::string_view tenant, std::string_view request) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.FindCall(tenant, request);
}

absl::StatusOr<std::optional<std::string>> FaultStore::ReadSetting(
    std::string_view name) {
  absl::Status status = NextRead();
  if (!status.ok()) return status;
  return store_.ReadSetting(name);
}

}  // namespace leasehold
