#include "client/testing/test_environment.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/testing/replay.h"
#include "client/testing/test_world.h"

namespace leasehold::testkit {

TestEnvironment::TestEnvironment(TestOptions options)
    : world_(std::make_unique<TestWorld>(std::move(options))) {}

TestEnvironment::~TestEnvironment() = default;

TestCode& TestEnvironment::code() { return world_->code(); }

ActivityScript& TestEnvironment::Activity(const std::string& name) {
  return code().Script(name);
}

TestOrchestration TestEnvironment::StartWith(std::string_view name,
                                             worker::Payload input,
                                             const TestStart& start) {
  return {*world_, world_->Start(std::string(name), std::move(input), start)};
}

TestOrchestration TestEnvironment::Find(std::string_view id) {
  return {*world_, world_->Get(std::string(id)).id};
}

void TestEnvironment::Settle() { world_->Settle(); }

void TestEnvironment::Advance(absl::Duration duration) {
  world_->Advance(duration);
}

void TestEnvironment::RunUntilIdle() { world_->RunUntilIdle(); }

absl::Time TestEnvironment::Now() const { return world_->Now(); }

absl::Duration TestEnvironment::Elapsed() const {
  return Now() - world_->options().start;
}

void TestEnvironment::KillWorkers() { world_->workers().KillAll(); }

void TestEnvironment::RestartServer() { world_->RestartServer(); }

void TestEnvironment::DisturbNextTurn(WorkerFault fault) {
  world_->workers().DisturbNextTurn(fault);
}

absl::Status TestEnvironment::ReplayFile(const std::string& path) const {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  if (!(content << file.rdbuf())) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  const absl::Status status = Replay(content.str());
  return {status.code(),
          absl::StrCat(path, ": ", std::string(status.message()))};
}

absl::Status TestEnvironment::Replay(std::string_view exported) const {
  const absl::StatusOr<ExportedHistory> history = ReadExport(exported);
  if (!history.ok()) return history.status();
  return ReplayHistory(world_->code(), *history);
}

std::vector<uint64_t> Seeds(int count) {
  uint64_t only = 0;
  const char* const wanted = std::getenv("LEASEHOLD_SEED");
  if (wanted != nullptr) {
    if (!absl::SimpleAtoi(wanted, &only)) {
      throw TestError(absl::StrCat("LEASEHOLD_SEED is \"", wanted,
                                   "\", which is not a number"));
    }
    return {only};
  }
  std::vector<uint64_t> seeds;
  for (int i = 1; i <= count; ++i) seeds.push_back(i);
  return seeds;
}

}  // namespace leasehold::testkit
