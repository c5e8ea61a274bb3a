#include "client/cli/demo_command.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/instance_view.h"
#include "client/cli/output.h"
#include "client/cli/printable.h"
#include "client/cli/singleton_demo.h"
#include "client/instances/instances_client.h"
#include "client/session/shared_session.h"
#include "client/wire/channel.h"

namespace leasehold::client::cli {
namespace {

constexpr absl::Duration kIdleTimeout = absl::Seconds(20);
constexpr absl::Duration kFastIdleTimeout = absl::Seconds(1);
// A lease never ends early; this allows for one that ends a little late.
constexpr absl::Duration kMargin = absl::Milliseconds(500);

// How long the server may take to notice that a channel was closed.
constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr absl::Duration kPoll = absl::Milliseconds(10);

constexpr char kText[] = "Apple";

// A random UUID (version 4), so that each run has its own instance.
std::string FreshId() {
  std::random_device random;
  const uint32_t a = random();
  const uint32_t b = (random() & 0xFFFF0FFF) | 0x00004000;
  const uint32_t c = (random() & 0x3FFFFFFF) | 0x80000000;
  const uint32_t d = random();
  return absl::StrFormat("%08x-%04x-%04x-%04x-%04x%08x", a, b >> 16, b & 0xFFFF,
                         c >> 16, c & 0xFFFF, d);
}

class Demo {
 public:
  Demo(absl::Duration idle_timeout, const GlobalOptions& global,
       Surroundings& surroundings)
      : address_(global.address),
        idle_timeout_(idle_timeout),
        surroundings_(surroundings),
        output_(global.output, surroundings.out, LookOf(global, surroundings)),
        session_({}, SessionOptions(global)),
        instances_(OpenChannel(global), global.address, global.timeout),
        singleton_(FreshId(), global, surroundings, output_) {}

  absl::Status Run() {
    output_.SayLine(absl::StrCat("Instance ID: ", session_.instance_id()));
    for (const uint64_t sequence : {1, 2}) {
      if (absl::Status status = Open(); !status.ok()) return status;
      if (absl::Status status = Echo(sequence); !status.ok()) return status;
    }
    if (absl::Status status = CloseBoth(); !status.ok()) return status;
    AwaitEndOfLease();
    if (absl::Status status = CheckGone(); !status.ok()) return status;
    first_life_ = std::exchange(generation_, 0);
    if (absl::Status status = Open(); !status.ok()) return status;
    if (absl::Status status = Echo(1); !status.ok()) return status;
    output_.SayLine("The same ID, but a new instance that counts from 1.");
    output_.SayLine("");
    if (absl::Status status = singleton_.Run(); !status.ok()) return status;
    if (surroundings_.interactive && output_.Say("Press Enter to end. ")) {
      surroundings_.wait_for_enter();
    }
    return output_.status();
  }

 private:
  SharedSessionOptions SessionOptions(const GlobalOptions& global) {
    SharedSessionOptions options;
    options.instance_id = FreshId();
    options.idle_timeout = idle_timeout_;
    options.call_timeout = global.timeout;
    options.credentials = global.credentials;
    options.on_generation_change = [this](uint64_t before, uint64_t after) {
      output_.SayLine(absl::StrCat("The session notices: generation ", before,
                                   " has become ", after, "."));
    };
    return options;
  }

  absl::Status Open() {
    const absl::StatusOr<size_t> index = session_.AddChannel(address_);
    if (!index.ok()) return index.status();
    channel_ = *index;
    output_.SayLine(
        absl::StrCat("Channel ", channel_ + 1, " opened to ", address_, "."));
    return absl::OkStatus();
  }

  // Echoes on the last channel; expects the instance's `sequence`-th echo.
  absl::Status Echo(uint64_t sequence) {
    output_.SayLine(absl::StrCat("Channel ", channel_ + 1, " requests: Echo(\"",
                                 kText, "\")"));
    const auto reply = session_.Echo(kText, channel_);
    if (!reply.ok()) return reply.status();
    if (output_.format() == OutputFormat::kJson) {
      output_.Row(*reply);
    } else {
      output_.SayLine(absl::StrCat("Service returned: ", Printable(reply->text),
                                   "  (sequence ", reply->sequence,
                                   ", generation ", reply->generation, ")"));
    }
    if (reply->idle_timeout.has_value()) idle_timeout_ = *reply->idle_timeout;
    return Check(*reply, sequence);
  }

  // Checks that an answer is what the demo promises.
  absl::Status Check(const EchoReply& reply, uint64_t sequence) {
    const std::string who = absl::StrCat("channel ", channel_ + 1, ": ");
    if (reply.text != kText) {
      return absl::InternalError(
          absl::StrCat(who, "expected the text ", kText, ", got ", reply.text));
    }
    if (generation_ != 0 && reply.generation != generation_) {
      return absl::InternalError(
          absl::StrCat(who, "expected the same generation ", generation_,
                       ", got ", reply.generation));
    }
    if (reply.generation <= first_life_) {
      return absl::InternalError(
          absl::StrCat(who, "expected a generation above ", first_life_,
                       ", got ", reply.generation));
    }
    if (reply.sequence != sequence) {
      return absl::InternalError(absl::StrCat(
          who, "expected sequence ", sequence, ", got ", reply.sequence));
    }
    generation_ = reply.generation;
    return absl::OkStatus();
  }

  absl::Status CloseBoth() {
    if (absl::Status status = AwaitHolds(2); !status.ok()) return status;
    output_.SayLine("Both channels hold the instance: it is BUSY (hold 2).");
    if (absl::Status status = Close(0); !status.ok()) return status;
    if (absl::Status status = AwaitHolds(1); !status.ok()) return status;
    output_.SayLine(
        "Channel 2 still holds the instance: it is BUSY (hold 1), and no lease "
        "has started.");
    if (absl::Status status = Close(1); !status.ok()) return status;
    return AwaitLease();
  }

  absl::Status Close(size_t channel) {
    absl::Status status = session_.CloseChannel(channel);
    output_.SayLine(absl::StrCat("Channel ", channel + 1, " closed."));
    return status;
  }

  // What the server says about the instance, as soon as it is as wanted, or
  // when the time for that is over.
  absl::StatusOr<Instance> Look(
      const std::function<bool(const Instance&)>& as_wanted) {
    const absl::Time end = surroundings_.now() + kPatience;
    while (true) {
      const auto instance = instances_.Get(session_.instance_id());
      if (!instance.ok()) return instance.status();
      if (!instance->has_value()) {
        return absl::InternalError("expected the instance, but it is gone");
      }
      const bool late = surroundings_.now() >= end;
      if (late || as_wanted(**instance)) return **instance;
      surroundings_.sleep(kPoll);
    }
  }

  absl::Status AwaitHolds(uint64_t holds) {
    const auto as_wanted = [holds](const Instance& instance) {
      return instance.state == InstanceState::kBusy &&
             instance.pin_count("hold") == holds && instance.pins.size() == 1;
    };
    const auto instance = Look(as_wanted);
    if (!instance.ok()) return instance.status();
    if (absl::Status status = CheckGeneration(*instance); !status.ok()) {
      return status;
    }
    if (as_wanted(*instance)) return absl::OkStatus();
    return absl::InternalError(absl::StrCat(
        "expected the instance to be BUSY (hold ", holds, "), got ",
        InstanceStateName(instance->state), " (", PinsText(*instance), ")"));
  }

  absl::Status AwaitLease() {
    const auto as_wanted = [this](const Instance& instance) {
      return instance.state == InstanceState::kIdle &&
             instance.lease_remaining.has_value() &&
             *instance.lease_remaining > absl::ZeroDuration() &&
             *instance.lease_remaining <= idle_timeout_;
    };
    const auto instance = Look(as_wanted);
    if (!instance.ok()) return instance.status();
    if (absl::Status status = CheckGeneration(*instance); !status.ok()) {
      return status;
    }
    const std::string left = instance->lease_remaining.has_value()
                                 ? BriefDuration(*instance->lease_remaining)
                                 : "no lease";
    if (!as_wanted(*instance)) {
      return absl::InternalError(absl::StrCat(
          "expected the instance to be IDLE with a lease of at most ",
          absl::FormatDuration(idle_timeout_), ", got ",
          InstanceStateName(instance->state), " with ", left));
    }
    output_.SayLine(
        absl::StrCat("Lease started: the instance is IDLE, with ", left, " of ",
                     absl::FormatDuration(idle_timeout_), " left."));
    return absl::OkStatus();
  }

  absl::Status CheckGeneration(const Instance& instance) const {
    if (instance.generation == generation_) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat("expected the instance to have generation ", generation_,
                     ", got ", instance.generation));
  }

  absl::Status CheckGone() {
    const auto instance = instances_.Get(session_.instance_id());
    if (!instance.ok()) return instance.status();
    if (!instance->has_value()) {
      output_.SayLine("Lease expired: the instance is gone.");
      return absl::OkStatus();
    }
    return absl::InternalError(
        absl::StrCat("expected the instance to be gone after its lease, got ",
                     InstanceStateName((*instance)->state), ", generation ",
                     (*instance)->generation));
  }

  void AwaitEndOfLease() {
    absl::Duration rest = idle_timeout_ + kMargin;
    if (!surroundings_.interactive) {
      output_.SayLine(absl::StrCat("Waiting ", absl::FormatDuration(rest),
                                   " for the lease to run out ..."));
      surroundings_.sleep(rest);
      return;
    }
    while (rest > absl::ZeroDuration()) {
      output_.Say(absl::StrFormat(
          "\rWaiting for the lease to run out: %2d s left ... ",
          absl::ToInt64Seconds(absl::Ceil(rest, absl::Seconds(1)))));
      const absl::Duration step = std::min(rest, absl::Seconds(1));
      surroundings_.sleep(step);
      rest -= step;
    }
    output_.Say("\n");
  }

  const std::string address_;
  // What was asked for; after the first answer, what the server said.
  absl::Duration idle_timeout_;
  Surroundings& surroundings_;
  Output output_;
  SharedSession session_;
  InstancesClient instances_;
  SingletonDemo singleton_;
  // The channel opened last.
  size_t channel_ = 0;
  // The generation that answers must have; 0 until it is known.
  uint64_t generation_ = 0;
  // The generation whose lease ran out; 0 if none has.
  uint64_t first_life_ = 0;
};

}  // namespace

Command AddDemoCommand(CLI::App& parser) {
  const auto fast = std::make_shared<bool>(false);
  CLI::App* app = parser.add_subcommand(
      "demo",
      "Show how two channels share one instance, how its lease starts when the "
      "last one is closed and runs out, and how a third channel gets a new "
      "instance; then a durable singleton, from its start to its purge");
  app->add_flag("--fast", *fast, "a lease of 1s instead of 20s");
  return {app, [fast](const GlobalOptions& global, Surroundings& around) {
            return Demo(*fast ? kFastIdleTimeout : kIdleTimeout, global, around)
                .Run();
          }};
}

}  // namespace leasehold::client::cli
