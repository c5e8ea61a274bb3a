#include "client/shared_session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/channel.h"
#include "client/status.h"
#include "client/utf8.h"
#include "leasehold/v1/echo.grpc.pb.h"

namespace leasehold::client {
namespace {

// A timespan, not a point in time: gRPC adds it to its own clock, so that this
// library reads none.
gpr_timespec Within(absl::Duration timeout) {
  return gpr_time_from_micros(absl::ToInt64Microseconds(timeout), GPR_TIMESPAN);
}

// What a failed call is reported as. A channel that found no connection in time
// says so, with the address; gRPC itself says that the deadline was exceeded.
absl::Status Explain(const grpc::Status& status, grpc::Channel& channel,
                     const std::string& name, absl::Duration timeout) {
  absl::Status plain = ToAbslStatus(status);
  if (absl::IsDeadlineExceeded(plain) &&
      channel.GetState(/*try_to_connect=*/false) != GRPC_CHANNEL_READY) {
    return absl::UnavailableError(absl::StrCat(name, ": no connection within ",
                                               absl::FormatDuration(timeout)));
  }
  if (absl::IsUnavailable(plain)) {
    return absl::UnavailableError(absl::StrCat(name, ": ", plain.message()));
  }
  return plain;
}

}  // namespace

struct SharedSession::Link {
  Link(std::shared_ptr<grpc::Channel> link_channel, std::string link_name)
      : channel(std::move(link_channel)),
        name(std::move(link_name)),
        echo(leasehold::v1::Echo::NewStub(channel)) {}

  const std::shared_ptr<grpc::Channel> channel;
  const std::string name;
  const std::unique_ptr<leasehold::v1::Echo::Stub> echo;
};

absl::StatusOr<std::unique_ptr<SharedSession>> SharedSession::Connect(
    const std::vector<std::string>& addresses, SharedSessionOptions options) {
  auto session = std::make_unique<SharedSession>(
      std::vector<std::shared_ptr<grpc::Channel>>(), std::move(options));
  for (const std::string& address : addresses) {
    const auto index = session->AddChannel(address);
    if (!index.ok()) return index.status();
  }
  return session;
}

SharedSession::SharedSession(
    std::vector<std::shared_ptr<grpc::Channel>> channels,
    SharedSessionOptions options)
    : options_(std::move(options)),
      instance_id_(NormalId(options_.instance_id)),
      opened_(!options_.instance_id.empty() &&
              options_.expect == Expect::kAny) {
  for (size_t i = 0; i < channels.size(); ++i) {
    links_.push_back(std::make_shared<Link>(std::move(channels[i]),
                                            absl::StrCat("channel ", i)));
  }
}

SharedSession::~SharedSession() = default;

size_t SharedSession::AddChannel(std::shared_ptr<grpc::Channel> channel,
                                 std::string name) {
  auto link = std::make_shared<Link>(std::move(channel), std::move(name));
  MutexLock lock(mu_);
  links_.push_back(std::move(link));
  return links_.size() - 1;
}

absl::StatusOr<size_t> SharedSession::AddChannel(const std::string& address) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return status;
  return AddChannel(OpenChannel(address), address);
}

absl::Status SharedSession::CloseChannel(size_t index) {
  std::shared_ptr<Link> closed;  // Goes when the lock has been let go.
  MutexLock lock(mu_);
  if (index >= links_.size()) {
    return absl::OutOfRangeError(absl::StrCat(
        "no channel ", index, "; the session has ", links_.size()));
  }
  closed = std::move(links_[index]);
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<SharedSession::Link>> SharedSession::Find(
    size_t index) const {
  MutexLock lock(mu_);
  if (index >= links_.size()) {
    return absl::OutOfRangeError(absl::StrCat(
        "no channel ", index, "; the session has ", links_.size()));
  }
  if (links_[index] == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("channel ", index, " is closed"));
  }
  return links_[index];
}

absl::StatusOr<EchoReply> SharedSession::Echo(const std::string& text,
                                              size_t channel) {
  if (!IsUtf8(text)) {
    return absl::InvalidArgumentError("the text is not UTF-8");
  }
  const auto link = Find(channel);
  if (!link.ok()) return link.status();

  grpc::ClientContext context;
  context.set_deadline(Within(options_.call_timeout));
  absl::Status prepared = Prepare(context);
  if (!prepared.ok()) return prepared;

  leasehold::v1::EchoRequest request;
  request.set_text(text);
  leasehold::v1::EchoResponse response;
  const grpc::Status status = (*link)->echo->Echo(&context, request, &response);
  const InstanceMetadata metadata = ReadInstanceMetadata(context);
  if (!status.ok()) {
    Learn(context, metadata.instance_id, metadata.generation);
    return Explain(status, *(*link)->channel, (*link)->name,
                   options_.call_timeout);
  }
  Learn(context, response.instance_id(), response.generation());

  const std::string expected = instance_id();
  if (response.instance_id() != expected) {
    return absl::InternalError(
        absl::StrCat((*link)->name, " answered for instance \"",
                     response.instance_id(), "\", not \"", expected,
                     "\"; does it read the ID from another header?"));
  }
  EchoReply reply;
  reply.text = response.text();
  reply.instance_id = response.instance_id();
  reply.generation = response.generation();
  reply.sequence = response.sequence();
  reply.channel = channel;
  reply.created = metadata.created;
  reply.idle_timeout = metadata.idle_timeout;
  return reply;
}

absl::Status SharedSession::Prepare(grpc::ClientContext& context) {
  const auto deadline = context.deadline();
  MutexLock lock(mu_);
  while (!opened_ && first_call_ != nullptr && first_call_ != &context) {
    if (!first_call_done_.WaitUntil(mu_, deadline)) {
      return absl::DeadlineExceededError(
          "the session's first call is not back yet");
    }
  }
  if (!opened_) {
    first_call_ = &context;
    AddExpect(options_.expect, context);
  }
  if (!instance_id_.empty()) AddInstanceId(instance_id_, context);
  if (options_.idle_timeout.has_value()) {
    AddIdleTimeout(*options_.idle_timeout, context);
  }
  return absl::OkStatus();
}

void SharedSession::Observe(const grpc::ClientContext& context) {
  const InstanceMetadata metadata = ReadInstanceMetadata(context);
  Learn(context, metadata.instance_id, metadata.generation);
}

void SharedSession::Learn(const grpc::ClientContext& context,
                          const std::optional<std::string>& instance_id,
                          std::optional<uint64_t> generation) {
  uint64_t before = 0;
  {
    MutexLock lock(mu_);
    if (instance_id_.empty() && instance_id.has_value()) {
      instance_id_ = *instance_id;
    }
    if (first_call_ == &context) {
      first_call_ = nullptr;
      // A call that reached the context shows its generation; one that failed
      // leaves it to the next to be the first.
      opened_ = generation.has_value() && !instance_id_.empty();
      first_call_done_.NotifyAll();
    }
    // Lower ones are answers that were overtaken: generations only grow.
    if (!generation.has_value() || *generation <= generation_) return;
    before = std::exchange(generation_, *generation);
  }
  if (before != 0 && options_.on_generation_change != nullptr) {
    options_.on_generation_change(before, *generation);
  }
}

std::string SharedSession::instance_id() const {
  MutexLock lock(mu_);
  return instance_id_;
}

uint64_t SharedSession::generation() const {
  MutexLock lock(mu_);
  return generation_;
}

}  // namespace leasehold::client
