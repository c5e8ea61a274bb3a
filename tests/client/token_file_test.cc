#include "client/wire/token_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/temporary_directory.h"

namespace leasehold::client {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

class TokenFileTest : public testing::Test {
 protected:
  void Write(const std::string& text) { std::ofstream(path_) << text; }
  // As whoever rotates tokens does it.
  void Replace(const std::string& text) {
    std::ofstream(path_ + ".new") << text;
    std::filesystem::rename(path_ + ".new", path_);
  }
  std::shared_ptr<TokenFile> Open() {
    auto file = TokenFile::Open(path_);
    EXPECT_TRUE(file.ok()) << file.status();
    return *file;
  }
  // What is wrong with a file of this content.
  std::string Refusal(const std::string& text) {
    Write(text);
    const auto file = TokenFile::Open(path_);
    EXPECT_TRUE(absl::IsInvalidArgument(file.status())) << file.status();
    const std::string message(file.status().message());
    EXPECT_THAT(message, StartsWith(path_ + ": "));
    return message;
  }

  const TemporaryDirectory folder_;
  const std::string path_ = folder_.path() + "/token";
};

TEST_F(TokenFileTest, TheTokenIsItsOneLine) {
  for (const char* text :
       {"lh_a_b", "lh_a_b\n", "lh_a_b\r\n", " lh_a_b \n\n"}) {
    Write(text);
    EXPECT_EQ(Open()->Current(), "lh_a_b") << text;
  }
  const std::string longest((16 << 10) - 1, 'x');
  Write(longest + "\n");
  EXPECT_EQ(Open()->Current(), longest);
}

TEST_F(TokenFileTest, WhatCannotBeATokenIsNamedAndNotQuoted) {
  EXPECT_THAT(Refusal(""), HasSubstr("is empty"));
  EXPECT_THAT(Refusal(" \n \n"), HasSubstr("is empty"));
  EXPECT_THAT(Refusal("secret\nother\n"), HasSubstr("more than one line"));
  EXPECT_THAT(Refusal("secret other"), HasSubstr("not visible ASCII"));
  EXPECT_THAT(Refusal("secret\x01"), HasSubstr("not visible ASCII"));
  EXPECT_THAT(Refusal(std::string("sec\0ret", 7)),
              HasSubstr("not visible ASCII"));
  EXPECT_THAT(Refusal("secr\xc3\xa9t"), HasSubstr("not visible ASCII"));
  EXPECT_THAT(Refusal("Bearer secret"), HasSubstr("\"Bearer\""));
  EXPECT_THAT(Refusal(std::string((16 << 10) + 1, 'x')),
              HasSubstr("larger than 16 KiB"));
  EXPECT_THAT(Refusal("secret other"), Not(HasSubstr("secret")));
  std::filesystem::remove(path_);
  EXPECT_THAT(Message(TokenFile::Open(path_).status()),
              HasSubstr("cannot be read"));
  EXPECT_THAT(Message(TokenFile::Open(folder_.path()).status()),
              HasSubstr("cannot be read"));
  EXPECT_THAT(Message(TokenFile::Open("/dev/zero").status()),
              HasSubstr("larger than"));
}

TEST_F(TokenFileTest, AFileThatIsReplacedIsReadAgain) {
  Write("one");
  const auto file = Open();
  Replace("two");
  EXPECT_EQ(file->Current(), "two");
  Replace("six");  // As long.
  EXPECT_EQ(file->Current(), "six");
  Write("seven");  // In its place.
  EXPECT_EQ(file->Current(), "seven");
}

TEST_F(TokenFileTest, ALinkThatPointsElsewhereIsReadAgain) {
  // As Kubernetes rotates secrets.
  std::ofstream(folder_.path() + "/1") << "one";
  std::ofstream(folder_.path() + "/2") << "two";
  std::filesystem::create_symlink(folder_.path() + "/1", path_);
  const auto file = Open();
  EXPECT_EQ(file->Current(), "one");
  std::filesystem::create_symlink(folder_.path() + "/2", path_ + ".new");
  std::filesystem::rename(path_ + ".new", path_);
  EXPECT_EQ(file->Current(), "two");
}

TEST_F(TokenFileTest, TheLastGoodTokenStaysUntilThereIsAnother) {
  Write("good");
  const auto file = Open();
  EXPECT_EQ(file->Current(), "good");
  EXPECT_TRUE(file->status().ok());
  Replace("");
  EXPECT_EQ(file->Current(), "good");
  EXPECT_THAT(Message(file->status()), HasSubstr("is empty"));
  std::filesystem::remove(path_);
  EXPECT_EQ(file->Current(), "good");
  EXPECT_THAT(Message(file->status()), HasSubstr("is not a file any more"));
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);  // To read it would block.
  EXPECT_EQ(file->Current(), "good");
  std::filesystem::remove(path_);
  Write("better");
  EXPECT_EQ(file->Current(), "better");
  EXPECT_TRUE(file->status().ok());
}

TEST_F(TokenFileTest, APipeIsReadOnce) {
  std::array<int, 2> ends = {};
  ASSERT_EQ(pipe(ends.data()), 0);
  ASSERT_EQ(write(ends[1], "piped\n", 6), 6);
  close(ends[1]);
  const auto file = TokenFile::Open(absl::StrCat("/dev/fd/", ends[0]));
  ASSERT_TRUE(file.ok()) << file.status();
  close(ends[0]);
  EXPECT_EQ((*file)->Current(), "piped");
  EXPECT_TRUE((*file)->status().ok());
}

}  // namespace
}  // namespace leasehold::client
