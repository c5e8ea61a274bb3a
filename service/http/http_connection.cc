#include "service/http/http_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <cerrno>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lease/base/view.h"
#include "service/http/client_certificate.h"
#include "service/http/request_target.h"
#include "service/network/caller_addresses.h"
#include "service/network/first_bytes.h"

namespace leasehold {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Error = boost::system::error_code;

// How much is read at once of a head, of a body, and while a request is served.
constexpr size_t kHeadPart = 2 << 10;
constexpr size_t kBodyPart = 64 << 10;
constexpr size_t kWatchPart = 512;

// For a request that begins without a handshake where one is wanted.
constexpr char kWantsTls[] =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
    "Content-Length: 45\r\nConnection: close\r\n\r\n"
    "this port speaks TLS: ask for https:// there\n";

// A body as a text that grows as its bytes come. Beast's own reserves what
// Content-Length says, before there is a single byte.
struct GrowingBody {
  using value_type = std::string;

  class reader {
   public:
    template <bool isRequest, class Fields>
    reader(http::header<isRequest, Fields>&, value_type& body) : body_(body) {}
    void init(const boost::optional<uint64_t>&, Error& error) { error = {}; }
    template <class Buffers>
    size_t put(const Buffers& buffers, Error& error) {
      error = {};
      const auto end = asio::buffer_sequence_end(buffers);
      for (auto at = asio::buffer_sequence_begin(buffers); at != end; ++at) {
        const asio::const_buffer buffer = *at;
        body_.append(static_cast<const char*>(buffer.data()), buffer.size());
      }
      return asio::buffer_size(buffers);
    }
    void finish(Error& error) { error = {}; }

   private:
    value_type& body_;
  };
};

using Parser = http::request_parser<GrowingBody>;

// What is wrong with what the parser does not take.
HttpRefusal RefusalOf(const Error& error) {
  if (error == http::error::header_limit) {
    return {431, absl::InvalidArgumentError(
                     "the head of the request is larger than 16 KiB")};
  }
  if (error == http::error::body_limit) {
    return {413, absl::InvalidArgumentError(
                     "the body is larger than --max-payload allows")};
  }
  if (error == http::error::bad_version) {
    return {505, absl::UnimplementedError("only HTTP/1.1 and HTTP/1.0 are "
                                          "known here")};
  }
  return {400, absl::InvalidArgumentError(absl::StrCat(
                   "this is not a valid HTTP/1.1 request: ", error.message()))};
}

}  // namespace

HttpConnection::HttpConnection(HttpShared& shared, Socket socket,
                               std::shared_ptr<TlsContext> tls,
                               std::string peer, CountFor count_for)
    : shared_(shared),
      count_for_(std::move(count_for)),
      peer_(std::move(peer)),
      socket_(std::move(socket)),
      tls_context_(std::move(tls)),
      event_(socket_.get_executor(), asio::steady_timer::time_point::max()) {}

void HttpConnection::Start(std::function<void()> on_end) {
  on_end_ = std::move(on_end);
  asio::co_spawn(socket_.get_executor(), Run(shared_from_this()),
                 asio::detached);
}

void HttpConnection::CheckDeadline(Instant now) {
  if (now < deadline_ || timed_out_) return;
  timed_out_ = true;
  Error ignored;
  socket_.cancel(ignored);
  Signal();
}

void HttpConnection::Drain() {
  if (idle_) Close();
  Signal();
}

void HttpConnection::Close() {
  if (std::exchange(closed_, true)) return;
  Error ignored;
  socket_.close(ignored);
  Signal();
}

void HttpConnection::Consume(size_t bytes) {
  in_.erase(0, bytes);
  in_bytes_ -= bytes;
  if (in_bytes_ == 0) std::string().swap(in_);
}

HttpConnection::Awaitable<void> HttpConnection::Wait() {
  Error ignored;
  co_await event_.async_wait(
      asio::redirect_error(asio::use_awaitable, ignored));
}

void HttpConnection::BeginRead(size_t bytes) {
  if (reading_ || read_failed_ || closed_) return;
  reading_ = true;
  in_.resize(in_bytes_ + bytes);
  const auto place = asio::buffer(in_.data() + in_bytes_, bytes);
  auto on_read = [self = shared_from_this()](const Error& error, size_t read) {
    self->reading_ = false;
    self->in_bytes_ += read;
    self->in_.resize(self->in_bytes_);
    if (error) self->read_failed_ = true;
    self->Signal();
  };
  if (tls_.has_value()) {
    tls_->async_read_some(place, std::move(on_read));
  } else {
    socket_.async_read_some(place, std::move(on_read));
  }
}

HttpConnection::Awaitable<void> HttpConnection::ReadMore(size_t bytes) {
  const size_t before = in_bytes_;
  BeginRead(bytes);
  while (in_bytes_ == before && !FailedToRead()) co_await Wait();
}

void HttpConnection::WatchClient() {
  if (in_bytes_ == 0) BeginRead(kWatchPart);
}

HttpConnection::Awaitable<void> HttpConnection::Run(
    std::shared_ptr<HttpConnection> self) {
  bool open = true;
  if (count_for_ != nullptr) open = co_await TakeProxyHeader();
  if (open) open = co_await Handshake();
  while (open) open = co_await ServeOne();
  if (lingers_) co_await Linger();
  Close();
  // Whatever is still out holds this object until it is over.
  if (self->on_end_) self->on_end_();
}

HttpConnection::Awaitable<bool> HttpConnection::TakeProxyHeader() {
  Await(shared_.limits.head_timeout);
  std::string header;
  for (;;) {
    std::array<char, kProxyHeaderBytesMax> bytes;
    const int socket = socket_.native_handle();
    const ssize_t size =
        recv(socket, bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
      Error error;
      co_await socket_.async_wait(
          Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
      if (error || timed_out_ || closed_) co_return false;
      continue;
    }
    if (size <= 0) co_return false;
    const ProxyHeader found = ReadProxyHeader(
        absl::StrCat(header, absl::string_view(bytes.data(), size)));
    const bool complete = found.state == ProxyHeader::State::kComplete;
    if (!complete && found.state != ProxyHeader::State::kIncomplete) {
      shared_.Refuse(RefusedConnection::kProxyHeader, peer_,
                     "it does not begin with a PROXY header, which the proxies "
                     "of --http-proxy-protocol must");
      co_return false;
    }
    const size_t taken = complete ? found.bytes - header.size() : size;
    if (recv(socket, bytes.data(), taken, MSG_DONTWAIT) !=
        static_cast<ssize_t>(taken)) {
      co_return false;
    }
    header.append(bytes.data(), taken);
    if (!complete) continue;
    if (!found.caller.has_value()) co_return true;  // The proxy's own.
    peer_ = PeerText(*found.caller);
    co_return count_for_(*found.caller);
  }
}

HttpConnection::Awaitable<bool> HttpConnection::Handshake() {
  if (tls_context_ == nullptr) co_return true;
  Await(shared_.limits.head_timeout);
  Error error;
  // What TLS needs of memory is for those who say something.
  char first = 0;
  ssize_t peeked = -1;
  while (peeked < 0) {
    co_await socket_.async_wait(
        Socket::wait_read, asio::redirect_error(asio::use_awaitable, error));
    if (error || timed_out_ || closed_) co_return false;
    peeked = recv(socket_.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (peeked < 0 && errno != EAGAIN && errno != EINTR) co_return false;
  }
  if (peeked == 0) co_return false;
  if (absl::ascii_isupper(static_cast<unsigned char>(first))) {
    shared_.Refuse(RefusedConnection::kTls, peer_,
                   "it does not speak TLS, which it must here (--tls-cert)");
    co_await asio::async_write(
        socket_, asio::buffer(kWantsTls, sizeof(kWantsTls) - 1),
        asio::redirect_error(asio::use_awaitable, error));
    lingers_ = !error;
    co_return false;
  }
  tls_.emplace(socket_, *tls_context_);
  co_await tls_->async_handshake(
      asio::ssl::stream_base::server,
      asio::redirect_error(asio::use_awaitable, error));
  // Whoever only goes away has not been refused.
  if (error.category() == asio::error::get_ssl_category()) {
    shared_.Refuse(RefusedConnection::kTls, peer_,
                   absl::StrCat("its TLS handshake failed: ", error.message()));
  }
  if (error || timed_out_) co_return false;
  certificate_ = ClientCertificateOf(*tls_->native_handle());
  co_return true;
}

HttpConnection::Awaitable<bool> HttpConnection::ServeOne() {
  Exchange exchange(shared_);
  co_await Read(exchange);
  ++served_;
  if (exchange.gone) co_return false;
  if (exchange.admitted.has_value()) {
    co_await Answer(exchange);
    if (exchange.gone) co_return false;
  } else {
    shared_.door.Complete(exchange.response);
  }
  if (read_failed_ || shared_.draining) exchange.keep_alive = false;
  const bool written = co_await Write(exchange);
  lingers_ = written && !exchange.keep_alive;
  co_return written&& exchange.keep_alive;
}

void HttpConnection::Refuse(Exchange& exchange, HttpRefusal refusal) {
  exchange.response = ErrorResponse(refusal.status, refusal.why);
  shared_.door.CountUnread(refusal.status);
  exchange.keep_alive = false;
}

HttpConnection::Awaitable<size_t> HttpConnection::ReadHead(Exchange& exchange) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  const HttpLimits& limits = shared_.limits;
  Await(served_ == 0 ? limits.head_timeout : limits.idle_timeout);
  bool begun = false;
  size_t looked_at = 0;
  for (;;) {
    // Some clients send an empty line after a body.
    while (looked_at == 0 && in().starts_with("\r\n")) Consume(2);
    if (in_bytes_ > 0 && !std::exchange(begun, true))
      Await(limits.head_timeout);
    const size_t end = in().find(kEnd, looked_at < 3 ? 0 : looked_at - 3);
    const size_t bytes =
        end == std::string_view::npos ? in_bytes_ : end + kEnd.size();
    if (auto refusal = CheckBytes(in().substr(0, bytes), looked_at)) {
      Refuse(exchange, *refusal);
      co_return 0;
    }
    if (bytes > limits.head_bytes_max) {
      Refuse(exchange, RefusalOf(http::error::header_limit));
      co_return 0;
    }
    if (end != std::string_view::npos) co_return bytes;
    looked_at =
        in_bytes_ == 1 ? 0 : in_bytes_;  // It may be half an empty line.
    idle_ = !begun;
    if (idle_ && shared_.draining) {
      exchange.gone = true;
      co_return 0;
    }
    co_await ReadMore(kHeadPart);
    idle_ = false;
    if (timed_out_ && begun) {
      timed_out_ = false;
      Refuse(exchange, {408, absl::DeadlineExceededError(
                                 "the head of the request takes too long")});
      co_return 0;
    }
    if (FailedToRead()) {
      exchange.gone = true;
      co_return 0;
    }
  }
}

template <typename Parser>
bool HttpConnection::TakeHead(Parser& parser, Exchange& exchange,
                              size_t bytes) {
  Error error;
  parser.put(asio::buffer(in_.data(), bytes), error);
  Consume(bytes);
  if (error && error != http::error::need_more) {
    Refuse(exchange, RefusalOf(error));
    return false;
  }
  const auto& head = parser.get();
  HttpRequest& request = exchange.request;
  request.peer = peer_;
  request.method = std::string(head.method_string());
  for (const auto& field : head) {
    request.headers.Add(std::string(field.name_string()),
                        std::string(field.value()));
  }
  exchange.is_1_0 = head.version() < 11;
  exchange.is_head = request.method == "HEAD";
  if (auto refusal = CheckHead(request, exchange.is_1_0)) {
    Refuse(exchange, *refusal);
    return false;
  }
  const auto target = head.target();
  const absl::Status status =
      ParseTarget({target.data(), target.size()}, request);
  if (!status.ok()) {
    Refuse(exchange, {400, status});
    return false;
  }
  exchange.keep_alive = parser.keep_alive();
  return true;
}

bool HttpConnection::AdmitHead(Exchange& exchange) {
  auto decided =
      shared_.door.Admit(exchange.request, tls_.has_value(), certificate_);
  if (auto* refused = std::get_if<HttpResponse>(&decided)) {
    exchange.response = std::move(*refused);
    return false;
  }
  exchange.admitted = std::get<HttpDoor::Admitted>(std::move(decided));
  if (const auto& caller = exchange.request.caller; caller != nullptr) {
    const HttpLimits& limits = shared_.limits;
    exchange.room.Begin(
        caller->tenant,
        shared_.door.BodyBytesMax(*caller, limits.total_body_bytes_max,
                                  limits.body_bytes_max));
  }
  return true;
}

HttpConnection::Awaitable<void> HttpConnection::Read(Exchange& exchange) {
  const size_t bytes = co_await ReadHead(exchange);
  if (bytes == 0) co_return;
  Parser parser;
  parser.eager(true);
  parser.header_limit(static_cast<uint32_t>(shared_.limits.head_bytes_max));
  parser.body_limit(shared_.limits.body_bytes_max);
  if (!TakeHead(parser, exchange, bytes)) co_return;
  if (!AdmitHead(exchange)) {
    // Its body is not read, so that nobody knows where the next one begins.
    if (!parser.is_done()) exchange.keep_alive = false;
    co_return;
  }
  if (parser.is_done()) co_return;
  if (in_bytes_ == 0 && !exchange.is_1_0 &&
      exchange.request.headers.Has("Expect")) {
    const bool written = co_await WriteText("HTTP/1.1 100 Continue\r\n\r\n");
    if (!written) {
      exchange.gone = true;
      co_return;
    }
  }
  const bool whole = co_await ReadBody(parser, exchange);
  if (whole) {
    exchange.request.body = std::move(parser.get().body());
  } else {
    exchange.admitted.reset();
  }
}

template <typename Parser>
HttpConnection::Awaitable<bool> HttpConnection::ReadBody(Parser& parser,
                                                         Exchange& exchange) {
  const HttpLimits& limits = shared_.limits;
  const Instant begun = shared_.clock.Now();
  const size_t own_max = HttpDoor::BodyMax(*exchange.admitted);
  const size_t body_max = own_max == 0 ? limits.body_bytes_max : own_max;
  for (;;) {
    Error error;
    if (in_bytes_ > 0) {
      const size_t taken =
          parser.put(asio::buffer(in_.data(), in_bytes_), error);
      Consume(taken);
    }
    // What has no end, such as the length of a chunk.
    if (in_bytes_ >= kBodyPart) error = http::error::bad_chunk;
    if (error && error != http::error::need_more) {
      Refuse(exchange, RefusalOf(error));
      co_return false;
    }
    const size_t bytes = parser.get().body().size();
    if (bytes > body_max) {
      Refuse(exchange, {413, absl::InvalidArgumentError(absl::StrCat(
                                 "the body is larger than ", body_max,
                                 " bytes, and this takes no more"))});
      co_return false;
    }
    if (parser.is_done()) co_return true;
    if (absl::Status room = exchange.room.Set(bytes); !room.ok()) {
      Refuse(exchange, {HttpStatusOf(room), room});
      co_return false;
    }
    deadline_ = begun + limits.body_timeout +
                absl::Seconds(bytes / limits.body_bytes_per_second_min);
    co_await ReadMore(kBodyPart);
    if (timed_out_ && !closed_) {
      timed_out_ = false;
      Refuse(exchange, {408, absl::DeadlineExceededError(
                                 "the body of the request takes too long")});
      co_return false;
    }
    if (FailedToRead()) {
      exchange.gone = true;
      co_return false;
    }
  }
}

HttpConnection::Awaitable<void> HttpConnection::Answer(Exchange& exchange) {
  AwaitNothing();
  answer_.reset();
  lasts_ = HttpDoor::Lasts(*exchange.admitted);
  const std::weak_ptr<HttpConnection> weak = weak_from_this();
  const uint64_t number = served_;
  call_ = shared_.door.Run(
      *std::move(exchange.admitted), std::move(exchange.request),
      [weak, number, inbox = shared_.inbox](HttpResponse response) {
        auto held = std::make_shared<HttpResponse>(std::move(response));
        inbox->Post([weak, number, held = std::move(held)] {
          const auto self = weak.lock();
          if (self == nullptr || self->served_ != number) return;
          self->answer_ = std::move(*held);
          self->Signal();
        });
      });
  while (!answer_.has_value()) {
    WatchClient();
    // Of a request that is soon answered, a client may say that it sends no
    // more, and still read.
    if (closed_ || (lasts_ && (read_failed_ || shared_.draining))) break;
    co_await Wait();
  }
  if (!answer_.has_value()) {
    call_->SetGone();
    if (!closed_ && !read_failed_) {
      answer_ =
          ErrorResponse(absl::UnavailableError("the server is shutting down"));
      shared_.door.Complete(*answer_);
    }
  }
  call_.reset();
  if (answer_.has_value()) {
    exchange.response = *std::move(answer_);
  } else {
    exchange.gone = true;
  }
  answer_.reset();
}

}  // namespace leasehold
