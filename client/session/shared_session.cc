#include "client/session/shared_session.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/session/channel_hold.h"
#include "client/wire/channel.h"
#include "client/wire/status.h"
#include "client/wire/timespan.h"
#include "client/wire/utf8.h"
#include "lease/base/instance_id.h"
#include "leasehold/v1/echo.grpc.pb.h"

namespace leasehold::client {
struct SharedSession::Link {
  Link(std::shared_ptr<grpc::Channel> link_channel, std::string link_name)
      : channel(std::move(link_channel)),
        name(std::move(link_name)),
        echo(leasehold::v1::Echo::NewStub(channel)) {}

  const std::shared_ptr<grpc::Channel> channel;
  const std::string name;
  const std::unique_ptr<leasehold::v1::Echo::Stub> echo;
  // Null if the session does not hold.
  std::shared_ptr<ChannelHold> hold;
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
      identity_(std::make_shared<SessionIdentity>(SessionIdentity::Options{
          NormalId(options_.instance_id), options_.idle_timeout,
          options_.expect, options_.on_generation_change})) {
  if (options_.keep_alive_interval.has_value()) {
    keep_alive_ = std::make_shared<SessionKeepAlive>(
        SessionKeepAlive::Doors{.loop = loop_,
                                .identity = identity_,
                                .interval = *options_.keep_alive_interval,
                                .run_after = options_.run_after,
                                .pick = [this] { return Pick(); }});
  }
  MutexLock lock(mu_);
  for (size_t i = 0; i < channels.size(); ++i) {
    AddLinkLocked(std::move(channels[i]), absl::StrCat("channel ", i));
  }
}

SharedSession::~SharedSession() {
  std::vector<std::shared_ptr<Link>> links;
  {
    MutexLock lock(mu_);
    // A callback that is still running is refused what it asks for.
    closing_ = true;
    for (auto& link : links_) links.push_back(std::move(link));
  }
  for (const auto& link : links) {
    if (link != nullptr && link->hold != nullptr) link->hold->Close();
  }
  if (keep_alive_ != nullptr) keep_alive_->Close();
  loop_.Stop();
}

size_t SharedSession::AddLinkLocked(std::shared_ptr<grpc::Channel> channel,
                                    std::string name) {
  auto link = std::make_shared<Link>(std::move(channel), std::move(name));
  const size_t index = links_.size();
  if (closing_) {
    links_.push_back(nullptr);
    return index;
  }
  if (options_.hold) {
    ChannelHold::Doors doors{.loop = loop_,
                             .identity = identity_,
                             .channel = link->channel,
                             .name = link->name,
                             .run_after = options_.run_after,
                             .on_lost = nullptr};
    if (options_.on_hold_lost) {
      doors.on_lost = [this, index](const absl::Status& why) {
        options_.on_hold_lost(index, why);
      };
    }
    link->hold = std::make_shared<ChannelHold>(std::move(doors));
  }
  links_.push_back(std::move(link));
  return index;
}

size_t SharedSession::AddChannel(std::shared_ptr<grpc::Channel> channel,
                                 std::string name) {
  MutexLock lock(mu_);
  return AddLinkLocked(std::move(channel), std::move(name));
}

absl::StatusOr<size_t> SharedSession::AddChannel(const std::string& address) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return status;
  return AddChannel(OpenChannel(address, {}, options_.credentials), address);
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> SharedSession::Channel(
    size_t index) const {
  const auto link = Find(index);
  if (!link.ok()) return link.status();
  return (*link)->channel;
}

absl::Status SharedSession::HoldChannel(size_t index) {
  const auto link = Find(index);
  if (!link.ok()) return link.status();
  if ((*link)->hold == nullptr) return absl::OkStatus();
  return (*link)->hold->Open(DeadlineIn(options_.call_timeout)).status();
}

absl::Status SharedSession::CloseChannel(size_t index) {
  std::shared_ptr<Link> closed;
  {
    MutexLock lock(mu_);
    if (index >= links_.size()) {
      return absl::OutOfRangeError(absl::StrCat(
          "no channel ", index, "; the session has ", links_.size()));
    }
    closed = std::move(links_[index]);
  }
  if (closed == nullptr) return absl::OkStatus();
  if (closed->hold != nullptr) closed->hold->Close();
  if (keep_alive_ != nullptr) keep_alive_->Leave(closed->channel.get());
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

std::optional<SessionKeepAlive::Carrier> SharedSession::Pick() const {
  MutexLock lock(mu_);
  for (const auto& link : links_) {
    if (link != nullptr) {
      return SessionKeepAlive::Carrier{link->channel, link->name};
    }
  }
  return std::nullopt;
}

absl::StatusOr<EchoReply> SharedSession::Echo(const std::string& text,
                                              size_t channel) {
  if (absl::Status checked = CheckUtf8("the text", text); !checked.ok()) {
    return checked;
  }
  const auto found = Find(channel);
  if (!found.ok()) return found.status();
  Link& link = **found;
  const Deadline deadline = DeadlineIn(options_.call_timeout);
  OpenedInstance opened;
  if (link.hold != nullptr) {
    auto held = link.hold->Open(deadline);
    if (!held.ok()) return held.status();
    opened = *std::move(held);
  }

  grpc::ClientContext context;
  context.set_deadline(deadline.at);
  absl::Status prepared = identity_->Prepare(context, deadline.at);
  if (!prepared.ok()) return prepared;
  leasehold::v1::EchoRequest request;
  request.set_text(text);
  leasehold::v1::EchoResponse response;
  const grpc::Status status = link.echo->Echo(&context, request, &response);
  const InstanceMetadata metadata = ReadInstanceMetadata(context);
  if (!status.ok()) {
    identity_->Announce(
        identity_->Learn(context, metadata.instance_id, metadata.generation));
    return ExplainStatus(status, *link.channel, link.name,
                         options_.call_timeout);
  }
  identity_->Announce(
      identity_->Learn(context, response.instance_id(), response.generation()));

  const std::string expected = instance_id();
  if (response.instance_id() != expected) {
    return absl::InternalError(
        absl::StrCat(link.name, " answered for instance \"",
                     response.instance_id(), "\", not \"", expected,
                     "\"; does it read the ID from another header?"));
  }
  if (keep_alive_ != nullptr) keep_alive_->Ensure();
  EchoReply reply;
  reply.text = response.text();
  reply.instance_id = response.instance_id();
  reply.generation = response.generation();
  reply.sequence = response.sequence();
  reply.channel = channel;
  reply.created = metadata.created || opened.created;
  reply.idle_timeout = metadata.idle_timeout;
  if (opened.created) reply.idle_timeout = opened.instance.idle_timeout;
  return reply;
}

absl::Status SharedSession::Prepare(grpc::ClientContext& context) {
  return identity_->Prepare(context, context.deadline());
}

void SharedSession::Observe(const grpc::ClientContext& context) {
  const InstanceMetadata metadata = ReadInstanceMetadata(context);
  identity_->Announce(
      identity_->Learn(context, metadata.instance_id, metadata.generation));
}

}  // namespace leasehold::client
