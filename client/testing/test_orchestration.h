// TestOrchestration: an orchestration of a test environment.
//
// What a test expects of it and does not happen is a TestError, which says what
// it did instead, what it waits for, and its history.
//
// Thread-safety: one thread: the test's.   Lifetime: a value; its environment
// outlives it.
#ifndef LEASEHOLD_CLIENT_TESTING_TEST_ORCHESTRATION_H_
#define LEASEHOLD_CLIENT_TESTING_TEST_ORCHESTRATION_H_

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "client/worker/failure.h"
#include "client/worker/payload.h"

namespace leasehold::testkit {

class TestWorld;

class TestOrchestration {
 public:
  // By its environment.
  TestOrchestration(TestWorld& world, std::string id)
      : world_(&world), id_(std::move(id)) {}

  const std::string& id() const { return id_; }

  // ---- Its end: these run the environment until there is one ----------------

  // Its output, of whatever type if T is left out. TestError: it does not
  // complete, or its output is not a T.
  template <typename T = void>
  T Output() const {
    const worker::Payload output = AwaitOutput();
    if constexpr (!std::is_void_v<T>) {
      try {
        return worker::FromPayload<T>(output);
      } catch (const worker::PayloadError& error) {
        FailOutput(error.what());
      }
    }
  }
  // Its failure. TestError: it does not fail.
  worker::TaskFailure Failure() const;
  // Runs until it has ended in whatever way. TestError: it does not end.
  void AwaitEnd() const;

  // ---- Its state, as it is now ----------------------------------------------

  // `PENDING`, `RUNNING`, `SUSPENDED`, `COMPLETED`, `FAILED` or `TERMINATED`.
  std::string Status() const;
  // TestError: it is not a T.
  template <typename T>
  T CustomStatus() const {
    const worker::Payload status = CustomStatusPayload();
    try {
      return worker::FromPayload<T>(status);
    } catch (const worker::PayloadError& error) {
      FailCustomStatus(error.what());
    }
  }
  // What it waits for, as in `activity "Pay" (task 2)` or `event "approved"`;
  // empty: it has ended.
  std::string WaitsFor() const;
  // Its history, a line for each event.
  std::vector<std::string> History() const;

  // ---- What callers can do to it --------------------------------------------

  // Each takes effect when the environment next runs. TestError: the server
  // refuses it.
  void RaiseEvent(std::string_view name) const { Raise(name, {}); }
  template <typename T>
  void RaiseEvent(std::string_view name, const T& data) const {
    Raise(name, worker::ToPayload(data));
  }
  void Suspend(std::string_view reason = "") const;
  void Resume(std::string_view reason = "") const;
  void Terminate() const { TerminateWith({}); }
  template <typename T>
  void Terminate(const T& output) const {
    TerminateWith(worker::ToPayload(output));
  }
  void Rewind(std::string_view reason = "") const;

 private:
  worker::Payload AwaitOutput() const;
  worker::Payload CustomStatusPayload() const;
  void Raise(std::string_view name, worker::Payload data) const;
  void TerminateWith(worker::Payload output) const;
  [[noreturn]] void FailOutput(std::string_view why) const;
  [[noreturn]] void FailCustomStatus(std::string_view why) const;

  TestWorld* world_;
  std::string id_;
};

}  // namespace leasehold::testkit

#endif  // LEASEHOLD_CLIENT_TESTING_TEST_ORCHESTRATION_H_
