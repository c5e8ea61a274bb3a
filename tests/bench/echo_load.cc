// bench_load: calls of Echo, so many in flight at any time, from one thread
// over one connection.
//
//   bench_load ADDRESS KIND IN_FLIGHT CALLS SECONDS
//
// KIND: unary, or stream (IN_FLIGHT streams, one message in flight in each).
// Ends after CALLS calls or SECONDS seconds, whichever comes first; 0: no such
// end. The IDs of 1,000 instances of 36 bytes take turns; a text has 64 bytes.
// Prints calls, seconds and percentiles of latency in microseconds.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "leasehold/v1/echo.grpc.pb.h"

namespace {

using Clock = std::chrono::steady_clock;
using leasehold::v1::Echo;
using leasehold::v1::EchoRequest;
using leasehold::v1::EchoResponse;

constexpr int kIds = 1000;

// Latencies, and when to end.
class Tally {
 public:
  Tally(size_t calls, double seconds)
      : calls_(calls),
        end_(seconds > 0
                 ? Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(seconds))
                 : Clock::time_point::max()) {}

  bool MayStart() {
    if (calls_ != 0 && started_ == calls_) return false;
    if (Clock::now() >= end_) return false;
    ++started_;
    return true;
  }
  void Done(Clock::time_point start) {
    latencies_.push_back(
        std::chrono::duration<double, std::micro>(Clock::now() - start)
            .count());
  }
  size_t started() const { return started_; }

  void Print() {
    const double seconds =
        std::chrono::duration<double>(Clock::now() - begin_).count();
    std::sort(latencies_.begin(), latencies_.end());
    std::printf("calls=%zu seconds=%.6f p50=%.1f p99=%.1f p999=%.1f\n",
                latencies_.size(), seconds, At(0.5), At(0.99), At(0.999));
  }

 private:
  double At(double share) const {
    if (latencies_.empty()) return 0;
    return latencies_[static_cast<size_t>(
        share * static_cast<double>(latencies_.size() - 1))];
  }

  const size_t calls_;
  const Clock::time_point begin_ = Clock::now();
  const Clock::time_point end_;
  size_t started_ = 0;
  std::vector<double> latencies_;
};

[[noreturn]] void Fail(const grpc::Status& status) {
  std::fprintf(stderr, "bench_load: %d %s\n", status.error_code(),
               status.error_message().c_str());
  std::exit(1);
}

std::string Id(size_t i) {
  return absl::StrFormat("bench000-0000-4000-8000-%012d", i % kIds);
}

// What unary calls show, if anything.
const char* const kAuthorization = std::getenv("BENCH_AUTHORIZATION");

// What waits in the queue. Deletes itself when it is over.
class Event {
 public:
  Event() { ++alive_; }
  virtual ~Event() { --alive_; }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  // Its operation is done; `ok` as the queue gave it.
  virtual void Run(bool ok) = 0;

  static bool any_alive() { return alive_ > 0; }

 private:
  inline static int alive_ = 0;
};

class UnaryCall final : public Event {
 public:
  UnaryCall(Echo::Stub& stub, grpc::CompletionQueue& queue, Tally& tally)
      : stub_(stub), queue_(queue), tally_(tally) {
    context_.AddMetadata("instance-id", Id(tally.started()));
    if (kAuthorization != nullptr) {
      context_.AddMetadata("authorization", kAuthorization);
    }
    EchoRequest request;
    request.set_text(std::string(64, 'x'));
    reader_ = stub.AsyncEcho(&context_, request, &queue);
    reader_->Finish(&response_, &status_, this);
  }
  void Run(bool) override {
    if (!status_.ok()) Fail(status_);
    tally_.Done(start_);
    if (tally_.MayStart()) new UnaryCall(stub_, queue_, tally_);
    delete this;
  }

 private:
  Echo::Stub& stub_;
  grpc::CompletionQueue& queue_;
  Tally& tally_;
  const Clock::time_point start_ = Clock::now();
  grpc::ClientContext context_;
  EchoResponse response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<EchoResponse>> reader_;
};

class StreamCall final : public Event {
 public:
  StreamCall(Echo::Stub& stub, grpc::CompletionQueue& queue, Tally& tally,
             size_t index)
      : tally_(tally) {
    context_.AddMetadata("instance-id", Id(index));
    request_.set_text(std::string(64, 'x'));
    stream_ = stub.AsyncEchoStream(&context_, &queue, this);
  }
  void Run(bool ok) override {
    switch (next_) {
      case Next::kWrite:
        if (!ok) return End();
        return Write();
      case Next::kRead:
        if (!ok) return End();
        next_ = Next::kDone;
        return stream_->Read(&response_, this);
      case Next::kDone:
        if (!ok) return End();
        tally_.Done(start_);
        if (tally_.MayStart()) return Write();
        next_ = Next::kFinish;
        return stream_->WritesDone(this);
      case Next::kFinish:
        return End();
      case Next::kEnd:
        if (!status_.ok()) Fail(status_);
        delete this;
    }
  }

 private:
  enum class Next { kWrite, kRead, kDone, kFinish, kEnd };

  void Write() {
    next_ = Next::kRead;
    start_ = Clock::now();
    stream_->Write(request_, this);
  }
  void End() {
    next_ = Next::kEnd;
    stream_->Finish(&status_, this);
  }

  Tally& tally_;
  Clock::time_point start_;
  grpc::ClientContext context_;
  EchoRequest request_;
  EchoResponse response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<EchoRequest, EchoResponse>>
      stream_;
  Next next_ = Next::kWrite;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fprintf(stderr,
                 "usage: bench_load ADDRESS unary|stream IN_FLIGHT CALLS "
                 "SECONDS\n");
    return 2;
  }
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const bool streams = std::string_view(argv[2]) == "stream";
  const size_t in_flight = std::strtoul(argv[3], nullptr, 10);
  const auto channel =
      grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials());
  if (!channel->WaitForConnected(std::chrono::system_clock::now() +
                                 std::chrono::seconds(30))) {
    std::fprintf(stderr, "bench_load: no connection to %s\n", argv[1]);
    return 1;
  }
  Echo::Stub stub(channel);
  grpc::CompletionQueue queue;
  Tally tally(std::strtoul(argv[4], nullptr, 10),
              std::strtod(argv[5], nullptr));
  for (size_t i = 0; i < in_flight && tally.MayStart(); ++i) {
    if (streams) {
      new StreamCall(stub, queue, tally, i);
    } else {
      new UnaryCall(stub, queue, tally);
    }
  }
  void* tag;
  bool ok;
  while (Event::any_alive() && queue.Next(&tag, &ok)) {
    static_cast<Event*>(tag)->Run(ok);
  }
  queue.Shutdown();
  tally.Print();
  return 0;
}
