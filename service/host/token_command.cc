#include "service/host/token_command.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "lease/base/quote.h"
#include "lease/base/small_file.h"
#include "service/host/command_exit.h"
#include "service/host/setting.h"
#include "service/security/access_rules.h"

namespace leasehold {
namespace {

absl::Status SystemError(const std::string& path, const char* what) {
  return absl::UnavailableError(
      absl::StrCat(path, ": ", what, ": ", std::strerror(errno)));
}

// A token file; one that is to be changed, while nobody else changes it.
class TokenFile {
 public:
  enum class Use { kRead, kChange };

  //   InvalidArgument: the policy is not right, or names no token file.
  //   Unavailable: it cannot be locked.
  static absl::StatusOr<TokenFile> Open(const std::string& policy_path,
                                        Use use) {
    TokenFile file;
    absl::StatusOr<std::string> text = ReadSmallFile(policy_path);
    if (!text.ok()) return text.status();
    absl::StatusOr<Policy> policy = ParsePolicy(*text);
    if (!policy.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(policy_path, ": ", policy.status().message()));
    }
    if (policy->token_file.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          policy_path,
          ": names no token_file; add `\"token_file\": \"tokens\"`"));
    }
    file.policy_ = *std::move(policy);
    file.path_ = BesidePolicy(policy_path, file.policy_.token_file);
    if (use == Use::kChange) {
      if (absl::Status status = file.Lock(); !status.ok()) return status;
    }
    if (access(file.path_.c_str(), F_OK) == 0) {
      text = ReadSmallFile(file.path_);
      if (!text.ok()) return text.status();
      file.text_ = *std::move(text);
    }
    absl::StatusOr<TokenTable> table = TokenTable::Parse(file.text_);
    if (!table.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(file.path_, ": ", table.status().message()));
    }
    file.table_ = *std::move(table);
    return file;
  }
  TokenFile(TokenFile&& other) noexcept { *this = std::move(other); }
  TokenFile& operator=(TokenFile&& other) noexcept {
    std::swap(lock_, other.lock_);
    policy_ = std::move(other.policy_);
    path_ = std::move(other.path_);
    text_ = std::move(other.text_);
    table_ = std::move(other.table_);
    return *this;
  }
  ~TokenFile() {
    if (lock_ >= 0) close(lock_);
  }

  const Policy& policy() const { return policy_; }
  const std::string& path() const { return path_; }
  const TokenTable& table() const { return table_; }

  absl::Status Add(const std::string& line) {
    const bool ended = text_.empty() || text_.back() == '\n';
    return Write(absl::StrCat(text_, ended ? "" : "\n", line));
  }
  absl::Status Remove(const std::string& id) {
    std::string kept;
    for (const absl::string_view line :
         absl::StrSplit(absl::StripSuffix(text_, "\n"), '\n')) {
      const std::vector<absl::string_view> words =
          absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
      if (words.empty() || words[0] != id) absl::StrAppend(&kept, line, "\n");
    }
    return Write(kept);
  }

 private:
  TokenFile() = default;

  // Two of these commands at once would each lose what the other one wrote. The
  // lock is on a file that stays: the token file is replaced with each change,
  // and the policy may be at any moment, and a lock would stay on the old one.
  absl::Status Lock() {
    const std::string path = absl::StrCat(path_, ".lock");
    // To be read by all, so that root and the server's user can both lock it.
    lock_ = open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0644);
    if (lock_ < 0) return SystemError(path, "cannot be opened");
    int locked = 0;
    do {
      locked = flock(lock_, LOCK_EX);
    } while (locked != 0 && errno == EINTR);
    return locked == 0 ? absl::OkStatus()
                       : SystemError(path, "cannot be locked");
  }

  // As a whole, or not at all: the server may read it at any moment.
  absl::Status Write(const std::string& text) {
    const std::string fresh = absl::StrCat(path_, ".new");
    unlink(fresh.c_str());
    const int file =
        open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return SystemError(fresh, "cannot be created");
    // It keeps its owner: often the server's user, and not root.
    struct stat before = {};
    if (stat(path_.c_str(), &before) == 0 &&
        (fchown(file, before.st_uid, before.st_gid) != 0 ||
         fchmod(file, before.st_mode & 07777) != 0)) {
      absl::Status status = SystemError(fresh, "cannot be given its owner");
      close(file);
      unlink(fresh.c_str());
      return status;
    }
    const ssize_t written = write(file, text.data(), text.size());
    const bool whole =
        written == static_cast<ssize_t>(text.size()) && fsync(file) == 0;
    if (close(file) != 0 || !whole ||
        rename(fresh.c_str(), path_.c_str()) != 0) {
      absl::Status status = SystemError(path_, "cannot be written");
      unlink(fresh.c_str());
      return status;
    }
    return absl::OkStatus();
  }

  int lock_ = -1;
  Policy policy_;
  std::string path_;
  std::string text_;
  TokenTable table_;
};

int New(const std::string& policy_path, const std::string& identity,
        absl::Time expires) {
  absl::StatusOr<TokenFile> file =
      TokenFile::Open(policy_path, TokenFile::Use::kChange);
  if (!file.ok())
    return FailCommand("token", kExitFailed, file.status().message());
  if (!file->policy().identities.contains(identity)) {
    return FailCommand(
        "token", kExitFailed,
        absl::StrCat("--identity=", identity,
                     ": is not among the identities of ", policy_path));
  }
  const NewToken made = MakeToken(identity, expires);
  if (absl::Status status = file->Add(made.line); !status.ok()) {
    return FailCommand("token", kExitFailed, status.message());
  }
  std::fprintf(stderr,
               "leasehold-server token: %s is a token of %s; only its hash is "
               "kept, in %s\n",
               made.id.c_str(), identity.c_str(), file->path().c_str());
  std::printf("%s\n", made.token.c_str());
  return 0;
}

int List(const std::string& policy_path) {
  const absl::StatusOr<TokenFile> file =
      TokenFile::Open(policy_path, TokenFile::Use::kRead);
  if (!file.ok())
    return FailCommand("token", kExitFailed, file.status().message());
  std::vector<std::pair<std::string, TokenEntry>> entries(
      file->table().entries().begin(), file->table().entries().end());
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [id, entry] : entries) {
    const std::string expires =
        entry.expires == absl::InfiniteFuture()
            ? "never"
            : absl::FormatTime(absl::RFC3339_sec, entry.expires,
                               absl::UTCTimeZone());
    std::printf("%s %s %s\n", id.c_str(), entry.identity.c_str(),
                expires.c_str());
  }
  return 0;
}

int Revoke(const std::string& policy_path, const std::string& id) {
  absl::StatusOr<TokenFile> file =
      TokenFile::Open(policy_path, TokenFile::Use::kChange);
  if (!file.ok())
    return FailCommand("token", kExitFailed, file.status().message());
  if (!file->table().entries().contains(id)) {
    return FailCommand(
        "token", kExitFailed,
        absl::StrCat(QuoteForMessage(id), " is no ID of a token in ",
                     file->path(), "; `token list` shows them"));
  }
  if (absl::Status status = file->Remove(id); !status.ok()) {
    return FailCommand("token", kExitFailed, status.message());
  }
  return 0;
}

// The commands of `token`, and what they are given.
struct TokenCommands {
  std::string policy, identity, id, lasts;
  CLI::App app{
      "Makes, lists and revokes tokens. A running server learns of them within "
      "ten\nseconds, or at once by SIGHUP.",
      "leasehold-server token"};
  CLI::App* make;
  CLI::App* list;
  CLI::App* revoke;

  TokenCommands() {
    app.require_subcommand(1);
    make = WithPolicy("new",
                      "Prints a new token, and keeps its hash in the token "
                      "file.");
    make->add_option("--identity", identity,
                     "Whose token it is, by the policy.")
        ->type_name("NAME")
        ->required();
    make->add_option("--expires-in", lasts,
                     "How long it is valid, such as 720h. Default: for ever.")
        ->type_name("DURATION");
    list = WithPolicy("list",
                      "Prints a line a token: its ID, its identity, when it "
                      "expires.");
    revoke = WithPolicy("revoke", "Removes a token from the token file.");
    revoke->add_option("id", id, "The ID: its letters between lh_ and _.")
        ->type_name("ID")
        ->required();
  }

  CLI::App* WithPolicy(const std::string& name, const std::string& help) {
    CLI::App* const command = app.add_subcommand(name, help);
    command->add_option("--policy", policy, "The policy file of the server.")
        ->type_name("FILE")
        ->envname("LEASEHOLD_POLICY")
        ->required();
    return command;
  }
};

}  // namespace

CommandText DescribeToken() {
  return DescribeCommand(TokenCommands().app, "leasehold-server token");
}

int RunTokenCommand(const std::vector<std::string>& arguments,
                    const Clock& clock) {
  TokenCommands commands;
  auto& [policy, identity, id, lasts, app, make, list, revoke] = commands;
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::CallForHelp&) {
    // Of the command that was named, if one was.
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    return FailCommand("token", kExitWrongUsage,
                       absl::StrCat(error.what(), "; --help says more"));
  }
  if (list->parsed()) return List(policy);
  if (revoke->parsed()) return Revoke(policy, id);
  absl::Duration valid = absl::InfiniteDuration();
  if (!lasts.empty()) {
    if (absl::Status status = ReadDuration(lasts, valid); !status.ok()) {
      return FailCommand("token", kExitWrongUsage,
                         absl::StrCat("--expires-in: ", status.message()));
    }
  }
  return New(policy, identity, clock.WallNow() + valid);
}

}  // namespace leasehold
