// Numbers for Prometheus: their text, the labels of tenants, and what the
// kernel says of a process.
#include <unistd.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/metrics/process_stats.h"
#include "service/metrics/prometheus_stats.h"
#include "service/metrics/stat_list.h"
#include "service/metrics/tenant_labels.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

class FixedStats final : public StatsSource {
 public:
  explicit FixedStats(std::vector<StatFamily> families)
      : families_(std::move(families)) {}
  std::vector<StatFamily> Collect(const StatsScope&) override {
    return families_;
  }

 private:
  const std::vector<StatFamily> families_;
};

std::string TextOf(StatList& list) {
  FixedStats source(list.Take());
  return PrometheusStats(source, {.whole_server = true}).Text();
}

TEST(PrometheusText, ACounterAndAGaugeHaveHelpTypeAndLabels) {
  StatList list;
  list.Counter("leasehold_calls_total", "Calls.")
      .Add(3, {{"method", "Echo"}, {"code", "OK"}});
  list.Gauge("leasehold_leases", "Leases.").Add(12);
  EXPECT_EQ(TextOf(list),
            "# HELP leasehold_calls_total Calls.\n"
            "# TYPE leasehold_calls_total counter\n"
            "leasehold_calls_total{method=\"Echo\",code=\"OK\"} 3\n"
            "# HELP leasehold_leases Leases.\n"
            "# TYPE leasehold_leases gauge\n"
            "leasehold_leases 12\n");
}

TEST(PrometheusText, AHistogramOfTimesIsInSecondsAndItsBucketsAddUp) {
  TimeHistogram times;
  times.Add(10'000);          // The first bound.
  times.Add(2'000'000);       // 2 ms.
  times.Add(20'000'000'000);  // Above all.
  StatList list;
  list.Times("leasehold_commit_seconds", "Time.").Add(times.Read());
  const std::string text = TextOf(list);
  EXPECT_THAT(text, HasSubstr("# TYPE leasehold_commit_seconds histogram\n"));
  EXPECT_THAT(text, HasSubstr("leasehold_commit_seconds_count 3\n"));
  EXPECT_THAT(text, HasSubstr("leasehold_commit_seconds_bucket{le=\"0.001\"} "
                              "1\n"));
  EXPECT_THAT(text, HasSubstr("leasehold_commit_seconds_bucket{le=\"0.0025\"} "
                              "2\n"));
  EXPECT_THAT(text,
              HasSubstr("leasehold_commit_seconds_bucket{le=\"10\"} 2\n"));
  EXPECT_THAT(text,
              HasSubstr("leasehold_commit_seconds_bucket{le=\"+Inf\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("leasehold_commit_seconds_sum 20.00201"));
}

TEST(PrometheusText, AHistogramThatHasCountedNothingHasAllItsBuckets) {
  StatList list;
  list.Sizes("leasehold_commit_batch_size", "Size.").Add(HistogramReading());
  const std::string text = TextOf(list);
  EXPECT_THAT(text,
              HasSubstr("leasehold_commit_batch_size_bucket{le=\"1024\"} 0\n"));
  EXPECT_THAT(text,
              HasSubstr("leasehold_commit_batch_size_bucket{le=\"+Inf\"} 0\n"));
}

TEST(PrometheusText, WhatALabelContainsIsEscaped) {
  StatList list;
  list.Gauge("leasehold_leases", "Leases.").Add(1, {{"tenant", "a\"b\\c\nd"}});
  EXPECT_THAT(TextOf(list),
              HasSubstr("leasehold_leases{tenant=\"a\\\"b\\\\c\\nd\"} 1\n"));
}

TEST(PrometheusText, AFamilyWithoutSamplesIsLeftOut) {
  StatList list;
  list.Gauge("leasehold_leases", "Leases.");
  EXPECT_EQ(TextOf(list), "");
}

using Numbers = std::map<std::string, uint64_t>;

TEST(TenantLabels, TheFirstHundredHaveTheirOwnAndTheRestAreOther) {
  TenantLabels labels;
  Numbers tenants;
  for (int i = 0; i < 150; ++i) tenants[absl::StrCat("t", 1000 + i)] = 1;
  const Numbers folded = labels.Fold(tenants, {.whole_server = true});
  EXPECT_EQ(folded.size(), 101);
  EXPECT_EQ(folded.at("other"), 50);
  EXPECT_EQ(folded.at("t1000"), 1);
  EXPECT_EQ(folded.at("t1099"), 1);
  EXPECT_FALSE(folded.contains("t1100"));
}

TEST(TenantLabels, ALabelStaysATenantsWhateverComesLater) {
  TenantLabels labels(2);
  EXPECT_THAT(labels.Fold(Numbers{{"m", 1}, {"n", 2}}, {.whole_server = true}),
              ElementsAre(Pair("m", 1), Pair("n", 2)));
  // `a` comes first in the alphabet, and has no label all the same.
  EXPECT_THAT(labels.Fold(Numbers{{"a", 5}, {"m", 1}, {"n", 2}, {"z", 7}},
                          {.whole_server = true}),
              ElementsAre(Pair("m", 1), Pair("n", 2), Pair("other", 12)));
}

TEST(TenantLabels, ATenantThatIsCalledOtherTakesNoLabel) {
  TenantLabels labels(1);
  EXPECT_THAT(
      labels.Fold(Numbers{{"other", 3}, {"z", 2}}, {.whole_server = true}),
      ElementsAre(Pair("other", 3), Pair("z", 2)));
}

TEST(TenantLabels, ATenantSeesItsOwnNumberAlone) {
  TenantLabels labels(1);
  const Numbers tenants = {{"a", 5}, {"b", 7}, {"other", 9}};
  EXPECT_EQ(labels.LabelOf("a"), "a");  // The only label is gone.
  EXPECT_THAT(labels.Fold(tenants, {.tenant = "b"}), ElementsAre(Pair("b", 7)));
  EXPECT_THAT(labels.Fold(tenants, {.tenant = "none"}), ElementsAre());
}

TEST(TenantLabels, ThreadsAgreeOnWhoHasALabel) {
  TenantLabels labels(10);
  std::vector<std::string> found(400);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 100; ++i) {
        found[t * 100 + i] = labels.LabelOf(absl::StrCat("t", i));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < 100; ++i) {
    // Who was told its own name first, keeps it.
    const std::string again = labels.LabelOf(absl::StrCat("t", i));
    for (size_t t = 0; t < 4; ++t) EXPECT_EQ(found[t * 100 + i], again);
  }
}

TEST(ProcessStat, IsReadWhateverTheProgramIsCalled) {
  const auto numbers = ParseProcessStat(
      "42 (odd) name (x) S 4 5 6 7 8 9 10 11 12 13 150 50 16 17 18 19 21 0 "
      "1000 8192 3 25",
      100, 4096);
  ASSERT_TRUE(numbers.has_value());
  EXPECT_EQ(numbers->cpu_seconds, 2);
  EXPECT_EQ(numbers->threads, 21);
}

TEST(ProcessStat, HasItsFieldsWhereTheKernelPutsThem) {
  // As proc(5): state is the third field, utime the 14th.
  const auto numbers = ParseProcessStat(
      "42 (a) S 4 5 6 7 8 9 10 11 12 13 150 50 16 17 18 19 21 0 1000 8192 3 25",
      100, 4096);
  ASSERT_TRUE(numbers.has_value());
  EXPECT_EQ(numbers->cpu_seconds, 2);
  EXPECT_EQ(numbers->threads, 21);
  EXPECT_EQ(numbers->start_seconds, 10);
  EXPECT_EQ(numbers->virtual_bytes, 8192);
  EXPECT_EQ(numbers->resident_bytes, 3 * 4096);
}

TEST(ProcessStat, WhatIsNotOfThatFormIsRefused) {
  for (const char* text :
       {"", "42", "42 (a", "42 (a)", "42 (a) S 1 2 3",
        "42 (a) S x x x x x x x x x x x x x x x x x x x x"}) {
    EXPECT_FALSE(ParseProcessStat(text, 100, 4096).has_value()) << text;
  }
}

TEST(ProcessStats, ShowThisProcess) {
  StatList list;
  AddProcessStats(list);
  const std::string text = TextOf(list);
  for (const char* name :
       {"process_cpu_seconds_total", "process_resident_memory_bytes",
        "process_start_time_seconds", "process_open_fds", "process_max_fds"}) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat("\n", name, " ")));
    // A process this young may have had no CPU that the system counts.
    if (absl::string_view(name) == "process_cpu_seconds_total") continue;
    EXPECT_THAT(text, Not(HasSubstr(absl::StrCat("\n", name, " 0\n"))));
  }
}

}  // namespace
}  // namespace leasehold
