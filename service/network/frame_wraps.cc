#include "service/network/frame_wraps.h"

#include <atomic>

#ifdef LEASEHOLD_FRAME_WRAPS
#include <grpc/slice.h>

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "service/network/read_turns.h"
#endif

namespace leasehold {
namespace {

std::atomic<FrameGuard*> installed = nullptr;
std::atomic<HalfSent*> half_sent = nullptr;

}  // namespace

void InstallFrameGuard(FrameGuard* guard) { installed = guard; }
void InstallHalfSent(HalfSent* requests) { half_sent = requests; }

#ifndef LEASEHOLD_FRAME_WRAPS

bool HasFrameWraps() { return false; }

}  // namespace leasehold

#else

bool HasFrameWraps() { return true; }

namespace {

// The distance from a connection's HPACK parser to its transport, which
// contains it. Learnt from the first headers.
std::atomic<ptrdiff_t> parser_offset = 0;

}  // namespace

// As in gRPC 1.51.1. Not in an unnamed namespace: the linker must see the
// functions that take them.
struct LogInfo {
  uint32_t stream_id;
  uint8_t type;
  bool is_client;
};
enum class Boundary : uint8_t { kNone, kEndOfHeaders, kEndOfStream };

// The mangled names, as frame_wraps.cmake passes them to the linker.
#define PARSE_HEADERS                                               \
  "_Z31grpc_chttp2_header_parser_parsePvP21grpc_chttp2_transportP1" \
  "8grpc_chttp2_streamRK10grpc_slicei"
#define PARSE_RESET                                                    \
  "_Z35grpc_chttp2_rst_stream_parser_parsePvP21grpc_chttp2_transportP" \
  "18grpc_chttp2_streamRK10grpc_slicei"
#define BEGIN_FRAME                                                    \
  "_ZN9grpc_core11HPackParser10BeginFrameEP19grpc_metadata_batchjNS0_" \
  "8BoundaryENS0_8PriorityENS0_7LogInfoE"
#define DESTROY_PARSER "_ZN9grpc_core11HPackParserD1Ev"
#define PARSE_DATA                                                             \
  "_Z29grpc_chttp2_data_parser_parsePvP21grpc_chttp2_transportP18grpc_chttp2_" \
  "streamRK10grpc_slicei"
#define DELETE_STREAM \
  "_Z29grpc_chttp2_stream_map_deleteP22grpc_chttp2_stream_mapj"

absl::Status RealParseHeaders(void* parser, void* transport, void* stream,
                              const grpc_slice& slice,
                              int is_last) asm("__real_" PARSE_HEADERS);
absl::Status WrapParseHeaders(void* parser, void* transport, void* stream,
                              const grpc_slice& slice,
                              int is_last) asm("__wrap_" PARSE_HEADERS);
absl::Status RealParseReset(void* parser, void* transport, void* stream,
                            const grpc_slice& slice,
                            int is_last) asm("__real_" PARSE_RESET);
absl::Status WrapParseReset(void* parser, void* transport, void* stream,
                            const grpc_slice& slice,
                            int is_last) asm("__wrap_" PARSE_RESET);
void RealBeginFrame(void* parser, void* batch, uint32_t size_max,
                    Boundary boundary, uint8_t priority,
                    LogInfo info) asm("__real_" BEGIN_FRAME);
void WrapBeginFrame(void* parser, void* batch, uint32_t size_max,
                    Boundary boundary, uint8_t priority,
                    LogInfo info) asm("__wrap_" BEGIN_FRAME);
void RealDestroyParser(void* parser) asm("__real_" DESTROY_PARSER);
void WrapDestroyParser(void* parser) asm("__wrap_" DESTROY_PARSER);
absl::Status RealParseData(void* parser, void* transport, void* stream,
                           const grpc_slice& slice,
                           int is_last) asm("__real_" PARSE_DATA);
absl::Status WrapParseData(void* parser, void* transport, void* stream,
                           const grpc_slice& slice,
                           int is_last) asm("__wrap_" PARSE_DATA);
void* RealDeleteStream(void* streams,
                       uint32_t number) asm("__real_" DELETE_STREAM);
void* WrapDeleteStream(void* streams,
                       uint32_t number) asm("__wrap_" DELETE_STREAM);
// Called, but not wrapped. Its name depends on Abseil's version.
void CancelStream(void* transport, void* stream,
                  absl::Status why) asm(LEASEHOLD_CANCEL_STREAM);

void WrapBeginFrame(void* parser, void* batch, uint32_t size_max,
                    Boundary boundary, uint8_t priority, LogInfo info) {
  if (FrameGuard* guard = installed.load(std::memory_order_acquire)) {
    guard->OnHeaderFrame(parser, boundary != Boundary::kNone);
  }
  RealBeginFrame(parser, batch, size_max, boundary, priority, info);
}

// An error here, or in the next function, ends the connection.
absl::Status WrapParseHeaders(void* parser, void* transport, void* stream,
                              const grpc_slice& slice, int is_last) {
  if (FrameGuard* guard = installed.load(std::memory_order_acquire)) {
    parser_offset.store(
        static_cast<char*>(parser) - static_cast<char*>(transport),
        std::memory_order_relaxed);
    if (!guard->AdmitHeaderBytes(parser, GRPC_SLICE_LENGTH(slice),
                                 is_last != 0)) {
      return absl::ResourceExhaustedError(
          "a header block has more bytes than this server accepts");
    }
    if (stream != nullptr) guard->OnStream(stream);
  }
  ThisThreadsReadTurn().OnCall();
  return RealParseHeaders(parser, transport, stream, slice, is_last);
}

absl::Status WrapParseReset(void* parser, void* transport, void* stream,
                            const grpc_slice& slice, int is_last) {
  FrameGuard* guard = installed.load(std::memory_order_acquire);
  if (guard != nullptr && is_last != 0 &&
      !guard->AdmitReset(transport, stream)) {
    return absl::ResourceExhaustedError(
        "this connection resets young streams too often");
  }
  return RealParseReset(parser, transport, stream, slice, is_last);
}

void WrapDestroyParser(void* parser) {
  if (FrameGuard* guard = installed.load(std::memory_order_acquire)) {
    guard->OnGone(static_cast<char*>(parser) -
                      parser_offset.load(std::memory_order_relaxed),
                  parser);
  }
  RealDestroyParser(parser);
}

// The status that the client sees. gRPC sends it only if the error has these
// two properties.
absl::Status NoRoom() {
  constexpr absl::string_view kMessage =
      "this connection, or all together, have sent more of unfinished requests "
      "than --max-connection-bytes and --max-total-bytes allow; finish some, "
      "then try again";
  constexpr absl::string_view kProperty = "type.googleapis.com/grpc.status.";
  absl::Status status = absl::ResourceExhaustedError(kMessage);
  status.SetPayload(absl::StrCat(kProperty, "int.grpc_status"),
                    absl::Cord(absl::StrCat(static_cast<int>(status.code()))));
  status.SetPayload(absl::StrCat(kProperty, "str.grpc_message"),
                    absl::Cord(kMessage));
  return status;
}

// gRPC allows a stream to end in the middle of its data, and skips the rest.
absl::Status WrapParseData(void* parser, void* transport, void* stream,
                           const grpc_slice& slice, int is_last) {
  HalfSent* requests = half_sent.load(std::memory_order_acquire);
  const absl::string_view bytes(
      reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)),
      GRPC_SLICE_LENGTH(slice));
  if (requests == nullptr || requests->Admit(transport, stream, bytes)) {
    return RealParseData(parser, transport, stream, slice, is_last);
  }
  CancelStream(transport, stream, NoRoom());
  return absl::OkStatus();
}

void* WrapDeleteStream(void* streams, uint32_t number) {
  void* stream = RealDeleteStream(streams, number);
  HalfSent* requests = half_sent.load(std::memory_order_acquire);
  if (requests != nullptr) requests->OnStreamEnded(stream);
  return stream;
}

}  // namespace leasehold

#endif  // LEASEHOLD_FRAME_WRAPS
