#include "service/host/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <ostream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace leasehold {
namespace {

using ::testing::HasSubstr;

// ---- Parse, IsLoopback, ToString

struct Good {
  std::string text;
  std::string host;
  int port;
  bool loopback;
};
void PrintTo(const Good& good, std::ostream* out) { *out << good.text; }

class GoodAddress : public testing::TestWithParam<Good> {};

TEST_P(GoodAddress, IsReadJudgedAndShownAsItWasWritten) {
  const Good& good = GetParam();
  const absl::StatusOr<ListenAddress> address = ListenAddress::Parse(good.text);
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_FALSE(address->is_unix());
  EXPECT_EQ(address->host, good.host);
  EXPECT_EQ(address->port, good.port);
  EXPECT_EQ(address->IsLoopback(), good.loopback);
  EXPECT_EQ(address->ToString(), good.text);
}

INSTANTIATE_TEST_SUITE_P(
    ListenAddress, GoodAddress,
    testing::Values(
        Good{"127.0.0.1:4001", "127.0.0.1", 4001, true},
        Good{"127.255.0.9:1", "127.255.0.9", 1, true},
        Good{"[::1]:4001", "::1", 4001, true},
        Good{"localhost:0", "localhost", 0, true},
        Good{"0.0.0.0:65535", "0.0.0.0", 65535, false},
        Good{"[::]:4001", "::", 4001, false},
        Good{"10.0.0.1:4001", "10.0.0.1", 4001, false},
        Good{"128.0.0.1:4001", "128.0.0.1", 4001, false},
        Good{"[2001:db8::1]:80", "2001:db8::1", 80, false},
        Good{"[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", 80, false},
        // A name could mean anything.
        Good{"localhost.example:80", "localhost.example", 80, false},
        Good{"127.0.0.1.example:80", "127.0.0.1.example", 80, false}));

TEST(ListenAddress, UnixSocketIsReadShownAndLoopback) {
  const absl::StatusOr<ListenAddress> address =
      ListenAddress::Parse("unix:/run/with:colon.sock");
  ASSERT_TRUE(address.ok()) << address.status();
  EXPECT_TRUE(address->is_unix());
  EXPECT_EQ(address->unix_path, "/run/with:colon.sock");
  EXPECT_TRUE(address->IsLoopback());
  EXPECT_EQ(address->ToString(), "unix:/run/with:colon.sock");
}

TEST(ListenAddress, UnixPathMayBeAsLongAsTheSystemAllowsAndNoLonger) {
  EXPECT_TRUE(ListenAddress::Parse("unix:" + std::string(107, 'p')).ok());
  const absl::Status status =
      ListenAddress::Parse("unix:" + std::string(108, 'p')).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("has a path of 108 bytes; at most 107 are possible"));
}

struct Bad {
  std::string text;
  std::string rule;
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.text; }

class BadAddress : public testing::TestWithParam<Bad> {};

TEST_P(BadAddress, IsRefusedWithItsRuleAndValue) {
  const auto& [text, rule] = GetParam();
  const absl::Status status = ListenAddress::Parse(text).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(std::string(status.message()),
            "\"" + text + "\" " + rule + "; use HOST:PORT or unix:PATH");
}

constexpr char kBrackets[] =
    "needs brackets around its IPv6 address, as in [::1]:4001";
constexpr char kBadPort[] = "has a port that is not a number from 0 to 65535";

INSTANTIATE_TEST_SUITE_P(
    ListenAddress, BadAddress,
    testing::Values(Bad{"", "has no port"}, Bad{"localhost", "has no port"},
                    Bad{":4001", "names no host"}, Bad{"[]:1", "names no host"},
                    Bad{"unix:", "names no path"}, Bad{"::1:4001", kBrackets},
                    Bad{"::1", kBrackets}, Bad{"[::1]", "has no port"},
                    Bad{"[::1:4001", "has one bracket without the other"},
                    Bad{"[localhost:1", "has one bracket without the other"},
                    Bad{"localhost]:1", "has one bracket without the other"},
                    Bad{"localhost:", kBadPort}, Bad{"localhost:x", kBadPort},
                    Bad{"localhost:-1", kBadPort},
                    Bad{"localhost:65536", kBadPort},
                    Bad{"localhost:99999999999", kBadPort}));

// ---- CheckCanListen

// A socket of the test's own.
class OwnSocket {
 public:
  OwnSocket(int family, int type) : fd_(socket(family, type, 0)) {}
  OwnSocket(const OwnSocket&) = delete;
  OwnSocket& operator=(const OwnSocket&) = delete;
  ~OwnSocket() { Close(); }

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  // Listens on a free port of 127.0.0.1, which it returns.
  int ListenOnLoopback() {
    sockaddr_in name = {};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(name);
    auto* address = reinterpret_cast<sockaddr*>(&name);
    EXPECT_EQ(bind(fd_, address, size), 0);
    EXPECT_EQ(listen(fd_, 1), 0);
    EXPECT_EQ(getsockname(fd_, address, &size), 0);
    return ntohs(name.sin_port);
  }

  void BindTo(const std::string& path) {
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    std::strncpy(name.sun_path, path.c_str(), sizeof(name.sun_path) - 1);
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof(name)),
              0);
  }

  int fd() const { return fd_; }

 private:
  int fd_;
};

class CheckCanListenTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/listenXXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
    path_ = folder_ + "/s";
  }
  void TearDown() override {
    unlink(path_.c_str());
    rmdir(folder_.c_str());
  }

  bool Exists() const {
    struct stat found = {};
    return lstat(path_.c_str(), &found) == 0;
  }
  // The refusal of the Unix socket at path_, less what all have.
  std::string WhyNotUnix() const {
    const absl::Status status =
        CheckCanListen({.host = "", .port = 0, .unix_path = path_});
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    const std::string begin = "cannot listen on unix:" + path_ + ": ";
    const std::string message(status.message());
    EXPECT_EQ(message.substr(0, begin.size()), begin);
    return message.substr(std::min(begin.size(), message.size()));
  }

  std::string folder_;
  std::string path_;
};

TEST_F(CheckCanListenTest, FreePortIsFineAndStaysFree) {
  const ListenAddress any = {.host = "127.0.0.1", .port = 0, .unix_path = ""};
  EXPECT_TRUE(CheckCanListen(any).ok());
  OwnSocket socket(AF_INET, SOCK_STREAM);
  const int port = socket.ListenOnLoopback();
  socket.Close();
  const ListenAddress address = {
      .host = "127.0.0.1", .port = port, .unix_path = ""};
  EXPECT_TRUE(CheckCanListen(address).ok());
  EXPECT_TRUE(CheckCanListen(address).ok());
}

TEST_F(CheckCanListenTest, PortInUseIsUnavailableAndNamed) {
  OwnSocket socket(AF_INET, SOCK_STREAM);
  const ListenAddress address = {
      .host = "127.0.0.1", .port = socket.ListenOnLoopback(), .unix_path = ""};
  const absl::Status status = CheckCanListen(address);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(
      std::string(status.message()),
      "cannot listen on " + address.ToString() + ": Address already in use");
}

TEST_F(CheckCanListenTest, HostThatIsNotKnownIsUnavailableAndNamed) {
  const absl::Status status =
      CheckCanListen({.host = "no such host", .port = 4001, .unix_path = ""});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("cannot listen on no such host:4001: the host is not "
                        "known here ("));
}

// 192.0.2.0/24 is for documentation: no machine has such an address.
TEST_F(CheckCanListenTest, AddressOfAnotherMachineIsUnavailable) {
  const absl::Status status =
      CheckCanListen({.host = "192.0.2.1", .port = 0, .unix_path = ""});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("Cannot assign requested address"));
}

TEST_F(CheckCanListenTest, Ipv6AddressThatIsNotHereIsNotFound) {
  const absl::Status status =
      CheckCanListen({.host = "2001:db8::1", .port = 0, .unix_path = ""});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("cannot listen on [2001:db8::1]:0: "));
}

// Of the families of a name, one may be missing here.
TEST_F(CheckCanListenTest, NameIsFineIfOneOfItsAddressesIsHere) {
  EXPECT_TRUE(
      CheckCanListen({.host = "localhost", .port = 0, .unix_path = ""}).ok());
}

// The reason must be that of the call that failed, not of one after it.
TEST_F(CheckCanListenTest, SocketThatCannotBeMadeIsRefusedWithTheReason) {
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none = {.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const absl::Status tcp =
      CheckCanListen({.host = "127.0.0.1", .port = 0, .unix_path = ""});
  const std::string unix_socket = WhyNotUnix();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(tcp.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(std::string(tcp.message()),
            "cannot listen on 127.0.0.1:0: Too many open files");
  EXPECT_EQ(unix_socket, "Too many open files");
}

TEST_F(CheckCanListenTest, UnixPathThatIsFreeIsFineAndLeftFree) {
  EXPECT_TRUE(CheckCanListen({.host = "", .port = 0, .unix_path = path_}).ok());
  EXPECT_FALSE(Exists());
}

TEST_F(CheckCanListenTest, UnixSocketOfALiveServerIsUnavailable) {
  OwnSocket socket(AF_UNIX, SOCK_STREAM);
  socket.BindTo(path_);
  ASSERT_EQ(listen(socket.fd(), 1), 0);
  EXPECT_EQ(WhyNotUnix(), "another server listens there");
}

TEST_F(CheckCanListenTest, UnixSocketThatWasLeftOverIsFine) {
  OwnSocket socket(AF_UNIX, SOCK_STREAM);
  socket.BindTo(path_);
  ASSERT_EQ(listen(socket.fd(), 1), 0);
  socket.Close();
  EXPECT_TRUE(Exists());
  EXPECT_TRUE(CheckCanListen({.host = "", .port = 0, .unix_path = path_}).ok());
}

// Somebody uses it, though not as we would.
TEST_F(CheckCanListenTest, UnixSocketOfAnotherTypeIsUnavailable) {
  OwnSocket socket(AF_UNIX, SOCK_DGRAM);
  socket.BindTo(path_);
  EXPECT_EQ(WhyNotUnix(), "Protocol wrong type for socket");
  EXPECT_TRUE(Exists());
}

TEST_F(CheckCanListenTest, FileInTheWayIsUnavailableAndLeftAlone) {
  std::ofstream(path_) << "precious";
  EXPECT_EQ(WhyNotUnix(), "the file exists and is not a socket");
  std::string content;
  std::ifstream(path_) >> content;
  EXPECT_EQ(content, "precious");
}

TEST_F(CheckCanListenTest, DirectoryInTheWayIsUnavailable) {
  path_ = folder_;
  EXPECT_EQ(WhyNotUnix(), "the file exists and is not a socket");
}

TEST_F(CheckCanListenTest, UnixPathInNoFolderIsUnavailable) {
  path_ = folder_ + "/missing/s";
  EXPECT_EQ(WhyNotUnix(), "No such file or directory");
}

}  // namespace
}  // namespace leasehold
