#include "service/security/sessions.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "service/security/secret.h"

namespace leasehold {

absl::StatusOr<std::string> Sessions::Open(std::string_view token) {
  std::string id = absl::WebSafeBase64Escape(RandomBytes(32));
  const absl::Time now = clock_.WallNow();
  MutexLock lock(mu_);
  DropExpired(now);
  DropOldestOf(token);
  if (sessions_.size() >= kSessionsMax) {
    return absl::ResourceExhaustedError(
        "too many browsers are signed in; sign out in one of them");
  }
  sessions_[HashOf(id)] = {.token = std::string(token),
                           .expires = now + kLifetime};
  return id;
}

void Sessions::DropExpired(absl::Time now) {
  absl::erase_if(sessions_, [now](const auto& session) {
    return now >= session.second.expires;
  });
}

void Sessions::DropOldestOf(std::string_view token) {
  size_t count = 0;
  auto oldest = sessions_.end();
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
    if (it->second.token != token) continue;
    ++count;
    if (oldest == sessions_.end() ||
        it->second.expires < oldest->second.expires) {
      oldest = it;
    }
  }
  if (count >= kOfCredentialMax) sessions_.erase(oldest);
}

std::optional<std::string> Sessions::TokenOf(std::string_view id) const {
  const SecretHash hash = HashOf(id);
  const absl::Time now = clock_.WallNow();
  MutexLock lock(mu_);
  const auto found = sessions_.find(hash);
  if (found == sessions_.end() || now >= found->second.expires) {
    return std::nullopt;
  }
  return found->second.token;
}

void Sessions::Close(std::string_view id) {
  const SecretHash hash = HashOf(id);
  MutexLock lock(mu_);
  sessions_.erase(hash);
}

}  // namespace leasehold
