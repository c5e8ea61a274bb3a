// Linked with the wraps: the calls of the C library below go through them.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "service/network/frame_wraps.h"
#include "service/network/read_turns.h"

namespace leasehold {
namespace {

// A connection that epoll watches as gRPC has it do, with bytes to read.
class ReadWrapsTest : public testing::Test {
 protected:
  static constexpr size_t kSent = 100'000;

  ReadWrapsTest() {
    EXPECT_TRUE(HasFrameWraps());
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends_.data()),
              0);
    epoll_ = epoll_create1(0);
    epoll_event event = {};
    event.events = uint32_t{EPOLLIN} | EPOLLOUT | EPOLLET;
    event.data.ptr = this;
    EXPECT_EQ(epoll_ctl(epoll_, EPOLL_CTL_ADD, ends_[0], &event), 0);
    const std::string bytes(kSent, 'x');
    EXPECT_EQ(write(ends_[1], bytes.data(), bytes.size()),
              static_cast<ssize_t>(kSent));
  }
  ~ReadWrapsTest() override {
    close(epoll_);
    for (const int end : ends_) close(end);
  }

  // Whether the connection has news.
  bool Look() {
    epoll_event event = {};
    const int events = epoll_wait(epoll_, &event, 1, 0);
    return events == 1 && event.data.ptr == this;
  }
  // Reads on until there seems to be no more, as gRPC does.
  size_t Read() {
    size_t sum = 0;
    std::string bytes(1 << 20, '\0');
    for (;;) {
      iovec part = {bytes.data(), bytes.size()};
      msghdr message = {};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      const ssize_t read = recvmsg(ends_[0], &message, 0);
      if (read < 0) {
        EXPECT_EQ(errno, EAGAIN);
        return sum;
      }
      sum += static_cast<size_t>(read);
    }
  }

  std::array<int, 2> ends_ = {};
  int epoll_ = -1;
};

TEST_F(ReadWrapsTest, WhatATurnLeavesIsNewsInTheNext) {
  ASSERT_TRUE(Look());
  EXPECT_EQ(Read(), ReadTurn::kBytesOfLarge);
  ASSERT_TRUE(Look());
  EXPECT_EQ(Read(), kSent - ReadTurn::kBytesOfLarge);
  // All was read: the next news come with the next bytes.
  EXPECT_FALSE(Look());
  ASSERT_EQ(write(ends_[1], "y", 1), 1);
  ASSERT_TRUE(Look());
  EXPECT_EQ(Read(), 1u);
}

TEST_F(ReadWrapsTest, ATurnWithCallsIsShort) {
  size_t sum = 0;
  int turns = 0;
  while (sum < kSent) {
    ASSERT_TRUE(Look());
    ThisThreadsReadTurn().OnCall();
    const size_t read = Read();
    EXPECT_LE(read, ReadTurn::kBytes);
    sum += read;
    ++turns;
  }
  EXPECT_EQ(turns, static_cast<int>((kSent + ReadTurn::kBytes - 1) /
                                    ReadTurn::kBytes));
}

}  // namespace
}  // namespace leasehold
