// DelayProbe: measures how long what arrives now waits for the server.
//
// gRPC 1.51 does not tell when a call has arrived, and its queues do not show
// that calls wait: a thread hands out all calls that it has read, one after the
// other, before it reads from connections again. So bytes wait in the kernel,
// and an alarm in a completion queue, which overtakes them, would see no delay.
//
// The probe has a connection of its own, by which it asks for a sign of life
// (an empty HTTP/2 SETTINGS frame, which must be acknowledged). Nobody but the
// threads that read all connections can answer it, in its turn: so the answer
// takes as long as a call takes to be read. While nobody calls there is no
// connection.
//
// Thread-safety: one thread starts and stops it.   Lifetime: the clock outlives
// it.
#ifndef LEASEHOLD_SERVICE_RPC_DELAY_PROBE_H_
#define LEASEHOLD_SERVICE_RPC_DELAY_PROBE_H_

#include <grpcpp/server_builder.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/time/time.h"
#include "lease/clock.h"

namespace leasehold {

class DelayProbe {
 public:
  // How often it asks, if it was answered meanwhile.
  static constexpr absl::Duration kTick = absl::Milliseconds(50);
  // How often it looks whether anybody calls.
  static constexpr absl::Duration kIdleTick = absl::Milliseconds(250);
  // For how long it goes on after the last call.
  static constexpr absl::Duration kQuiet = absl::Seconds(1);

  // `arrived`: how many calls ever arrived. `report` receives the delays: one a
  // tick, of the last answer, or of a question that has waited for longer; it
  // says whether it wants more of them although nobody calls. Both are called
  // on the probe's thread.
  DelayProbe(grpc::ServerBuilder& builder, const Clock& clock,
             std::function<size_t()> arrived,
             std::function<bool(absl::Duration)> report);
  ~DelayProbe() { Stop(); }
  DelayProbe(const DelayProbe&) = delete;
  DelayProbe& operator=(const DelayProbe&) = delete;

  // After grpc::ServerBuilder::BuildAndStart.
  void Start();
  // Idempotent.
  void Stop();

 private:
  // A descriptor, or none.
  class Descriptor {
   public:
    Descriptor() = default;
    ~Descriptor() { Set(-1); }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    void Set(int descriptor);
    int get() const { return descriptor_; }
    bool open() const { return descriptor_ >= 0; }

   private:
    int descriptor_ = -1;
  };

  void Run();
  // Whether there is a reason to ask.
  bool Wanted(Instant now);
  void Connect();
  void Disconnect();
  void Ask();
  void Tick(Instant now);
  // Waits until something comes to read, or for `time`.
  void Wait(absl::Duration time);
  void Read();
  // The first frame that was read, if it is complete.
  bool TakeFrame();
  void Send(std::string_view bytes);

  // Constant after construction.
  const Clock& clock_;
  const std::function<size_t()> arrived_;
  const std::function<bool(absl::Duration)> report_;
  const std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor>
      acceptor_;

  Descriptor woken_;  // By Stop; an eventfd.
  std::thread thread_;
  std::atomic<bool> stopping_ = false;

  // The thread's.
  Descriptor connection_;
  std::string read_;                // That is not a whole frame yet.
  std::optional<Instant> asked_;    // A question is not answered.
  absl::Duration delay_;            // Of the last answer.
  std::optional<Instant> goes_on_;  // Not connected again before.
  size_t arrived_before_ = 0;
  Instant called_;       // When somebody had last called.
  bool wanted_ = false;  // More reports are.
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_RPC_DELAY_PROBE_H_
