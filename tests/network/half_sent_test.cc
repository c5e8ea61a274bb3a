#include "service/network/half_sent.h"

#include <cstddef>
#include <string>

#include "gtest/gtest.h"

namespace leasehold {
namespace {

// A message on the wire: flags, its size, its bytes.
std::string Message(size_t size) {
  std::string message(1, '\0');
  for (int shift : {24, 16, 8, 0}) {
    message.push_back(static_cast<char>(size >> shift));
  }
  return message + std::string(size, 'x');
}

class HalfSentTest : public testing::Test {
 protected:
  // Addresses of connections and streams; never dereferenced.
  static const void* At(size_t address) {
    return reinterpret_cast<const void*>(address);
  }

  bool Admit(size_t connection, size_t stream, const std::string& bytes) {
    return half_sent_.Admit(At(connection), At(stream), bytes);
  }
  // The first `bytes` bytes of a larger message.
  bool Begin(size_t connection, size_t stream, size_t bytes) {
    return Admit(connection, stream, Message(10'000).substr(0, bytes));
  }

  int refused_ = 0;
  HalfSent half_sent_{{.connection_bytes_max = 1000, .bytes_max = 4000},
                      [this] { ++refused_; }};
};

TEST_F(HalfSentTest, WholeMessagesAreNotCounted) {
  EXPECT_TRUE(Admit(1, 10, Message(3000)));
  EXPECT_TRUE(Admit(1, 11, Message(0) + Message(9000) + Message(1)));
  EXPECT_EQ(half_sent_.bytes(), 0u);
}

TEST_F(HalfSentTest, BytesCountFromTheFirstOfAMessageToTheOneBeforeItsLast) {
  const std::string message = Message(300);
  for (size_t i = 0; i + 1 < message.size(); ++i) {
    EXPECT_TRUE(Admit(1, 10, message.substr(i, 1)));
    EXPECT_EQ(half_sent_.bytes(), i + 1);
  }
  EXPECT_TRUE(Admit(1, 10, message.substr(304)));
  EXPECT_EQ(half_sent_.bytes(), 0u);
}

TEST_F(HalfSentTest, WhatFollowsAWholeMessageBeginsTheNext) {
  EXPECT_TRUE(Begin(1, 10, 100));
  EXPECT_TRUE(Admit(1, 10, std::string(9905, 'x') + Message(500).substr(0, 7)));
  EXPECT_EQ(half_sent_.bytes(), 7u);
  EXPECT_TRUE(Admit(1, 10, std::string(498, 'x')));
  EXPECT_EQ(half_sent_.bytes(), 0u);
}

TEST_F(HalfSentTest, EmptyMessageIsWholeWithItsPrefix) {
  EXPECT_TRUE(Admit(1, 10, Message(0).substr(0, 4)));
  EXPECT_EQ(half_sent_.bytes(), 4u);
  EXPECT_TRUE(Admit(1, 10, Message(0).substr(4)));
  EXPECT_EQ(half_sent_.bytes(), 0u);
}

TEST_F(HalfSentTest, ConnectionHasItsBoundOverAllOfItsStreams) {
  EXPECT_TRUE(Begin(1, 10, 600));
  EXPECT_TRUE(Begin(1, 11, 400));
  EXPECT_TRUE(Begin(2, 20, 900));
  EXPECT_FALSE(Begin(1, 12, 1));
  EXPECT_EQ(refused_, 1);
  EXPECT_EQ(half_sent_.bytes(), 1900u);
}

TEST_F(HalfSentTest, OneMessageAloneHasRoom) {
  EXPECT_TRUE(Begin(1, 10, 3000));
  EXPECT_FALSE(Begin(1, 11, 1));
  EXPECT_TRUE(Admit(1, 10, std::string(500, 'x')));
}

TEST_F(HalfSentTest, RefusedStreamIsForgottenAndTheOthersGoOn) {
  EXPECT_TRUE(Begin(1, 10, 600));
  EXPECT_TRUE(Begin(1, 11, 300));
  EXPECT_FALSE(Admit(1, 11, std::string(200, 'x')));
  EXPECT_EQ(half_sent_.bytes(), 600u);
  half_sent_.OnStreamEnded(At(11));
  EXPECT_TRUE(Admit(1, 10, std::string(300, 'x')));
  EXPECT_EQ(half_sent_.bytes(), 900u);
}

TEST_F(HalfSentTest, TheEndOfAMessageIsAdmittedThoughThereIsNoRoom) {
  EXPECT_TRUE(Begin(1, 10, 3000));
  EXPECT_TRUE(Begin(2, 20, 900));
  EXPECT_TRUE(Begin(3, 30, 900));  // Over the total limit; less than a third.
  EXPECT_TRUE(Admit(1, 10, std::string(7005, 'x')));
  EXPECT_EQ(half_sent_.bytes(), 1800u);
}

TEST_F(HalfSentTest, WhenAllHaveTooMuchThoseOverTheirShareAreRefused) {
  EXPECT_TRUE(Begin(1, 10, 3500));
  EXPECT_TRUE(Begin(2, 20, 900));  // Under half of 4000.
  EXPECT_FALSE(Admit(1, 10, std::string(1, 'x')));
  EXPECT_EQ(half_sent_.bytes(), 900u);
  EXPECT_TRUE(Admit(2, 20, std::string(100, 'x')));
}

TEST_F(HalfSentTest, AStreamAtTheAddressOfOneThatHasEndedStartsFresh) {
  EXPECT_TRUE(Begin(1, 10, 700));
  half_sent_.OnStreamEnded(At(10));
  EXPECT_EQ(half_sent_.bytes(), 0u);
  EXPECT_TRUE(Admit(2, 10, Message(5)));
  EXPECT_EQ(half_sent_.bytes(), 0u);
}

}  // namespace
}  // namespace leasehold
