#include "service/host/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace leasehold {
namespace {

// Threads are asked so many times in the time that systemd waits; so it hears
// of the server at least every half of that.
constexpr int kQuestionsPerSpan = 4;

}  // namespace

ServiceManagerOptions ServiceManagerOptions::FromEnvironment(
    const std::function<const char*(const char*)>& variable, int pid) {
  const auto text = [&variable](const char* name) {
    const char* value = variable(name);
    return std::string(value == nullptr ? "" : value);
  };
  ServiceManagerOptions options{.socket = text("NOTIFY_SOCKET")};
  int64_t us = 0;
  int64_t watched = pid;
  const std::string of_pid = text("WATCHDOG_PID");
  // Without a PID all of the service are meant.
  if (!of_pid.empty() && !absl::SimpleAtoi(of_pid, &watched)) return options;
  if (watched == pid && absl::SimpleAtoi(text("WATCHDOG_USEC"), &us) &&
      us > 0) {
    options.watchdog = absl::Microseconds(us);
  }
  return options;
}

ServiceManager::ServiceManager(ServiceManagerOptions options, Clock& clock,
                               ServerLog& log)
    : options_(std::move(options)), clock_(clock), log_(log) {
  if (options_.socket.empty()) return;
  descriptor_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  Send("STATUS=Starting: reading what is stored");
  thread_ = std::thread([this] { Run(); });
}

ServiceManager::~ServiceManager() {
  if (thread_.joinable()) {
    {
      MutexLock lock(mu_);
      phase_ = Phase::kOver;
      changed_.NotifyAll();
    }
    thread_.join();
  }
  if (descriptor_ >= 0) close(descriptor_);
}

void ServiceManager::Ready(const std::string& status,
                           std::vector<Threads> threads) {
  if (!thread_.joinable()) return;
  threads_ = std::move(threads);
  status_ = absl::StrReplaceAll(status, {{"\n", " "}});
  Send(absl::StrCat("READY=1\nSTATUS=", status_));
  MutexLock lock(mu_);
  phase_ = Phase::kServing;
  changed_.NotifyAll();
}

void ServiceManager::ReloadBegins() {
  Send(absl::StrCat("RELOADING=1\nMONOTONIC_USEC=", clock_.Now().ns / 1000));
}

void ServiceManager::ReloadEnds() {
  Send(absl::StrCat("READY=1\nSTATUS=", status_));
}

void ServiceManager::Stopping() {
  if (!thread_.joinable()) return;
  Send("STOPPING=1\nSTATUS=Draining: calls in flight end");
  MutexLock lock(mu_);
  phase_ = Phase::kStopping;
  changed_.NotifyAll();
  while (asking_) changed_.Wait(mu_);
}

void ServiceManager::Send(const std::string& message) {
  if (descriptor_ < 0) return;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string& path = options_.socket;
  if (path.size() >= sizeof(address.sun_path)) return;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (path.front() == '@') address.sun_path[0] = '\0';
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  // If systemd does not take it, nothing can be done that helps.
  (void)sendto(descriptor_, message.data(), message.size(), MSG_NOSIGNAL,
               reinterpret_cast<const sockaddr*>(&address), length);
}

void ServiceManager::Run() {
  RunStart();
  if (options_.watchdog > absl::ZeroDuration()) RunWatchdog();
}

bool ServiceManager::WaitUntil(Instant end, Phase phase) {
  while (phase_ == phase && clock_.Now() < end) {
    clock_.WaitUntil(changed_, mu_, end);
  }
  return phase_ == phase;
}

void ServiceManager::RunStart() {
  const std::string more = absl::StrCat("EXTEND_TIMEOUT_USEC=",
                                        absl::ToInt64Microseconds(kStartMore));
  for (absl::Duration waited; waited < kStartMax; waited += kStartTick) {
    Send(more);
    MutexLock lock(mu_);
    if (!WaitUntil(clock_.Now() + kStartTick, Phase::kStarting)) return;
  }
  MutexLock lock(mu_);
  WaitUntil(Instant::Infinite(), Phase::kStarting);
}

void ServiceManager::RunWatchdog() {
  const absl::Duration tick = options_.watchdog / kQuestionsPerSpan;
  absl::Duration waited;
  for (;;) {
    Phase phase;
    {
      MutexLock lock(mu_);
      phase = phase_;
      if (phase == Phase::kOver) return;
      asking_ = phase == Phase::kServing;
    }
    if (phase != Phase::kServing || Answered(waited)) {
      Send("WATCHDOG=1");
      waited = absl::ZeroDuration();
      if (phase == Phase::kServing) Ask();
    }
    MutexLock lock(mu_);
    asking_ = false;
    changed_.NotifyAll();
    WaitUntil(clock_.Now() + tick, phase);
    waited += tick;
  }
}

void ServiceManager::Ask() {
  questions_.clear();
  for (const Threads& threads : threads_) {
    auto open = std::make_shared<std::atomic<size_t>>(0);
    // They may answer before it is known how many they are: the count then
    // goes below zero, and comes back.
    const size_t asked = threads.ask([open] { open->fetch_sub(1); });
    open->fetch_add(asked);
    questions_.push_back({threads.name, std::move(open)});
  }
}

bool ServiceManager::Answered(absl::Duration waited) {
  for (const Question& question : questions_) {
    if (question.open->load() == 0) continue;
    // Once for each time that it hangs.
    if (waited >= options_.watchdog / 2 && !std::exchange(warned_, true)) {
      log_.Warning("watchdog_waits", {{"threads", question.name},
                                      {"since", absl::FormatDuration(waited)}});
    }
    return false;
  }
  warned_ = false;
  return true;
}

}  // namespace leasehold
