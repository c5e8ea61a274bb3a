// How much memory the server plans with: as it is written, as it is found, and
// how the bounds in bytes share it.
#include "service/host/memory_limit.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "service/host/server_options.h"
#include "tests/support/temporary_directory.h"

namespace leasehold {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr uint64_t kMib = uint64_t{1} << 20;
constexpr uint64_t kGib = uint64_t{1} << 30;

TEST(ParseMemoryLimit, ReadsSizesAndPercentages) {
  EXPECT_EQ(ParseMemoryLimit("1500000000")->bytes, 1'500'000'000u);
  EXPECT_EQ(ParseMemoryLimit("64KiB")->bytes, 65536u);
  EXPECT_EQ(ParseMemoryLimit("512MiB")->bytes, 512 * kMib);
  EXPECT_EQ(ParseMemoryLimit("2GiB")->bytes, 2 * kGib);
  const auto percent = ParseMemoryLimit("62.5%");
  ASSERT_TRUE(percent.ok()) << percent.status();
  EXPECT_EQ(percent->bytes, 0u);
  EXPECT_EQ(percent->percent, 62.5);
  EXPECT_EQ(ParseMemoryLimit("100%")->percent, 100);
}

TEST(ParseMemoryLimit, RefusesTheRestWithTheRule) {
  for (const char* text : {"",
                           "0",
                           "0%",
                           "101%",
                           "%",
                           "x",
                           "2G",
                           "2GB",
                           "GiB",
                           "-1",
                           "+1",
                           " 1",
                           "1.5GiB",
                           "nan%",
                           "1e3",
                           "1e3%",
                           "0x10",
                           "18446744073709551615",
                           "9999999999999GiB",
                           "75 %",
                           "2GiB "}) {
    const auto limit = ParseMemoryLimit(text);
    EXPECT_EQ(limit.status().code(), absl::StatusCode::kInvalidArgument)
        << text;
    EXPECT_THAT(std::string(limit.status().message()),
                AllOf(HasSubstr("2GiB"), HasSubstr("75%")))
        << text;
  }
}

// A machine with 8,000,000 KiB, made of files.
class FindMemoryTest : public testing::Test {
 protected:
  FindMemoryTest() {
    Write("/proc/meminfo",
          "MemTotal:        8000000 kB\nMemFree:          300000 kB\n");
  }
  std::string root() const { return directory_.path(); }
  void Write(const std::string& path, const std::string& text) {
    const std::filesystem::path file(root() + path);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  uint64_t Bytes() const { return FindMemory(root())->bytes; }

  static constexpr uint64_t kMachine = 8'000'000ull << 10;
  TemporaryDirectory directory_;
};

TEST_F(FindMemoryTest, WithoutGroupsItIsTheMachines) {
  EXPECT_EQ(Bytes(), kMachine);
  EXPECT_FALSE(FindMemory(root())->of_cgroup);
}

TEST_F(FindMemoryTest, NothingSaysSo) {
  std::filesystem::remove_all(root() + "/proc");
  EXPECT_FALSE(FindMemory(root()).has_value());
}

TEST_F(FindMemoryTest, AGroupOfVersion2) {
  Write("/proc/self/cgroup", "0::/a/b\n");
  Write("/sys/fs/cgroup/a/b/memory.max", "1073741824\n");
  EXPECT_EQ(Bytes(), kGib);
  EXPECT_TRUE(FindMemory(root())->of_cgroup);
}

TEST_F(FindMemoryTest, TheLeastOfTheGroupsThatItIsIn) {
  Write("/proc/self/cgroup", "0::/a/b\n");
  Write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  EXPECT_EQ(Bytes(), kMachine);
  Write("/sys/fs/cgroup/a/memory.max", "536870912\n");
  EXPECT_EQ(Bytes(), 512 * kMib);
  Write("/sys/fs/cgroup/memory.max", "268435456\n");
  EXPECT_EQ(Bytes(), 256 * kMib);
  Write("/sys/fs/cgroup/a/b/memory.max", "134217728\n");
  EXPECT_EQ(Bytes(), 128 * kMib);
}

TEST_F(FindMemoryTest, TheGroupOfAContainerIsTheRoot) {
  Write("/proc/self/cgroup", "0::/\n");
  Write("/sys/fs/cgroup/memory.max", "268435456\n");
  EXPECT_EQ(Bytes(), 256 * kMib);
}

TEST_F(FindMemoryTest, AGroupOfVersion1) {
  Write("/proc/self/cgroup", "12:cpu,cpuacct:/x\n7:hugetlb,memory:/a/b\n");
  Write("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "1073741824\n");
  EXPECT_EQ(Bytes(), kGib);
  // As good as none.
  Write("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes",
        "9223372036854771712\n");
  EXPECT_EQ(Bytes(), kMachine);
}

TEST_F(FindMemoryTest, AGroupThatMayHaveMoreThanThereIs) {
  Write("/proc/self/cgroup", "0::/a\n");
  Write("/sys/fs/cgroup/a/memory.max", "99999999999999\n");
  EXPECT_EQ(Bytes(), kMachine);
  EXPECT_FALSE(FindMemory(root())->of_cgroup);
}

TEST_F(FindMemoryTest, ApplyTakesAPercentageOfIt) {
  Write("/proc/self/cgroup", "0::/a\n");
  Write("/sys/fs/cgroup/a/memory.max", "1073741824\n");
  ServerOptions options;
  ASSERT_TRUE(ApplyMemoryLimit(root(), options).ok());
  EXPECT_EQ(options.memory.limit, 768 * kMib);
  EXPECT_EQ(options.total_bytes_max, (768 - 64) / 4 * kMib);
  EXPECT_EQ(options.connection_bytes_max, 64 * kMib);
  EXPECT_LE(options.memory.total(), options.memory.limit);

  options = ServerOptions();
  options.memory_limit.percent = 12.5;
  ASSERT_TRUE(ApplyMemoryLimit(root(), options).ok());
  EXPECT_EQ(options.total_bytes_max, 16 * kMib);
  EXPECT_EQ(options.connection_bytes_max, 16 * kMib);

  options = ServerOptions();
  options.memory_limit.percent = 12;
  EXPECT_THAT(std::string(ApplyMemoryLimit(root(), options).message()),
              AllOf(HasSubstr("--memory-limit=12% of the 1073741824 bytes of "
                              "the control group"),
                    HasSubstr("at least 134217728 (128 MiB)")));
}

TEST_F(FindMemoryTest, ApplyKeepsTheDefaultsWhereThereIsEnough) {
  ServerOptions options;
  ASSERT_TRUE(ApplyMemoryLimit(root(), options).ok());
  EXPECT_EQ(options.total_bytes_max, 512 * kMib);
  EXPECT_EQ(options.memory.kept, 512 * kMib);
  EXPECT_EQ(options.memory.incomplete, 1024 * kMib);
  EXPECT_EQ(options.memory.bodies, 512 * kMib);
  EXPECT_EQ(options.memory.reserved, 64 * kMib);
}

TEST_F(FindMemoryTest, ApplyRefusesWhatWasGivenAndDoesNotFit) {
  ServerOptions options;
  options.given["max-total-bytes"] = {"1073741824"};
  options.total_bytes_max = kGib;
  options.memory_limit.bytes = 2 * kGib;
  const absl::Status status = ApplyMemoryLimit(root(), options);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("--max-total-bytes=1073741824"),
                    HasSubstr("--memory-limit=2147483648")));
  options.memory_limit.bytes = 5 * kGib;
  ASSERT_TRUE(ApplyMemoryLimit(root(), options).ok());
  EXPECT_EQ(options.total_bytes_max, kGib);
}

TEST_F(FindMemoryTest, ApplyTakesLittleIfThatWasGiven) {
  ServerOptions options;
  options.given["max-total-bytes"] = {"65536"};
  options.total_bytes_max = 65536;
  options.memory_limit.bytes = 65 * kMib;
  ASSERT_TRUE(ApplyMemoryLimit(root(), options).ok());
  EXPECT_EQ(options.total_bytes_max, 65536u);
}

TEST_F(FindMemoryTest, WhereNothingSaysSoNothingChanges) {
  ServerOptions options;
  ASSERT_TRUE(ApplyMemoryLimit(root() + "/none", options).ok());
  EXPECT_EQ(options.memory.limit, 0u);
  EXPECT_EQ(options.total_bytes_max, 512 * kMib);
}

}  // namespace
}  // namespace leasehold
