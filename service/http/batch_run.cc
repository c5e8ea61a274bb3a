#include "service/http/batch_run.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lease/base/json.h"
#include "lease/base/view.h"

namespace leasehold {
namespace {

using nlohmann::json;

constexpr size_t kStepsMax = 200;
// Where nobody says when to come back.
constexpr absl::Duration kPauseByDefault = absl::Seconds(1);

// What the body of an error says.
json ErrorIn(const HttpResponse& response) {
  json error = json::object();
  try {
    const json body = ParseJson(response.body);
    if (body.is_object()) {
      error["code"] = body.value("code", "");
      error["message"] = body.value("Message", "");
    }
  } catch (const std::exception&) {
    error["message"] = absl::StrCat("the answer is ", response.status);
  }
  return error;
}

absl::Duration PauseIn(const HttpResponse& response) {
  int64_t seconds = 0;
  const std::string_view text = response.headers.Get("Retry-After");
  if (!absl::SimpleAtoi(View(text), &seconds) || seconds < 1)
    return kPauseByDefault;
  return absl::Seconds(seconds);
}

}  // namespace

class BatchRun::Body final : public HttpBody {
 public:
  explicit Body(std::shared_ptr<BatchRun> run) : run_(std::move(run)) {}
  ~Body() override { run_->Abandon(); }
  void Next(Done done) override { run_->Next(std::move(done)); }

 private:
  const std::shared_ptr<BatchRun> run_;
};

class BatchRun::Pause final : public Alarm {
 public:
  explicit Pause(std::shared_ptr<BatchRun> run) : run_(std::move(run)) {}
  void OnDue() override { run_->EndPause(); }

 private:
  const std::shared_ptr<BatchRun> run_;
};

BatchRun::BatchRun(Parts parts, std::vector<std::string> ids)
    : parts_(std::move(parts)),
      ids_(std::move(ids)),
      step_(std::max<size_t>(1, ids_.size() / kStepsMax)),
      end_(parts_.clock.Now() + kTimeMax) {}

std::unique_ptr<HttpBody> BatchRun::Begin() {
  auto body = std::make_unique<Body>(shared_from_this());
  MutexLock lock(mu_);
  PostPumpLocked();
  return body;
}

void BatchRun::Stop(std::string why) {
  MutexLock lock(mu_);
  if (std::exchange(stopping_, true)) return;
  why_ = std::move(why);
  PostPumpLocked();
}

void BatchRun::PostPumpLocked() {
  if (std::exchange(pump_posted_, true)) return;
  parts_.executor.Post([self = shared_from_this()] { self->Pump(); });
}

bool BatchRun::TakeNextLocked(std::string& id) {
  if (stopping_ || pausing_ || running_ >= kAtOnce ||
      lines_.size() >= kUnreadMax) {
    return false;
  }
  if (parts_.clock.Now() >= end_) {
    stopping_ = true;
    out_of_time_ = true;
    why_ = "its time is over; go on with the rest";
    return false;
  }
  if (!again_.empty()) {
    id = std::move(again_.front());
    again_.pop_front();
  } else if (next_ < ids_.size()) {
    id = ids_[next_++];
  } else {
    return false;
  }
  ++running_;
  return true;
}

void BatchRun::Pump() {
  {
    MutexLock lock(mu_);
    pump_posted_ = false;
  }
  for (;;) {
    std::string id;
    {
      MutexLock lock(mu_);
      if (!TakeNextLocked(id)) break;
    }
    parts_.run(id, [self = shared_from_this(), id](HttpResponse response) {
      self->OnAnswer(id, response);
    });
  }
  MayEnd();
  Tell();
}

void BatchRun::OnAnswer(const std::string& id, const HttpResponse& response) {
  MutexLock lock(mu_);
  --running_;
  constexpr int kErrors = 400;
  constexpr int kTooMany = 429;
  constexpr int kUnavailable = 503;
  if (response.status < kErrors) {
    ++done_;
    refusals_ = 0;
  } else if (response.status == kTooMany || response.status == kUnavailable) {
    PutOffLocked(id, response);
  } else {
    NoteFailureLocked(id, response);
  }
  PostPumpLocked();
}

void BatchRun::NoteFailureLocked(const std::string& id,
                                 const HttpResponse& response) {
  constexpr int kUnauthorized = 401;
  constexpr int kForbidden = 403;
  json line = ErrorIn(response);
  line["instance_id"] = id;
  if (response.status == kUnauthorized || response.status == kForbidden) {
    // It says the same of all others.
    if (!std::exchange(stopping_, true)) why_ = line.value("message", "");
  }
  failures_.push_back(id);
  absl::StrAppend(&lines_, WriteJson(line), "\n");
}

void BatchRun::PutOffLocked(const std::string& id,
                            const HttpResponse& response) {
  again_.push_back(id);
  if (pausing_) return;
  if (++refusals_ > kRefusalsMax) {
    if (!std::exchange(stopping_, true)) {
      why_ = ErrorIn(response).value("message", "");
    }
    return;
  }
  pausing_ = true;
  // With a low limit a pause may last for minutes: then its time is over first.
  parts_.alarms.Set(
      std::make_shared<Pause>(shared_from_this()),
      std::clamp(PauseIn(response), absl::ZeroDuration(),
                 std::max(absl::ZeroDuration(), end_ - parts_.clock.Now())));
}

void BatchRun::EndPause() {
  MutexLock lock(mu_);
  pausing_ = false;
  PostPumpLocked();
}

void BatchRun::MayEnd() {
  std::vector<std::string> rest;
  json last;
  {
    MutexLock lock(mu_);
    const bool all = next_ == ids_.size() && again_.empty();
    if (ending_ || running_ > 0 || !(all || stopping_)) return;
    ending_ = true;
    // Who goes on by himself does not try again.
    if (!out_of_time_) rest = failures_;
    const size_t left = again_.size() + ids_.size() - next_;
    rest.insert(rest.end(), again_.begin(), again_.end());
    rest.insert(rest.end(), ids_.begin() + static_cast<ptrdiff_t>(next_),
                ids_.end());
    last = {{"finished", true},
            {"done", done_},
            {"failed", failures_.size()},
            {"left", left}};
    if (out_of_time_) last["more"] = true;
    if (!why_.empty()) last["why"] = why_;
    if (gone_) return;
  }
  if (!rest.empty()) last["rest"] = parts_.keep(std::move(rest));
  MutexLock lock(mu_);
  ended_ = true;
  absl::StrAppend(&lines_, WriteJson(last), "\n");
  told_ = done_ + failures_.size();
}

std::string BatchRun::TakeLinesLocked() {
  std::string lines = std::exchange(lines_, {});
  const size_t finished = done_ + failures_.size();
  if (finished != told_) {
    told_ = finished;
    absl::StrAppend(&lines,
                    WriteJson({{"done", done_}, {"failed", failures_.size()}}),
                    "\n");
  }
  return lines;
}

void BatchRun::Tell() {
  HttpBody::Done waiting;
  std::string lines;
  {
    MutexLock lock(mu_);
    const bool news =
        !lines_.empty() || done_ + failures_.size() >= told_ + step_ || ended_;
    if (!waiting_ || !news) return;
    lines = TakeLinesLocked();
    waiting = std::exchange(waiting_, nullptr);
  }
  waiting(std::move(lines));
}

void BatchRun::Next(HttpBody::Done done) {
  std::string lines;
  {
    MutexLock lock(mu_);
    lines = TakeLinesLocked();
    // What waited for its lines to be read goes on.
    PostPumpLocked();
    if (lines.empty() && !ended_) {
      waiting_ = std::move(done);
      return;
    }
  }
  done(std::move(lines));
}

void BatchRun::Abandon() {
  HttpBody::Done unused;
  MutexLock lock(mu_);
  unused.swap(waiting_);
  gone_ = stopping_ = true;
}

}  // namespace leasehold
