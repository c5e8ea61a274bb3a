// ListeningSocket: an address on which the server listens, as one or more
// sockets (a name may stand for several addresses). Its destructor closes them,
// and removes a Unix socket's file if the file is still its own.
//
// Thread-safety: one thread.
#ifndef LEASEHOLD_SERVICE_HOST_LISTENING_SOCKET_H_
#define LEASEHOLD_SERVICE_HOST_LISTENING_SOCKET_H_

#include <sys/types.h>

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "service/host/listen_address.h"

namespace leasehold {

class ListeningSocket {
 public:
  // `unix_mode`: the permissions of a Unix socket's file; users who may write
  // to it may connect. REQUIRES: CheckCanListen says OK; then this fails only
  // if another process is faster.
  //   Unavailable: the address cannot be used; the message says why.
  static absl::StatusOr<ListeningSocket> Open(const ListenAddress& address,
                                              mode_t unix_mode);
  ~ListeningSocket() { Close(); }
  ListeningSocket(ListeningSocket&& other) noexcept
      : address_(std::move(other.address_)),
        descriptors_(std::exchange(other.descriptors_, {})),
        device_(other.device_),
        inode_(other.inode_) {}
  ListeningSocket& operator=(ListeningSocket&&) = delete;

  // The address as it was given, with the port that was chosen for port 0.
  const ListenAddress& address() const { return address_; }
  // They do not block.
  const std::vector<int>& descriptors() const { return descriptors_; }

  // Stops listening. Idempotent.
  void Close();

 private:
  explicit ListeningSocket(ListenAddress address)
      : address_(std::move(address)) {}

  absl::Status OpenUnix(mode_t mode);
  absl::Status OpenTcp();
  // Aborted: the port that was chosen for port 0 is in use on another of the
  // addresses.
  absl::Status OpenTcpOnce();

  ListenAddress address_;
  std::vector<int> descriptors_;
  dev_t device_ = 0;  // Of a Unix socket's file.
  ino_t inode_ = 0;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HOST_LISTENING_SOCKET_H_
