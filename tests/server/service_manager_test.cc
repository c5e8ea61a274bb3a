#include "service/host/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/pipe.h"
#include "tests/support/simulated_clock.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::StartsWith;

constexpr absl::Duration kWatchdog = absl::Seconds(40);
constexpr absl::Duration kTick = absl::Seconds(10);

// What systemd has: a socket that receives the messages.
class Receiver {
 public:
  explicit Receiver(const std::string& name)
      : descriptor_(socket(AF_UNIX, SOCK_DGRAM, 0)) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name[0] == '@') address.sun_path[0] = '\0';
    if (bind(descriptor_, reinterpret_cast<const sockaddr*>(&address),
             static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) +
                                    name.size())) != 0) {
      std::perror("bind");
      std::abort();
    }
  }
  ~Receiver() { close(descriptor_); }
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  // The next message; waits for it.
  std::string Next() { return Receive(0).value_or("nothing"); }
  // nullopt: none has come.
  std::optional<std::string> Come() { return Receive(MSG_DONTWAIT); }

 private:
  std::optional<std::string> Receive(int flags) {
    std::string message(4096, '\0');
    const ssize_t bytes =
        recv(descriptor_, message.data(), message.size(), flags);
    if (bytes < 0) return std::nullopt;
    message.resize(static_cast<size_t>(bytes));
    return message;
  }

  const int descriptor_;
};

class ServiceManagerTest : public testing::Test {
 protected:
  // With both of its first messages received.
  void Start() {
    manager_.emplace(
        ServiceManagerOptions{.socket = path_, .watchdog = kWatchdog}, clock_,
        log_);
    EXPECT_THAT(receiver_.Next(), StartsWith("STATUS=Starting"));
    EXPECT_EQ(receiver_.Next(), "EXTEND_TIMEOUT_USEC=60000000");
  }
  // And those of a server whose threads `asked_` notes; they answer when a test
  // has them answer.
  void Serve() {
    Start();
    manager_->Ready("Serving on 127.0.0.1:4001",
                    {Threads("queue", 2), Threads("writer", 1)});
    EXPECT_EQ(receiver_.Next(), "READY=1\nSTATUS=Serving on 127.0.0.1:4001");
    EXPECT_EQ(receiver_.Next(), "WATCHDOG=1");
    AwaitTick();
  }
  ServiceManager::Threads Threads(const std::string& name, size_t count) {
    return {name, [this, name, count](std::function<void()> done) {
              asked_.emplace_back(name, std::move(done));
              return count;
            }};
  }
  // Until the thread waits for its next tick; it has done what it had to.
  void AwaitTick() { clock_.AwaitWaiter(clock_.Now() + kTick); }
  void PassTick() {
    clock_.Advance(kTick);
    AwaitTick();
  }
  // Those that were asked answer, `times` each.
  void Answer(const std::map<std::string, int>& times) {
    for (const auto& [name, done] : asked_) {
      for (int i = 0; i < times.at(name); ++i) done();
    }
    asked_.clear();
  }
  std::vector<std::string> LogLines() {
    manager_.reset();
    writer_.reset();
    pipe_.CloseWriter();
    return pipe_.ReadAll();
  }

  TemporaryDirectory directory_;
  const std::string path_ = absl::StrCat(directory_.path(), "/notify");
  Receiver receiver_{path_};
  SimulatedClock clock_;
  Pipe pipe_;
  std::unique_ptr<LineWriter> writer_ =
      std::make_unique<LineWriter>(pipe_.writer());
  ServerLog log_{clock_, *writer_, LogFormat::kText};
  // Written by the manager's thread, and read while that waits.
  std::vector<std::pair<std::string, std::function<void()>>> asked_;
  std::optional<ServiceManager> manager_;
};

TEST_F(ServiceManagerTest, AskForMoreTimeWhileTheStartGoesOn) {
  Start();
  AwaitTick();
  clock_.Advance(ServiceManager::kStartTick);
  EXPECT_EQ(receiver_.Next(), "EXTEND_TIMEOUT_USEC=60000000");
}

TEST_F(ServiceManagerTest, AStartHasNoMoreThanAnHour) {
  Start();
  for (absl::Duration waited = ServiceManager::kStartTick;
       waited < ServiceManager::kStartMax;
       waited += ServiceManager::kStartTick) {
    PassTick();
    ASSERT_EQ(receiver_.Next(), "EXTEND_TIMEOUT_USEC=60000000");
  }
  clock_.Advance(ServiceManager::kStartTick);
  manager_->Ready("now", {});
  EXPECT_EQ(receiver_.Next(), "READY=1\nSTATUS=now");
}

TEST_F(ServiceManagerTest, IsAliveWhenAllThreadsHaveAnswered) {
  Serve();
  Answer({{"queue", 2}, {"writer", 1}});
  PassTick();
  EXPECT_EQ(receiver_.Next(), "WATCHDOG=1");
  EXPECT_EQ(asked_.size(), 2u);  // Again.
  EXPECT_THAT(LogLines(), IsEmpty());
}

TEST_F(ServiceManagerTest, OneQueueThatHangsEndsTheSignsOfLife) {
  Serve();
  Answer({{"queue", 1}, {"writer", 1}});
  PassTick();
  PassTick();
  PassTick();
  EXPECT_EQ(receiver_.Come(), std::nullopt);
  EXPECT_THAT(asked_, IsEmpty());  // Not again, before it has answered.
  const std::vector<std::string> lines = LogLines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0],
              AllOf(HasSubstr("WARNING watchdog_waits"),
                    HasSubstr("threads=queue"), HasSubstr("since=20s")));
}

TEST_F(ServiceManagerTest, AWriterThatGoesOnIsAliveAgain) {
  Serve();
  auto asked = asked_;
  Answer({{"queue", 2}, {"writer", 0}});
  PassTick();
  EXPECT_EQ(receiver_.Come(), std::nullopt);
  asked[1].second();
  PassTick();
  EXPECT_EQ(receiver_.Come(), "WATCHDOG=1");
}

TEST_F(ServiceManagerTest, NobodyIsAskedOnceTheEndBegins) {
  Serve();
  manager_->Stopping();
  EXPECT_THAT(receiver_.Next(), StartsWith("STOPPING=1\n"));
  // The drain may take longer than the watchdog waits.
  EXPECT_EQ(receiver_.Next(), "WATCHDOG=1");
  asked_.clear();
  AwaitTick();
  PassTick();
  EXPECT_EQ(receiver_.Next(), "WATCHDOG=1");
  EXPECT_THAT(asked_, IsEmpty());
}

TEST_F(ServiceManagerTest, ReloadingHasATimeAndAnEnd) {
  Serve();
  manager_->ReloadBegins();
  EXPECT_THAT(receiver_.Next(),
              MatchesRegex("RELOADING=1\nMONOTONIC_USEC=[0-9]+"));
  manager_->ReloadEnds();
  EXPECT_EQ(receiver_.Next(), "READY=1\nSTATUS=Serving on 127.0.0.1:4001");
}

TEST_F(ServiceManagerTest, SpeaksToAnAbstractSocket) {
  const std::string name = absl::StrCat("@leasehold-test-", getpid());
  Receiver abstract(name);
  manager_.emplace(ServiceManagerOptions{.socket = name}, clock_, log_);
  EXPECT_THAT(abstract.Next(), StartsWith("STATUS=Starting"));
}

TEST_F(ServiceManagerTest, WithoutASocketThereIsNobodyToTell) {
  manager_.emplace(ServiceManagerOptions{}, clock_, log_);
  manager_->Ready("Serving", {Threads("queue", 1)});
  manager_->ReloadBegins();
  manager_->ReloadEnds();
  manager_->Stopping();
  manager_.reset();
  EXPECT_EQ(receiver_.Come(), std::nullopt);
  EXPECT_THAT(asked_, IsEmpty());
}

// From these variables, in process 7.
ServiceManagerOptions FromVariables(
    const std::map<std::string, std::string>& variables) {
  return ServiceManagerOptions::FromEnvironment(
      [&variables](const char* name) -> const char* {
        const auto it = variables.find(name);
        return it == variables.end() ? nullptr : it->second.c_str();
      },
      /*pid=*/7);
}

TEST(ServiceManagerOptions, ComeFromTheEnvironment) {
  const ServiceManagerOptions options =
      FromVariables({{"NOTIFY_SOCKET", "/run/notify"},
                     {"WATCHDOG_USEC", "30000000"},
                     {"WATCHDOG_PID", "7"}});
  EXPECT_EQ(options.socket, "/run/notify");
  EXPECT_EQ(options.watchdog, absl::Seconds(30));
  EXPECT_EQ(FromVariables({}).socket, "");
  EXPECT_EQ(FromVariables({{"WATCHDOG_USEC", "1000000"}}).watchdog,
            absl::Seconds(1));
}

TEST(ServiceManagerOptions, TheWatchdogOfAnotherProcessIsNotMeant) {
  for (const char* pid : {"8", "self"}) {
    EXPECT_EQ(
        FromVariables({{"WATCHDOG_USEC", "1000000"}, {"WATCHDOG_PID", pid}})
            .watchdog,
        absl::ZeroDuration());
  }
  EXPECT_EQ(FromVariables({{"WATCHDOG_USEC", "soon"}}).watchdog,
            absl::ZeroDuration());
}

}  // namespace
}  // namespace leasehold
