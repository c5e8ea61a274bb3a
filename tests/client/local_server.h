// LocalServer: the real server, in this process, on a clock that a test moves.
//
// Thread-safety: one thread.   Lifetime: outlives its clients' calls.
#ifndef LEASEHOLD_TESTS_CLIENT_LOCAL_SERVER_H_
#define LEASEHOLD_TESTS_CLIENT_LOCAL_SERVER_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "service/host/line_writer.h"
#include "service/host/listen_address.h"
#include "service/host/server_host.h"
#include "service/host/server_log.h"
#include "service/host/server_options.h"
#include "tests/support/simulated_clock.h"

namespace leasehold::client {

class LocalServer {
 public:
  LocalServer() { Start(0); }
  ~LocalServer() {
    host_.reset();
    close(null_);
  }

  // HOST:PORT.
  const std::string& address() const { return address_; }
  SimulatedClock& clock() { return clock_; }

  // Ends it: streams that are open end, and what was in memory is gone.
  void Stop() { host_.reset(); }
  // Starts it again where it was.
  void Restart() {
    Stop();
    clock_.Advance(absl::Seconds(1));
    Start(ListenAddress::Parse(address_)->port);
  }

 private:
  void Start(int port) {
    ServerOptions options;
    options.listen = {{.host = "127.0.0.1", .port = port, .unix_path = ""}};
    host_ =
        std::make_unique<ServerHost>(std::move(options), clock_, log_, nullptr);
    const absl::Status status = host_->Start();
    ASSERT_TRUE(status.ok()) << status;
    address_ = host_->addresses().at(0);
  }

  SimulatedClock clock_;
  const int null_ = open("/dev/null", O_WRONLY | O_CLOEXEC);
  LineWriter writer_{null_};
  ServerLog log_{clock_, writer_, LogFormat::kText};
  std::unique_ptr<ServerHost> host_;
  std::string address_;
};

}  // namespace leasehold::client

#endif  // LEASEHOLD_TESTS_CLIENT_LOCAL_SERVER_H_
