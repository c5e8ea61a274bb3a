// HttpConnection: one connection, as a coroutine on the listener's thread.
//
// Whatever it waits for (bytes, an answer, room to write) ends in Signal, and
// the coroutine looks at what has changed. While a handler has the request the
// connection reads on a little: so it sees that the client has gone, and keeps
// what came of the next request.
//
// Every wait for the client has a deadline. The listener looks at all of them a
// few times a second (CheckDeadline).
//
// It includes Boost: only http_connection.cc and http_listener.cc include it.
//
// Thread-safety: the listener's thread.   Lifetime: held by its coroutine;
// `shared` outlives it.
#ifndef LEASEHOLD_SERVICE_HTTP_HTTP_CONNECTION_H_
#define LEASEHOLD_SERVICE_HTTP_HTTP_CONNECTION_H_

#include <sys/socket.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "lease/base/cells.h"
#include "lease/clock.h"
#include "service/http/client_certificate.h"
#include "service/http/http_body_bytes.h"
#include "service/http/http_door.h"
#include "service/http/http_inbox.h"
#include "service/http/http_listener.h"
#include "service/http/http_message.h"
#include "service/http/request_check.h"

namespace leasehold {

// What connections share.
struct HttpShared {
  const Clock& clock;
  HttpDoor& door;
  const HttpLimits limits;
  std::shared_ptr<HttpInbox> inbox;
  HttpBodyBytes bodies{limits.total_body_bytes_max};
  OnRefusedConnection on_refusal = nullptr;
  bool draining = false;
  std::array<Cell, kRefusedConnections> refused = {};

  void Refuse(RefusedConnection refusal, const std::string& peer,
              const std::string& why) {
    refused[static_cast<size_t>(refusal)].Add();
    if (on_refusal != nullptr) on_refusal(refusal, peer, why);
  }
};

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using TlsContext = boost::asio::ssl::context;

  // Whether the client that a PROXY header has named may have one more
  // connection, which then counts for it.
  using CountFor = std::function<bool(const sockaddr_storage& caller)>;

  // `tls`: null, if it does not begin with a handshake. `count_for`: empty, if
  // it does not begin with a PROXY header.
  HttpConnection(HttpShared& shared, Socket socket,
                 std::shared_ptr<TlsContext> tls, std::string peer,
                 CountFor count_for);

  // Begins. `on_end` is called when it has ended.
  void Start(std::function<void()> on_end);

  // Whether it waits for the first byte of a request, and is not about to end.
  bool idle() const { return idle_ && !closed_; }
  // Its client has had its time.
  void CheckDeadline(Instant now);
  // The server ends: see HttpListener::Drain.
  void Drain();
  // Ends it now.
  void Close();

 private:
  using Error = boost::system::error_code;
  template <typename T>
  using Awaitable = boost::asio::awaitable<T>;

  // One request and its answer.
  struct Exchange {
    explicit Exchange(HttpShared& shared) : room(shared.bodies) {}

    HttpRequest request = {};
    std::optional<HttpDoor::Admitted> admitted = std::nullopt;
    HttpResponse response = {};
    HttpBodyBytes::Room room;
    bool is_1_0 = false;
    bool is_head = false;
    bool keep_alive = false;
    bool gone = false;  // There is nobody to answer.
  };

  Awaitable<void> Run(std::shared_ptr<HttpConnection> self);
  // Reads the PROXY header, and not a byte more.
  Awaitable<bool> TakeProxyHeader();
  Awaitable<bool> Handshake();
  Awaitable<bool> ServeOne();

  // Reads a request, as far as it is let in: sets `admitted`, or a response
  // that refuses it, or `gone`.
  Awaitable<void> Read(Exchange& exchange);
  // The size of the head at the front of `in_`; 0: it is refused, or gone.
  Awaitable<size_t> ReadHead(Exchange& exchange);
  template <typename Parser>
  Awaitable<bool> ReadBody(Parser& parser, Exchange& exchange);
  template <typename Parser>
  bool TakeHead(Parser& parser, Exchange& exchange, size_t bytes);
  bool AdmitHead(Exchange& exchange);
  void Refuse(Exchange& exchange, HttpRefusal refusal);
  void RefuseUnread(Exchange& exchange, const Error& error);

  // Has the handler answer.
  Awaitable<void> Answer(Exchange& exchange);
  // False: it is not written as a whole.
  Awaitable<bool> Write(Exchange& exchange);
  Awaitable<bool> WriteSource(Exchange& exchange, HttpBody& source);
  // Waits for the next part. Empty: that was all; nullopt: it is cut.
  Awaitable<std::optional<std::string>> NextPart(HttpBody& source);
  Awaitable<bool> WriteText(std::string_view text);
  Awaitable<void> Linger();

  std::string_view in() const { return {in_.data(), in_bytes_}; }
  // REQUIRES: no read is out.
  void Consume(size_t bytes);

  Awaitable<void> Wait();
  void Signal() { event_.cancel(); }
  // Reads at most `bytes` more into `in_`, unless a read is out already.
  void BeginRead(size_t bytes);
  Awaitable<void> ReadMore(size_t bytes);
  // Has a read out, if what comes next can be kept, to see the client go.
  void WatchClient();
  void Await(absl::Duration timeout) {
    deadline_ = shared_.clock.Now() + timeout;
  }
  void AwaitNothing() { deadline_ = Instant::Infinite(); }
  bool FailedToRead() const { return read_failed_ || timed_out_ || closed_; }

  // Constant after construction.
  HttpShared& shared_;
  const CountFor count_for_;

  std::string peer_;  // As soon as it is known, the client behind a proxy.
  Socket socket_;
  const std::shared_ptr<TlsContext> tls_context_;
  std::optional<boost::asio::ssl::stream<Socket&>> tls_;
  ClientCertificate certificate_;
  boost::asio::steady_timer event_;  // Never fires; is cancelled (Signal).
  std::function<void()> on_end_;

  Instant deadline_ = Instant::Infinite();
  bool timed_out_ = false;
  bool closed_ = false;
  bool idle_ = false;
  bool lingers_ = false;  // There was an answer, so that the end is polite.
  uint64_t served_ = 0;   // Requests.

  // Bytes that were read and not parsed: the first `in_bytes_` of it. While a
  // read is out, the rest is its place.
  std::string in_;
  size_t in_bytes_ = 0;
  bool reading_ = false;
  bool read_failed_ = false;

  // Of the request that a handler has.
  std::shared_ptr<HttpCall> call_;
  bool lasts_ = false;
  std::optional<HttpResponse> answer_;
  std::optional<absl::StatusOr<std::string>> part_;
};

}  // namespace leasehold

#endif  // LEASEHOLD_SERVICE_HTTP_HTTP_CONNECTION_H_
