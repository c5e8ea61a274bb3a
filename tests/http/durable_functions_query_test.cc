#include "service/http/durable_functions_query.h"

#include <string>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::optional<StoredTime> TimeOf(const std::string& text, bool good = true) {
  const HttpFields fields{{"createdTimeFrom", text}};
  QueryReader query(fields);
  const auto time = query.Time("createdTimeFrom");
  EXPECT_EQ(query.status().ok(), good) << text << ": " << query.status();
  return time;
}

std::string ErrorOf(const HttpFields& fields) {
  QueryReader query(fields);
  query.Statuses();
  query.Top();
  query.Flag("showInput", true);
  query.Seconds("timeout");
  query.Policy();
  return std::string(query.status().message());
}

TEST(QueryReader, ReadsTimesAsClientsWriteThem) {
  constexpr StoredTime kSecond = 1'763'772'168'000'000;
  EXPECT_EQ(TimeOf("2025-11-22T00:42:48Z"), kSecond);
  EXPECT_EQ(TimeOf("2025-11-22T00:42:48.123Z"), kSecond + 123'000);
  EXPECT_EQ(TimeOf("2025-11-22T00:42:48.1234567Z"), kSecond + 123'456);
  EXPECT_EQ(TimeOf("2025-11-22T02:42:48+02:00"), kSecond);
  // Not encoded, the plus has become a space.
  EXPECT_EQ(TimeOf("2025-11-22T02:42:48 02:00"), kSecond);
  EXPECT_EQ(TimeOf("2025-11-21T19:42:48-05:00"), kSecond);
  // Without a zone it is UTC.
  EXPECT_EQ(TimeOf("2025-11-22T00:42:48"), kSecond);
  EXPECT_EQ(TimeOf("2025-11-22 00:42:48"), kSecond);
  EXPECT_EQ(TimeOf("2025-11-22T00:42Z"), kSecond - 48'000'000);
  EXPECT_EQ(TimeOf("2025-11-22"), kSecond - 2'568'000'000);
}

TEST(QueryReader, ReadsYearsThatPythonHasNotPadded) {
  const auto first = TimeOf("0001-01-01T00:00:00Z");
  EXPECT_EQ(TimeOf("1-01-01T00:00:00.000000Z"), first);
  EXPECT_TRUE(first.has_value());
  EXPECT_TRUE(TimeOf("9999-12-31T23:59:59.9999999Z").has_value());
}

TEST(QueryReader, RefusesWhatIsNoTime) {
  for (const char* text :
       {"", "yesterday", "2025", "2025-13-01", "2025-11-22T25:00:00Z",
        "0-01-01", "10000-01-01T00:00:00Z", "-1-01-01", "2025-11-22T00:42:48Zx",
        "infinite-past", "infinite-future"}) {
    EXPECT_EQ(TimeOf(text, /*good=*/false), std::nullopt);
  }
}

TEST(QueryReader, ReadsStatusesInAnyCaseAndFromSeveralParameters) {
  const HttpFields fields{{"RUNTIMESTATUS", "running,Failed"},
                          {"runtimeStatus", "PENDING"}};
  QueryReader query(fields);
  EXPECT_THAT(query.Statuses(), ElementsAre(0, 3, 6));
  EXPECT_TRUE(query.status().ok());
  const HttpFields none;
  EXPECT_THAT(QueryReader(none).Statuses(), IsEmpty());
}

TEST(QueryReader, RefusesAMisspeltStatusInPlaceOfMatchingAll) {
  EXPECT_THAT(ErrorOf({{"runtimeStatus", "Runing"}}),
              HasSubstr("runtimeStatus: has Running, Completed"));
  EXPECT_THAT(ErrorOf({{"runtimeStatus", "Runing"}}), HasSubstr("\"Runing\""));
  EXPECT_THAT(ErrorOf({{"runtimeStatus", ""}}), HasSubstr("runtimeStatus: "));
  EXPECT_THAT(ErrorOf({{"runtimeStatus", "Failed,"}}),
              HasSubstr("runtimeStatus: "));
  EXPECT_THAT(ErrorOf({{"runtimeStatus", "0"}}), HasSubstr("runtimeStatus: "));
}

TEST(QueryReader, ReadsFlagsInAnyCase) {
  const HttpFields fields{{"showHistory", "True"}, {"showInput", "FALSE"}};
  QueryReader query(fields);
  EXPECT_TRUE(query.Flag("showHistory", false));
  EXPECT_FALSE(query.Flag("showInput", true));
  EXPECT_TRUE(query.Flag("other", true));
  EXPECT_TRUE(query.status().ok());
  EXPECT_EQ(ErrorOf({{"showInput", "yes"}}),
            "showInput: is one of false, true: \"yes\"");
  EXPECT_EQ(ErrorOf({{"showInput", "true"}, {"showinput", "false"}}),
            "showInput: is there twice: \"false\"");
}

TEST(QueryReader, BoundsTop) {
  const auto top = [](const std::string& text) {
    const HttpFields fields{{"top", text}};
    return QueryReader(fields).Top();
  };
  EXPECT_EQ(top("7"), 7);
  EXPECT_EQ(top("1000000"), QueryReader::kTopMax);
  for (const char* text : {"0", "-1", "ten", "1.5", "", "99999999999"}) {
    EXPECT_THAT(ErrorOf({{"top", text}}), HasSubstr("top: is a number"));
  }
  const HttpFields none;
  EXPECT_EQ(QueryReader(none).Top(), 100);
}

TEST(QueryReader, ReadsSecondsWithAFraction) {
  const HttpFields fields{{"timeout", "0.25"}};
  EXPECT_EQ(QueryReader(fields).Seconds("timeout"), absl::Milliseconds(250));
  for (const char* text : {"-1", "nan", "inf", "1e999", "a", ""}) {
    EXPECT_THAT(ErrorOf({{"timeout", text}}),
                HasSubstr("timeout: is a number"));
  }
}

TEST(QueryReader, ByDefaultReplacesWhatHasEndedAndRefusesWhatIsActive) {
  const auto decide = [](const HttpFields& fields, OrchestrationStatus status) {
    return DecideStart(status, QueryReader(fields).Policy());
  };
  using enum OrchestrationStatus;
  EXPECT_EQ(decide({}, kRunning), StartDecision::kRefuse);
  EXPECT_EQ(decide({}, kSuspended), StartDecision::kRefuse);
  EXPECT_EQ(decide({}, kCompleted), StartDecision::kReplace);
  EXPECT_EQ(decide({}, kTerminated), StartDecision::kReplace);
  const HttpFields attach{{"ifActive", "attach"}, {"ifFinished", "Fail"}};
  EXPECT_EQ(decide(attach, kPending), StartDecision::kAttach);
  EXPECT_EQ(decide(attach, kFailed), StartDecision::kRefuse);
  const HttpFields terminate{{"ifactive", "TERMINATE"},
                             {"ifFinished", "ATTACH"}};
  EXPECT_EQ(decide(terminate, kRunning), StartDecision::kReplace);
  EXPECT_EQ(decide(terminate, kCompleted), StartDecision::kAttach);
  EXPECT_EQ(ErrorOf({{"ifActive", "REPLACE"}}),
            "ifActive: is one of FAIL, ATTACH, TERMINATE: \"REPLACE\"");
}

}  // namespace
}  // namespace leasehold
