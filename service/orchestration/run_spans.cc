#include "service/orchestration/run_spans.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lease/base/view.h"
#include "service/orchestration/failure_text.h"
#include "service/orchestration/trace_message.h"

namespace leasehold {
namespace {

// IDs of spans of events, which have no numbers of their own, are derived from
// their places in the history; action IDs have 32 bits.
constexpr uint64_t kEventNumbers = uint64_t{1} << 32;

// A run whose spans are made.
struct Run {
  SpanContext context;  // Of its own span.
  SpanId caller = 0;
  std::string seed;  // Of the other spans.

  SpanContext Child(uint64_t number) const {
    SpanContext child = context;
    child.span = DerivedSpanId(seed, number);
    return child;
  }
  SpanContext Child(std::string_view word) const {
    SpanContext child = context;
    child.span = DerivedSpanId(absl::StrCat(seed, "/", View(word)));
    return child;
  }
};

std::optional<Run> RunOf(const ExecutionStarted& started) {
  if (!started.span_id.has_value()) return std::nullopt;
  const std::optional<SpanId> span = ParseSpanId(*started.span_id);
  std::optional<SpanContext> caller = ContextIn(started.trace);
  if (!span.has_value() || !caller.has_value() || !caller->sampled()) {
    return std::nullopt;
  }
  Run run{
      .context = *std::move(caller),
      .caller = 0,
      .seed = absl::StrCat(*started.span_id, "/",
                           started.orchestration.execution_id.value_or(""))};
  run.caller = std::exchange(run.context.span, *span);
  return run;
}

// `kind:NAME`, or `kind:NAME@(VERSION)`.
std::string NameOf(std::string_view kind, const std::string& name,
                   const Payload& version = std::nullopt) {
  std::string text = absl::StrCat(View(kind), ":", name);
  if (!version.value_or("").empty()) {
    absl::StrAppend(&text, "@(", *version, ")");
  }
  return text;
}

// The name of an entity in its ID, `@name@key`.
std::string EntityName(const std::string& id) {
  const size_t end = id.find('@', 1);
  return id.starts_with('@') ? id.substr(1, end - 1) : id;
}

// What each event ends; those that are not listed end nothing.
class Spans {
 public:
  Spans(const TracedRun& run, const Run& trace, const RuntimeState& state,
        const HistoryEvent& event, std::vector<Span>& spans)
      : run_(run), trace_(trace), state_(state), event_(event), spans_(spans) {}

  void operator()(const TaskCompleted& completed) {
    EndAction("activity", completed.task_scheduled_id);
  }
  void operator()(const TaskFailed& failed) {
    Fail(EndAction("activity", failed.task_scheduled_id), failed.failure);
  }
  void operator()(const SubOrchestrationCompleted& completed) {
    EndAction("orchestration", completed.task_scheduled_id);
  }
  void operator()(const SubOrchestrationFailed& failed) {
    Fail(EndAction("orchestration", failed.task_scheduled_id), failed.failure);
  }
  void operator()(const TimerFired& fired) {
    const UnderWay* begun = Find(fired.timer_id);
    if (begun == nullptr) return;
    Span& span =
        Add(absl::StrCat("orchestration:", state_.started.name, ":timer"),
            SpanKind::kInternal, trace_.Child(Number(fired.timer_id)));
    span.begin = ToTime(begun->time);
    Describe(span, "timer", state_.started.name, run_.id);
    span.attributes.emplace_back("durabletask.task.task_id", fired.timer_id);
    span.attributes.emplace_back(
        "durabletask.fire_at",
        absl::FormatTime(absl::RFC3339_full, ToTime(fired.fire_at),
                         absl::UTCTimeZone()));
  }
  void operator()(const EventRaised& raised) {
    Span& span = Add(NameOf("orchestration_event", raised.name),
                     SpanKind::kConsumer, trace_.Child(NumberOfEvent()));
    span.end = ToTime(run_.now);
    Describe(span, "event", raised.name, run_.id);
  }
  void operator()(const EventSent& sent) {
    Span& span = Add(NameOf("orchestration_event", sent.name),
                     SpanKind::kProducer, trace_.Child(NumberOfEvent()));
    Describe(span, "event", sent.name, run_.id);
    span.attributes.emplace_back("durabletask.event.target_instance_id",
                                 sent.instance_id);
  }
  void operator()(const EntityOperationCompleted& completed) {
    EndCall(completed.request_id);
  }
  void operator()(const EntityOperationFailed& failed) {
    Fail(EndCall(failed.request_id), failed.failure);
  }
  void operator()(const ExecutionCompleted& completed) {
    const ExecutionStarted& started = state_.started;
    Span& span = Add(NameOf("orchestration", started.name, started.version),
                     SpanKind::kServer, trace_.context);
    span.parent = trace_.caller;
    span.begin = run_.created;
    Describe(span, "orchestration", started.name, run_.id, started.version);
    const auto status = static_cast<OrchestrationStatus>(completed.status);
    span.attributes.emplace_back("durabletask.task.status",
                                 std::string(StatusName(status)));
    if (status == OrchestrationStatus::kFailed) {
      span.failed = true;
      span.message = FirstLineOf(completed.failure);
    }
  }
  void operator()(const auto&) {}

 private:
  using UnderWay = RuntimeState::UnderWay;

  static uint64_t Number(int32_t action_id) {
    return static_cast<uint32_t>(action_id);
  }
  uint64_t NumberOfEvent() const {
    return kEventNumbers + static_cast<uint64_t>(state_.event_count);
  }

  const UnderWay* Find(int32_t action_id, const std::string& request_id = "") {
    const auto it = state_.under_way.find({action_id, request_id});
    return it == state_.under_way.end() ? nullptr : &it->second;
  }

  // A child of the run's span that begins and ends with the event.
  Span& Add(std::string name, SpanKind kind, SpanContext context) {
    Span& span = spans_.emplace_back();
    span.context = std::move(context);
    span.parent = trace_.context.span;
    span.name = std::move(name);
    span.kind = kind;
    span.begin = span.end = ToTime(event_.time);
    return span;
  }

  void Describe(Span& span, std::string_view type, const std::string& name,
                const std::string& instance_id,
                const Payload& version = std::nullopt) {
    span.attributes.emplace_back("durabletask.type", std::string(type));
    span.attributes.emplace_back("durabletask.task.name", name);
    if (!version.value_or("").empty()) {
      span.attributes.emplace_back("durabletask.task.version", *version);
    }
    span.attributes.emplace_back("durabletask.task.instance_id", instance_id);
    const Payload& execution = state_.started.orchestration.execution_id;
    if (execution.has_value()) {
      span.attributes.emplace_back("durabletask.task.execution_id", *execution);
    }
  }

  // nullptr: its worker makes the span.
  Span* EndAction(std::string_view type, int32_t action_id) {
    const UnderWay* begun = Find(action_id);
    if (begun == nullptr) return nullptr;
    const SpanContext context = trace_.Child(Number(action_id));
    if (begun->span != context.span) return nullptr;
    Span& span = Add(NameOf(type, begun->name, begun->version),
                     SpanKind::kClient, context);
    span.begin = ToTime(begun->time);
    Describe(span, type, begun->name, run_.id, begun->version);
    span.attributes.emplace_back("durabletask.task.task_id", action_id);
    if (!begun->target.empty()) {
      span.attributes.emplace_back("durabletask.event.target_instance_id",
                                   begun->target);
    }
    return &span;
  }

  Span* EndCall(const std::string& request_id) {
    const UnderWay* begun = Find(0, request_id);
    if (begun == nullptr) return nullptr;
    Span& span = Add(
        absl::StrCat("entity:", EntityName(begun->target), ":", begun->name),
        SpanKind::kClient, trace_.Child(std::string_view(request_id)));
    span.begin = ToTime(begun->time);
    Describe(span, "entity", EntityName(begun->target), run_.id);
    span.attributes.emplace_back("durabletask.event.target_instance_id",
                                 begun->target);
    return &span;
  }

  static void Fail(Span* span, const OpaqueMessage& failure) {
    if (span == nullptr) return;
    span->failed = true;
    span->message = FirstLineOf(failure);
  }

  const TracedRun& run_;
  const Run& trace_;
  const RuntimeState& state_;
  const HistoryEvent& event_;
  std::vector<Span>& spans_;
};

}  // namespace

void GiveSpan(ExecutionStarted& started) {
  started.span_id.reset();
  const std::optional<SpanContext> caller = ContextIn(started.trace);
  if (!caller.has_value() || !caller->sampled()) return;
  started.span_id = HexOf(DerivedSpanId(absl::StrCat(
      FormatTraceParent(*caller), "/", *started.orchestration.execution_id)));
}

OpaqueMessage TraceOfAction(const RuntimeState& state, int32_t action_id,
                            OpaqueMessage given) {
  const OpaqueMessage& own = state.started.trace;
  if (!own.has_value()) return given;
  if (given.has_value() && given != own) {
    // The same, perhaps in other bytes: it was only passed on.
    const std::optional<SpanContext> context = ContextIn(given);
    const std::optional<SpanContext> before = ContextIn(own);
    if (!context.has_value() || !before.has_value() ||
        context->trace != before->trace || context->span != before->span) {
      return given;
    }
  }
  const std::optional<Run> run = RunOf(state.started);
  if (!run.has_value()) return own;
  return TraceMessage(run->Child(uint64_t{static_cast<uint32_t>(action_id)}));
}

void AddSpans(const TracedRun& run, const RuntimeState& state,
              const HistoryEvent& event, std::vector<Span>& spans) {
  if (!state.started.span_id.has_value() || run.worker_makes_spans) return;
  const std::optional<Run> trace = RunOf(state.started);
  if (!trace.has_value()) return;
  std::visit(Spans(run, *trace, state, event, spans), event.body);
}

}  // namespace leasehold
