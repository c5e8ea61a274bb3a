#include "client/cli/top_screen.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/display_width.h"
#include "client/cli/error_text.h"
#include "client/cli/instance_view.h"
#include "client/cli/printable.h"
#include "client/cli/table.h"
#include "client/wire/timestamp.h"

namespace leasehold::client::cli {
namespace {

using leasehold::v1::Metric;
using leasehold::v1::StatsResponse;
using Labels = std::map<std::string, std::string>;

constexpr std::array kWorkKinds = {"orchestrator", "activity", "entity"};
constexpr std::array kPinKinds = {"hold", "join", "echo_stream", "work_item"};

const Metric* Find(const StatsResponse& stats, const char* name) {
  for (const Metric& metric : stats.metrics()) {
    if (metric.name() == name) return &metric;
  }
  return nullptr;
}

bool HasLabels(const Metric::Sample& sample, const Labels& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const auto& label) {
    const auto found = sample.labels().find(label.first);
    return found != sample.labels().end() && found->second == label.second;
  });
}

std::optional<double> SumIn(const StatsResponse& stats, const char* name,
                            const Labels& labels) {
  const Metric* const metric = Find(stats, name);
  if (metric == nullptr) return std::nullopt;
  double sum = 0;
  for (const Metric::Sample& sample : metric->samples()) {
    if (HasLabels(sample, labels)) sum += sample.value();
  }
  return sum;
}

double CountIn(const StatsResponse& stats, const char* name) {
  double count = 0;
  const Metric* const metric = Find(stats, name);
  if (metric == nullptr) return count;
  for (const Metric::Sample& sample : metric->samples()) {
    for (const uint64_t in_bucket : sample.bucket_counts()) {
      count += static_cast<double>(in_bucket);
    }
  }
  return count;
}

std::string Whole(const std::optional<double>& number) {
  return number.has_value() ? absl::StrFormat("%.0f", *number) : "-";
}

std::string PerSecond(const std::optional<double>& rate) {
  if (!rate.has_value()) return "-/s";
  return absl::StrFormat(*rate < 100 ? "%.1f/s" : "%.0f/s", *rate);
}

std::string Bytes(const std::optional<double>& bytes) {
  if (!bytes.has_value()) return "-";
  double size = *bytes;
  size_t unit = 0;
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  while (size >= 1024 && unit + 1 < kUnits.size()) {
    size /= 1024;
    ++unit;
  }
  return absl::StrFormat(unit == 0 ? "%.0f %s" : "%.1f %s", size, kUnits[unit]);
}

std::string Time(const std::optional<double>& seconds) {
  return seconds.has_value() ? BriefDuration(absl::Seconds(*seconds)) : "-";
}

// `calls          12.0/s, 3 open`.
std::string Line(const char* subject, const std::vector<std::string>& parts) {
  return absl::StrFormat("%-15s%s", subject, absl::StrJoin(parts, ", "));
}

}  // namespace

void TopScreen::Apply(StatsResponse stats, EndingLeases leases) {
  std::lock_guard<std::mutex> lock(mu_);
  before_ = std::exchange(last_, std::move(stats));
  leases_ = std::move(leases);
  SortInstances(leases_.instances, order_);
  failure_.clear();
}

void TopScreen::Press(Key key) {
  std::lock_guard<std::mutex> lock(mu_);
  if (key == Key::kSort) {
    order_ = NextInstanceOrder(order_);
    // All of them are idle.
    if (order_ == InstanceOrder::kState) order_ = NextInstanceOrder(order_);
    SortInstances(leases_.instances, order_);
  }
  scroll_.Press(key);
}

void TopScreen::Fail(const absl::Status& why) {
  std::lock_guard<std::mutex> lock(mu_);
  failure_ = absl::StrCat("no news: ", absl::StatusCodeToString(why.code()),
                          ": ", Printable(InPlainWords(why)));
}

absl::Time TopScreen::time() const { return FromProto(last_->time()); }

std::optional<double> TopScreen::Sum(const char* name,
                                     const Labels& labels) const {
  return SumIn(*last_, name, labels);
}

std::optional<double> TopScreen::Rate(const char* name,
                                      const Labels& labels) const {
  if (!before_.has_value()) return std::nullopt;
  const std::optional<double> now = Sum(name, labels);
  const std::optional<double> then = SumIn(*before_, name, labels);
  const double seconds =
      absl::ToDoubleSeconds(time() - FromProto(before_->time()));
  if (!now.has_value() || !then.has_value() || seconds <= 0) {
    return std::nullopt;
  }
  // Another server counts from zero.
  return std::max(0.0, *now - *then) / seconds;
}

std::optional<TopScreen::Growth> TopScreen::GrowthOf(const char* name) const {
  const std::optional<double> sums = Rate(name);
  if (!sums.has_value()) return std::nullopt;
  const double seconds =
      absl::ToDoubleSeconds(time() - FromProto(before_->time()));
  const double count = CountIn(*last_, name) - CountIn(*before_, name);
  if (count <= 0) return Growth{};
  return Growth{.count_per_second = count / seconds,
                .mean = *sums * seconds / count};
}

void TopScreen::AddServerLines(std::vector<std::string>& lines) const {
  lines.push_back(Line(
      "calls", {PerSecond(Rate("leasehold_calls_total")),
                Whole(Sum("leasehold_calls_open")) + " open",
                PerSecond(Rate("leasehold_overload_refused_total")) +
                    " refused by overload",
                PerSecond(Rate("leasehold_limits_hit_total")) + " by limits"}));
  lines.push_back(Line(
      "contexts",
      {Whole(Sum("leasehold_contexts", {{"state", "open"}})) + " open",
       Whole(Sum("leasehold_contexts", {{"state", "closing"}})) + " closing",
       "+" + PerSecond(Rate("leasehold_contexts_created_total")),
       "-" + PerSecond(Rate("leasehold_contexts_closed_total")),
       PerSecond(
           Rate("leasehold_contexts_closed_total", {{"reason", "evicted"}})) +
           " evicted"}));
  std::vector<std::string> pins;
  for (const char* kind : kPinKinds) {
    pins.push_back(absl::StrCat(
        kind, " ", Whole(Sum("leasehold_pins", {{"kind", kind}}))));
  }
  lines.push_back(Line("pins", pins));
  const auto of_status = [this](const char* status) {
    return absl::StrCat(
        Whole(Sum("leasehold_orchestrations", {{"status", status}})), " ",
        status);
  };
  lines.push_back(Line(
      "orchestrations",
      {of_status("running"), of_status("pending"), of_status("suspended"),
       PerSecond(Rate("leasehold_orchestrations_ended_total",
                      {{"status", "failed"}})) +
           " failed",
       PerSecond(Rate("leasehold_orchestrations_started_total")) + " started",
       PerSecond(Rate("leasehold_orchestrations_ended_total")) + " ended"}));
  for (const char* kind : kWorkKinds) {
    const auto items = [&](const char* state) {
      return Whole(
          Sum("leasehold_work_items", {{"kind", kind}, {"state", state}}));
    };
    lines.push_back(
        Line(kind, {items("queued") + " wait", items("out") + " with workers",
                    Whole(Sum("leasehold_worker_slots",
                              {{"kind", kind}, {"state", "free"}})) +
                        " slots free"}));
  }
  lines.push_back(Line(
      "workers",
      {Whole(Sum("leasehold_workers", {{"place", "connected"}})) + " connected",
       Whole(Sum("leasehold_workers", {{"place", "built_in"}})) + " built in",
       Whole(Sum("leasehold_workers_silent")) + " silent"}));
  const std::optional<Growth> times = GrowthOf("leasehold_commit_seconds");
  const std::optional<Growth> sizes = GrowthOf("leasehold_commit_batch_size");
  lines.push_back(Line(
      "commits",
      {PerSecond(Rate("leasehold_commits_total")),
       times.has_value() ? Time(times->mean) + " each" : "- each",
       sizes.has_value() ? absl::StrFormat("%.1f changes each", sizes->mean)
                         : "- changes each",
       "store " + Bytes(Sum("leasehold_store_bytes")),
       Sum("leasehold_store_writable") == 0.0 ? "CANNOT BE WRITTEN"
                                              : "can be written"}));
  const std::optional<double> cpu = Rate("process_cpu_seconds_total");
  lines.push_back(
      Line("process",
           {cpu.has_value() ? absl::StrFormat("%.2f cores", *cpu) : "- cores",
            Bytes(Sum("process_resident_memory_bytes")),
            Whole(Sum("leasehold_connections")) + " connections",
            Whole(Sum("process_open_fds")) + " descriptors"}));
}

void TopScreen::AddTenantLines(std::vector<std::string>& lines) const {
  lines.push_back(
      Line("calls", {PerSecond(Rate("leasehold_tenant_calls_total")),
                     PerSecond(Rate("leasehold_tenant_limits_hit_total")) +
                         " refused by limits"}));
  lines.push_back(
      Line("contexts",
           {Whole(Sum("leasehold_tenant_contexts").value_or(0)) + " open",
            "+" + PerSecond(Rate("leasehold_tenant_contexts_created_total"))}));
  lines.push_back(
      Line("orchestrations",
           {Whole(Sum("leasehold_tenant_orchestrations").value_or(0)) +
            " begun by callers have not ended"}));
  lines.push_back(Line(
      "workers",
      {Whole(Sum("leasehold_tenant_workers").value_or(0)) + " connected"}));
}

std::string TopScreen::LeasesTitle(size_t first, size_t shown) const {
  std::string title =
      order_ == InstanceOrder::kLease
          ? "leases that end next"
          : absl::StrCat("leases by ", InstanceOrderName(order_));
  if (leases_.more) {
    absl::StrAppend(&title, ", of ", leases_.looked_at,
                    " contexts; there are more");
  }
  if (shown < leases_.instances.size()) {
    absl::StrAppend(&title, ", ", first + 1, " to ", first + shown, " of ",
                    leases_.instances.size());
  }
  return title;
}

void TopScreen::AddLeases(size_t columns, size_t first, size_t most,
                          std::vector<std::string>& lines) const {
  const size_t shown = std::min(leases_.instances.size() - first, most);
  lines.emplace_back();
  lines.push_back(LeasesTitle(first, shown));
  if (leases_.instances.empty()) {
    lines.emplace_back("none runs");
    return;
  }
  std::vector<Table::Row> rows;
  for (size_t i = first; i < first + shown; ++i) {
    const Instance& instance = leases_.instances[i];
    rows.push_back(
        {Printable(instance.instance_id),
         BriefDuration(instance.lease_remaining.value_or(absl::ZeroDuration())),
         BriefDuration(instance.idle_timeout),
         absl::StrCat(instance.generation)});
  }
  Look look;
  look.columns = columns;
  const std::string table = Table({{"INSTANCE", Column::Kind::kId},
                                   "ENDS IN",
                                   "IDLE TIMEOUT",
                                   "GENERATION"},
                                  look)
                                .Lines(std::move(rows));
  for (const auto line : absl::StrSplit(table, '\n', absl::SkipEmpty())) {
    lines.emplace_back(line);
  }
}

std::vector<std::string> TopScreen::Numbers() const {
  std::vector<std::string> lines;
  lines.push_back(absl::StrCat(
      Printable(server_), "  ",
      absl::FormatTime("%H:%M:%S", time(), absl::LocalTimeZone()), "  ",
      last_->whole_server() ? "the whole server" : "your tenant"));
  if (!failure_.empty()) lines.push_back(failure_);
  if (last_->whole_server()) {
    AddServerLines(lines);
  } else {
    AddTenantLines(lines);
  }
  return lines;
}

std::vector<std::string> TopScreen::Lines(size_t columns,
                                          size_t leases_max) const {
  std::lock_guard<std::mutex> lock(mu_);
  if (!last_.has_value()) return {};
  std::vector<std::string> lines = Numbers();
  AddLeases(columns, /*first=*/0, leases_max, lines);
  for (std::string& line : lines) line = CutToWidth(line, columns);
  return lines;
}

std::string TopScreen::Draw(int rows, int columns) {
  std::lock_guard<std::mutex> lock(mu_);
  std::vector<std::string> lines;
  const auto width = static_cast<size_t>(std::max(columns, 1));
  if (last_.has_value()) {
    lines = Numbers();
    absl::StrAppend(&lines[0], "  (q ends it, s sorts, arrows scroll)");
    // Besides them: an empty line, the title, the heading, the cursor's.
    const size_t others = lines.size() + 4;
    const size_t fit =
        std::max(static_cast<size_t>(std::max(rows, 1)), others + 1) - others;
    AddLeases(width, scroll_.First(leases_.instances.size(), fit), fit, lines);
  }
  for (std::string& line : lines) line = CutToWidth(line, width);
  return Screen::Text(lines, rows);
}

JsonObject TopScreen::Json(size_t leases_max) const {
  std::lock_guard<std::mutex> lock(mu_);
  JsonObject object;
  if (!last_.has_value()) return object;
  object.Time("time", time()).Flag("whole_server", last_->whole_server());
  std::vector<JsonObject> metrics;
  for (const Metric& metric : last_->metrics()) {
    std::vector<JsonObject> samples;
    for (const Metric::Sample& sample : metric.samples()) {
      const Labels labels(sample.labels().begin(), sample.labels().end());
      samples.emplace_back()
          .MapIfAny("labels", labels)
          .Decimal("value", sample.value());
      if (metric.kind() != Metric::HISTOGRAM) continue;
      uint64_t count = 0;
      for (const uint64_t in_bucket : sample.bucket_counts()) {
        count += in_bucket;
      }
      samples.back().Number("count", count);
    }
    metrics.emplace_back()
        .Text("name", metric.name())
        .DecimalOrNull("per_second", metric.kind() == Metric::COUNTER
                                         ? Rate(metric.name().c_str())
                                         : std::nullopt)
        .Objects("samples", samples);
  }
  object.Objects("metrics", metrics);
  std::vector<JsonObject> leases;
  for (const Instance& instance : leases_.instances) {
    if (leases.size() == leases_max) break;
    leases.push_back(InstanceJson(instance, time()));
  }
  object.Objects("leases_ending", leases).Flag("more_contexts", leases_.more);
  return object;
}

}  // namespace leasehold::client::cli
