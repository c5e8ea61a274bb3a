#include "service/http/durable_functions_entities.h"

#include <string>

#include "gmock/gmock.h"
#include "tests/http/durable_functions_fixture.h"

namespace leasehold {
namespace {

using testing::HasSubstr;

const HttpFields kIsJson = {
    {"content-type", "Application/JSON; charset=utf-8"}};

class DurableFunctionsEntitiesTest : public DurableFunctionsTest {};

TEST_F(DurableFunctionsEntitiesTest, AnswersWithTheStateItself) {
  entities.info = {
      .id = "@counter@a", .has_state = true, .state = "{\"n\": 1}"};
  const Answer answer = Send("GET", "/Entities/Counter/a");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "{\"n\": 1}");
  EXPECT_EQ(entities.TakeCall(), "GetEntity default/@counter@a state");
}

TEST_F(DurableFunctionsEntitiesTest, OneWithoutAStateIsNotThere) {
  EXPECT_EQ(Send("GET", "/entities/c/a").status, 404);
  entities.info = {.id = "@c@a",
                   .has_state = false};  // Something waits for it.
  const Answer answer = Send("GET", "/entities/c/a");
  EXPECT_EQ(answer.status, 404);
  EXPECT_THAT(answer.body, HasSubstr(R"("instanceId":"@c@a")"));
}

TEST_F(DurableFunctionsEntitiesTest, ADollarIsTheEmptyKey) {
  EXPECT_EQ(Send("POST", "/entities/c/$?op=add").status, 202);
  EXPECT_EQ(entities.TakeCall(), "Signal default/@c@ add none ");
}

TEST_F(DurableFunctionsEntitiesTest, ANameCannotMakeAnotherEntitysId) {
  for (const char* path :
       {"/entities/c@d/a", "/entities/@c/a", "/entities/c@/"}) {
    EXPECT_EQ(Send("GET", path).status, 400) << path;
  }
  EXPECT_EQ(entities.untaken_calls(), 0U);
}

TEST_F(DurableFunctionsEntitiesTest, ABodyOfJsonIsTheInputAndAnyOtherIsText) {
  EXPECT_EQ(Send("POST", "/entities/c/a?op=add", "[1, 2]", kIsJson).status,
            202);
  EXPECT_EQ(entities.TakeCall(), "Signal default/@c@a add [1, 2] ");
  EXPECT_EQ(Send("POST", "/entities/c/a?op=add", "[1, 2]").status, 202);
  EXPECT_EQ(entities.TakeCall(), "Signal default/@c@a add \"[1, 2]\" ");
  EXPECT_EQ(Send("POST", "/entities/c/a", "", kIsJson).status, 202);
  EXPECT_EQ(entities.TakeCall(), "Signal default/@c@a  none ");
}

TEST_F(DurableFunctionsEntitiesTest, RefusesABodyThatIsNotWhatItSays) {
  EXPECT_EQ(Send("POST", "/entities/c/a", "[1", kIsJson).status, 400);
  EXPECT_EQ(Send("POST", "/entities/c/a", "\xff").status, 400);
  EXPECT_EQ(entities.untaken_calls(), 0U);
}

TEST_F(DurableFunctionsEntitiesTest, DeleteSignalsTheOperationDelete) {
  EXPECT_EQ(Send("DELETE", "/entities/c/a").status, 202);
  EXPECT_EQ(entities.TakeCall(), "Signal default/@c@a delete none ");
}

TEST_F(DurableFunctionsEntitiesTest, ListsAllOrThoseOfAName) {
  entities.list.entities = {{.id = "@c@a"}, {.id = "@c@b"}};
  const Answer all = Send("GET", "/entities?top=2&fetchState=true");
  EXPECT_EQ(all.status, 200);
  EXPECT_THAT(all.body,
              testing::StartsWith(R"([{"entityId":{"name":"c","key":"a"},)"));
  EXPECT_EQ(entities.TakeCall(),
            "QueryEntities default/* 2 state x-ms-continuation-token=");
  EXPECT_FALSE(all.headers.Has("x-ms-continuation-token"));

  entities.list.next_page_token = "next";
  const Answer named =
      Send("GET", "/entities/C/?lastOperationTimeFrom=2025-01-01", "",
           {{"X-MS-Continuation-Token", "token"}});
  EXPECT_EQ(
      entities.TakeCall(),
      "QueryEntities default/@c@* 100 from x-ms-continuation-token=token");
  EXPECT_EQ(named.headers.Get("x-ms-continuation-token"), "next");
}

TEST_F(DurableFunctionsEntitiesTest, SaysWhatTheEngineSays) {
  entities.failure = absl::ResourceExhaustedError("full");
  EXPECT_EQ(Send("POST", "/entities/c/a").status, 429);
  EXPECT_EQ(Send("GET", "/entities/c/a").status, 429);
  EXPECT_EQ(Send("GET", "/entities").status, 429);
}

}  // namespace
}  // namespace leasehold
