// overload_load: calls of any unary method, as many as a server can take or
// more, from one thread over several connections.
//
//   overload_load address=HOST:PORT method=/leasehold.v1.Echo/Echo
//   NAME=VALUE...
//
//   request=HEX      the request's bytes; pad=N: and a field 1 of so many bytes
//   ids=N            the header instance-id takes turns among so many values
//   authorization=T  that header
//   connections=N    default 1
//   in_flight=N      at a time, default 1; further ones are not sent
//   rate=N           a second, whatever comes back; 0: as soon as one ends
//   obey=1           after a refusal, waits as grpc-retry-pushback-ms says
//   stream=1         of a server stream: one answer, then it is cancelled
//   unread=1         of a server stream: no answer is read, until the end
//   deadline_ms=N    of each call, default 1000
//   warm=S seconds=S what begins in these seconds after the first S counts
//
// Prints a line of JSON: how many calls were to be sent, came back OK in time
// (`useful`), were refused, came too late, or failed otherwise; and percentiles
// of the latency of those that came back OK, in microseconds.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "lease/base/hex.h"

namespace {

using Clock = std::chrono::steady_clock;
using Bytes = grpc::ByteBuffer;

class Settings {
 public:
  Settings(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
      const std::pair<std::string, std::string> setting =
          absl::StrSplit(argv[i], absl::MaxSplits('=', 1));
      values_[setting.first] = setting.second;
    }
  }
  std::string Text(const std::string& name) const {
    const auto it = values_.find(name);
    return it == values_.end() ? "" : it->second;
  }
  double Number(const std::string& name, double otherwise) const {
    const auto it = values_.find(name);
    if (it == values_.end()) return otherwise;
    double value = 0;
    if (!absl::SimpleAtod(it->second, &value)) {
      std::fprintf(stderr, "overload_load: %s is no number\n", name.c_str());
      std::exit(2);
    }
    return value;
  }

 private:
  std::map<std::string, std::string> values_;
};

Clock::duration Seconds(double seconds) {
  return std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double>(seconds));
}

class Load;

// A call under way; deletes itself when it is over.
class Call {
 public:
  Call(Load& load, Clock::time_point planned)
      : load_(load), planned_(planned) {}

  void Start();
  void Proceed(bool ok);

 private:
  enum class Next { kBegin, kRead, kCancel, kEnd };

  void StartStream(grpc::GenericStub& stub);

  Load& load_;
  const Clock::time_point planned_;
  grpc::ClientContext context_;
  grpc::Status status_;
  Bytes response_;
  Next next_ = Next::kEnd;
  bool answered_ = false;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> unary_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

class Load {
 public:
  explicit Load(const Settings& settings)
      : settings_(settings),
        method(settings.Text("method")),
        authorization(settings.Text("authorization")),
        streams(settings.Number("stream", 0) != 0),
        unread(settings.Number("unread", 0) != 0),
        deadline_s(settings.Number("deadline_ms", 1000) / 1000),
        ids(static_cast<int>(settings.Number("ids", 0))),
        in_flight_max_(static_cast<int>(settings.Number("in_flight", 1))),
        obeys_(settings.Number("obey", 0) != 0),
        period_(settings.Number("rate", 0) > 0
                    ? Seconds(1 / settings.Number("rate", 0))
                    : Clock::duration::zero()) {
    std::string bytes =
        leasehold::BytesFromHex(settings.Text("request")).value();
    const auto pad = static_cast<size_t>(settings.Number("pad", 0));
    if (pad > 0) {
      bytes += '\x0A';  // Field 1, a text.
      for (size_t left = pad;; left >>= 7) {
        bytes += static_cast<char>(left > 127 ? (left & 127) | 128 : left);
        if (left <= 127) break;
      }
      bytes.append(pad, 'x');
    }
    const grpc::Slice slice(bytes);
    request = Bytes(&slice, 1);
    Connect();
  }

  int Run() {
    const auto begin = Clock::now();
    counts_from_ = begin + Seconds(settings_.Number("warm", 0));
    end_ = counts_from_ + Seconds(settings_.Number("seconds", 1));
    due_ = begin;
    if (period_ == Clock::duration::zero()) {
      for (int i = 0; i < in_flight_max_; ++i) Send(begin);
    }
    // What is under way at the end has until its deadline.
    const auto patience = end_ + Seconds(deadline_s + 1);
    while (Clock::now() < (in_flight_ > 0 ? patience : end_)) {
      SendDue();
      void* tag;
      bool ok;
      const auto wait =
          std::chrono::system_clock::now() + (NextDue() - Clock::now());
      if (queue.AsyncNext(&tag, &ok, wait) ==
          grpc::CompletionQueue::GOT_EVENT) {
        static_cast<Call*>(tag)->Proceed(ok);
      }
    }
    Print();
    std::fflush(stdout);
    std::_Exit(0);  // Open streams are cut with the process.
  }

  void OnEnd(Clock::time_point planned, const grpc::Status& status,
             const grpc::ClientContext& context) {
    --in_flight_;
    const auto now = Clock::now();
    if (planned >= counts_from_ && planned < end_) {
      const double us =
          std::chrono::duration<double, std::micro>(now - planned).count();
      if (status.ok() && us <= 1e6 * deadline_s) {
        ok_us_.push_back(us);
      } else if (status.error_code() == grpc::RESOURCE_EXHAUSTED) {
        ++refused_;
      } else if (status.ok() ||
                 status.error_code() == grpc::DEADLINE_EXCEEDED) {
        ++late_;
      } else {
        if (others_++ == 0) other_ = status.error_message();
      }
    }
    if (period_ != Clock::duration::zero()) return;
    const auto& trailing = context.GetServerTrailingMetadata();
    const auto pushback = trailing.find("grpc-retry-pushback-ms");
    double ms = 0;
    if (obeys_ && pushback != trailing.end() &&
        absl::SimpleAtod(
            absl::string_view(pushback->second.data(), pushback->second.size()),
            &ms)) {
      later_.emplace(now + Seconds(ms / 1000), 0);
    } else {
      Send(now);
    }
  }

  grpc::GenericStub& NextStub() { return *stubs_[sent_ % stubs_.size()]; }
  size_t sent() const { return sent_; }

 private:
  const Settings& settings_;

 public:
  const std::string method;
  const std::string authorization;
  const bool streams;
  const bool unread;
  const double deadline_s;
  const int ids;
  Bytes request;
  grpc::CompletionQueue queue;

 private:
  void Connect() {
    const int connections =
        static_cast<int>(settings_.Number("connections", 1));
    for (int i = 0; i < connections; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
      arguments.SetMaxReceiveMessageSize(-1);
      const auto channel = grpc::CreateCustomChannel(
          settings_.Text("address"), grpc::InsecureChannelCredentials(),
          arguments);
      if (!channel->WaitForConnected(std::chrono::system_clock::now() +
                                     std::chrono::seconds(30))) {
        std::fprintf(stderr, "overload_load: no connection to %s\n",
                     settings_.Text("address").c_str());
        std::exit(1);
      }
      stubs_.push_back(std::make_unique<grpc::GenericStub>(channel));
    }
  }

  void Send(Clock::time_point planned) {
    if (Clock::now() >= end_) return;
    if (planned >= counts_from_) ++planned_;
    if (in_flight_ >= in_flight_max_) {
      if (planned >= counts_from_) ++unsent_;
      return;
    }
    ++in_flight_;
    ++sent_;
    (new Call(*this, planned))->Start();
  }

  // Those whose time has come.
  void SendDue() {
    const auto now = Clock::now();
    for (; period_ != Clock::duration::zero() && due_ <= now && due_ < end_;
         due_ += period_) {
      Send(due_);
    }
    while (!later_.empty() && later_.begin()->first <= now) {
      later_.erase(later_.begin());
      Send(now);
    }
  }
  Clock::time_point NextDue() const {
    auto next = Clock::now() + std::chrono::milliseconds(100);
    if (period_ != Clock::duration::zero() && due_ < end_) {
      next = std::min(next, due_);
    }
    if (!later_.empty()) next = std::min(next, later_.begin()->first);
    return next;
  }

  double At(double share) const {
    if (ok_us_.empty()) return 0;
    return ok_us_[static_cast<size_t>(share *
                                      static_cast<double>(ok_us_.size() - 1))];
  }
  void Print() {
    std::sort(ok_us_.begin(), ok_us_.end());
    if (others_ > 0) {
      std::fprintf(stderr, "overload_load: %zu of %s: %s\n", others_,
                   method.c_str(), other_.c_str());
    }
    std::printf(
        "{\"planned\": %zu, \"useful\": %zu, \"refused\": %zu, \"late\": %zu, "
        "\"unsent\": %zu, \"other\": %zu, \"useful_per_second\": %.1f, "
        "\"p50_us\": %.0f, \"p99_us\": %.0f}\n",
        planned_, ok_us_.size(), refused_, late_, unsent_, others_,
        static_cast<double>(ok_us_.size()) / settings_.Number("seconds", 1),
        At(0.5), At(0.99));
  }

  const int in_flight_max_;
  const bool obeys_;
  const Clock::duration period_;  // Zero: one call follows the other.
  std::vector<std::unique_ptr<grpc::GenericStub>> stubs_;
  Clock::time_point counts_from_;
  Clock::time_point end_;
  Clock::time_point due_;
  std::multimap<Clock::time_point, int> later_;
  int in_flight_ = 0;
  size_t sent_ = 0;
  size_t planned_ = 0;
  size_t unsent_ = 0;
  size_t refused_ = 0;
  size_t late_ = 0;
  size_t others_ = 0;
  std::string other_;
  std::vector<double> ok_us_;
};

void Call::Start() {
  if (load_.ids > 0) {
    context_.AddMetadata(
        "instance-id",
        absl::StrCat("load-", load_.sent() % static_cast<size_t>(load_.ids)));
  }
  if (!load_.authorization.empty()) {
    context_.AddMetadata("authorization", load_.authorization);
  }
  if (!load_.unread) {
    context_.set_deadline(std::chrono::system_clock::now() +
                          Seconds(load_.deadline_s));
  }
  grpc::GenericStub& stub = load_.NextStub();
  if (load_.streams || load_.unread) return StartStream(stub);
  unary_ = stub.PrepareUnaryCall(&context_, load_.method, load_.request,
                                 &load_.queue);
  unary_->StartCall();
  unary_->Finish(&response_, &status_, this);
}

void Call::StartStream(grpc::GenericStub& stub) {
  stream_ = stub.PrepareCall(&context_, load_.method, &load_.queue);
  next_ = Next::kBegin;
  stream_->StartCall(this);
}

void Call::Proceed(bool ok) {
  switch (next_) {
    case Next::kBegin:
      next_ = ok ? Next::kRead : Next::kEnd;
      if (!ok) return stream_->Finish(&status_, this);
      return stream_->WriteLast(load_.request, grpc::WriteOptions(), this);
    case Next::kRead:
      if (load_.unread) return;  // It stays as it is.
      next_ = Next::kCancel;
      return stream_->Read(&response_, this);
    case Next::kCancel:
      answered_ = ok;
      if (ok) context_.TryCancel();
      next_ = Next::kEnd;
      return stream_->Finish(&status_, this);
    case Next::kEnd:
      load_.OnEnd(planned_, answered_ ? grpc::Status::OK : status_, context_);
      delete this;
  }
}

}  // namespace

int main(int argc, char** argv) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const Settings settings(argc, argv);
  if (settings.Text("address").empty() || settings.Text("method").empty()) {
    std::fprintf(
        stderr,
        "usage: overload_load address=HOST:PORT method=/SERVICE/METHOD "
        "NAME=VALUE...\n");
    return 2;
  }
  return Load(settings).Run();
}
