// ServiceManager: tells systemd, or what started the server in its way, how the
// server does.
//
// The messages are those of sd_notify(3): datagrams to the socket that
// NOTIFY_SOCKET names. The server starts (READY=1 once it serves), reads its
// files again, drains, ends.
//
// If systemd watches the service (WATCHDOG_USEC), it is told that the server is
// alive only when the server has shown it: each of the threads that do its work
// is asked to run an empty task, and WATCHDOG=1 is sent when all of them have
// done so. A thread that hangs, in a call or at the disk, ends the messages,
// and systemd restarts the server.
//
// Without NOTIFY_SOCKET nothing of all this happens.
//
// Thread-safety: one thread.   Lifetime: clock and log outlive it; tasks may be
// run after its end.
#ifndef LEASEHOLD_SERVICE_HOST_SERVICE_MANAGER_H_
#define LEASEHOLD_SERVICE_HOST_SERVICE_MANAGER_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "lease/base/mutex.h"
#include "lease/clock.h"
#include "service/host/server_log.h"

namespace leasehold {

// Where messages go, and how often they are expected.
struct ServiceManagerOptions {
  // A path, or an abstract name after `@`. Empty: nowhere.
  std::string socket = {};
  // After so long without a sign of life the server is ended. Zero: never.
  absl::Duration watchdog = absl::ZeroDuration();

  // As systemd sets them in the environment of process `pid`.
  static ServiceManagerOptions FromEnvironment(
      const std::function<const char*(const char*)>& variable, int pid);
};

class ServiceManager {
 public:
  // Threads that can be asked whether they go on.
  struct Threads {
    std::string name;
    // Has each of them call its argument once, soon. Returns how many will.
    std::function<size_t(std::function<void()>)> ask;
  };

  // A start may take as long as it has to, up to kStartMax: every kStartTick
  // systemd is asked for kStartMore.
  static constexpr absl::Duration kStartTick = absl::Seconds(10);
  static constexpr absl::Duration kStartMore = absl::Seconds(60);
  static constexpr absl::Duration kStartMax = absl::Hours(1);

  // The start begins.
  ServiceManager(ServiceManagerOptions options, Clock& clock, ServerLog& log);
  // The last message was sent.
  ~ServiceManager();
  ServiceManager(const ServiceManager&) = delete;
  ServiceManager& operator=(const ServiceManager&) = delete;

  // The server serves; `status` says where. From now on `threads` are asked.
  void Ready(const std::string& status, std::vector<Threads> threads);
  // Files are read again, from one call to the other.
  void ReloadBegins();
  void ReloadEnds();
  // The end begins. Once this returns, no thread is asked any more; systemd
  // goes on to be told that the server is alive, as it has a limit of its own
  // for the end.
  void Stopping();

 private:
  enum class Phase { kStarting, kServing, kStopping, kOver };

  // What has been asked, and how many have not answered.
  struct Question {
    std::string name;
    std::shared_ptr<std::atomic<size_t>> open;
  };

  void Send(const std::string& message);
  void Run();
  // Until then, or until the phase is another. False: it is.
  bool WaitUntil(Instant end, Phase phase) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void RunStart();
  void RunWatchdog();
  void Ask();
  // Whether the threads have answered all that was asked.
  bool Answered(absl::Duration waited);

  // Constant after construction.
  const ServiceManagerOptions options_;
  Clock& clock_;
  ServerLog& log_;
  int descriptor_ = -1;

  std::vector<Threads> threads_;  // From Ready on.
  std::string status_;            // The same.

  Mutex mu_;
  CondVar changed_;
  Phase phase_ ABSL_GUARDED_BY(mu_) = Phase::kStarting;
  bool asking_ ABSL_GUARDED_BY(mu_) = false;

  std::vector<Question> questions_;  // Belongs to the thread.
  bool warned_ = false;              // The same.
  std::thread thread_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_SERVICE_MANAGER_H_
