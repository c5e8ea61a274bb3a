# Checks whether a program can be linked with frame_wraps.cc's functions around
# gRPC's: sets leasehold_frame_wraps to the linker options, or to nothing, and
# leasehold_cancel_stream to the mangled name of the function that they call.
set(leasehold_frame_wraps "")
set(symbols
  _Z31grpc_chttp2_header_parser_parsePvP21grpc_chttp2_transportP18grpc_chttp2_streamRK10grpc_slicei
  _Z35grpc_chttp2_rst_stream_parser_parsePvP21grpc_chttp2_transportP18grpc_chttp2_streamRK10grpc_slicei
  _ZN9grpc_core11HPackParser10BeginFrameEP19grpc_metadata_batchjNS0_8BoundaryENS0_8PriorityENS0_7LogInfoE
  _ZN9grpc_core11HPackParserD1Ev
  _Z29grpc_chttp2_data_parser_parsePvP21grpc_chttp2_transportP18grpc_chttp2_streamRK10grpc_slicei
  _Z29grpc_chttp2_stream_map_deleteP22grpc_chttp2_stream_mapj)
# Called, not wrapped. Its name has the inline namespace of Abseil's version in it:
# debian3 in Debian 12, debian7 in Debian 13.
set(called
  "_Z25grpc_chttp2_cancel_streamP21grpc_chttp2_transportP18grpc_chttp2_streamN4absl[0-9a-z_]*6StatusE")
set(leasehold_cancel_stream "")

set(why_not "")
get_target_property(archive gRPC::grpc IMPORTED_LOCATION_NONE)
if(NOT archive)
  get_target_property(archive gRPC::grpc IMPORTED_LOCATION_RELEASE)
endif()
if(NOT gRPC_VERSION VERSION_EQUAL 1.51.1)
  set(why_not "gRPC is ${gRPC_VERSION}, and they know 1.51.1 alone")
elseif(NOT LEASEHOLD_STATIC_GRPC OR NOT archive MATCHES "[.]a$")
  set(why_not "they need gRPC's static archive (LEASEHOLD_STATIC_GRPC)")
else()
  # Each symbol must be defined in one object and used by another: the linker
  # cannot redirect a call within one object.
  execute_process(COMMAND ${CMAKE_NM} ${archive} OUTPUT_VARIABLE table ERROR_QUIET)
  foreach(symbol IN LISTS symbols)
    if(NOT table MATCHES " T ${symbol}\n" OR NOT table MATCHES " U ${symbol}\n")
      set(why_not "${archive} does not have ${symbol} as 1.51.1 has it")
    endif()
    list(APPEND leasehold_frame_wraps "LINKER:--wrap=${symbol}")
  endforeach()
  # Of the C library.
  foreach(symbol epoll_ctl epoll_wait recvmsg)
    if(NOT table MATCHES " U ${symbol}\n")
      set(why_not "${archive} does not call ${symbol} as 1.51.1 does")
    endif()
    # The linker looks into our archive before it sees that gRPC needs them.
    list(APPEND leasehold_frame_wraps "LINKER:--wrap=${symbol}"
                                      "LINKER:--undefined=__wrap_${symbol}")
  endforeach()
  if(table MATCHES " T (${called})\n")
    set(leasehold_cancel_stream ${CMAKE_MATCH_1})
  else()
    set(why_not "${archive} does not have ${called} as 1.51.1 has it")
  endif()
endif()

if(why_not)
  set(leasehold_frame_wraps "")
  message(STATUS "Bounds for header blocks, resets and unfinished requests: OFF "
                 "(${why_not}). Put a proxy in front of the server if strangers reach it.")
else()
  message(STATUS "Bounds for header blocks, resets and unfinished requests: on")
endif()
