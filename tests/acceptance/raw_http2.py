"""A raw HTTP/2 client: sends what gRPC clients refuse to send.

    connection = Connection("127.0.0.1:4001")
    answer = connection.echo("room-1", text="Apple")
    answer = connection.call([("instance-id", ""), ("instance-id", "b")])

With `window=0` the server may send headers but no message: a call then stays in
flight, for certain and for as long as the test likes, until `let_through`.
"""

import base64
import socket
import time
import urllib.parse

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from harness import CODES, PATIENCE_S, Failed, expect

ECHO = "/leasehold.v1.Echo/Echo"


# ---- Messages of echo.proto, by hand ----------------------------------------

def varint(number):
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def echo_request(text):
    encoded = text.encode() if isinstance(text, str) else text
    return b"\x0a" + varint(len(encoded)) + encoded if encoded else b""


def frame(message, compressed=0):
    return bytes([compressed]) + len(message).to_bytes(4, "big") + message


def decode_echo_response(message):
    fields, at = {}, 0

    def take_varint():
        nonlocal at
        number = shift = 0
        while True:
            byte = message[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number
    while at < len(message):
        tag = take_varint()
        value = take_varint()
        if tag & 7 == 2:
            value, at = message[at:at + value], at + value
        fields[tag >> 3] = value
    return fields


# ---- Calls ------------------------------------------------------------------

class Answer:
    """What a call got: code, message, headers, and the four fields."""

    def __init__(self, stream):
        self.http_status = stream.first(":status")
        status = stream.first("grpc-status")
        # A reset stream has no code of its own; what came instead is its name.
        self.code = (CODES[int(status)] if status is not None
                     else stream.end_reason or f"HTTP {self.http_status}")
        self.message = urllib.parse.unquote(stream.first("grpc-message") or "")
        self.headers = [(n, v) for n, v in stream.headers
                        if n.startswith("instance-") or n.endswith("-id")]
        fields = (decode_echo_response(bytes(stream.data[5:]))
                  if self.code == "OK" else {})
        self.text = fields.get(1, b"").decode()
        self.instance_id = fields.get(2, b"").decode()
        self.generation = fields.get(3, 0)
        self.sequence = fields.get(4, 0)

    def header(self, name):
        values = [v for n, v in self.headers if n == name]
        expect(len(values) <= 1, f"header {name} stands {len(values)} times")
        return values[0] if values else None

    def __repr__(self):
        return (f"{self.code} {self.message!r} {self.headers} id "
                f"{self.instance_id!r} generation {self.generation} sequence "
                f"{self.sequence}")


class Stream:
    def __init__(self):
        self.headers = []  # Of the response, then its trailers.
        self.data = bytearray()
        self.ended = False
        self.end_reason = None

    def first(self, name):
        return next((v for n, v in self.headers if n == name), None)

    def end(self, reason=None):
        if not self.ended:
            self.ended, self.end_reason = True, reason


class Connection:
    def __init__(self, address, window=1 << 24, source=None, first=b""):
        """`source`: our own address; `first`: bytes before those of HTTP/2."""
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address.removeprefix("unix:"))
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection(
                (host.strip("[]"), int(port)), timeout=PATIENCE_S,
                source_address=source and (source, 0))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE_S)
        self.socket.sendall(first)
        self.streams = {}
        self.received = b""
        self.closed = None  # Why the server closed the connection.
        self.goaway = None
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding=None,
            validate_outbound_headers=False, normalize_outbound_headers=False,
            validate_inbound_headers=False))
        # A GOAWAY ends no call that is under way; the library thinks otherwise.
        states, inputs = h2.connection.ConnectionState, h2.connection.ConnectionInputs
        machine = self.h2.state_machine
        machine._transitions = {
            **machine._transitions,
            (states.CLIENT_OPEN, inputs.RECV_GOAWAY): (None, states.CLIENT_OPEN)}
        # Before the preface: nothing may come before the window is known.
        self.h2.local_settings[
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE] = window
        self.h2.local_settings.acknowledge()
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 30)  # Of all streams together.
        self.flush()

    def close(self):
        self._close("CLOSED by the test")
        self.socket.close()

    def vanish(self):
        """Gone without a word, as if its machine had lost power (a RST)."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               b"\1\0\0\0\0\0\0\0")
        self.close()

    # ---- Starting, and waiting for, calls

    def start(self, headers=(), data=None, end=True, path=ECHO, te="trailers",
              content_type="application/grpc"):
        """A call's number. `headers` go out just as they are."""
        request = [(b":method", b"POST"), (b":scheme", b"http"),
                   (b":path", path.encode()), (b":authority", b"localhost")]
        for name, value in (("te", te), ("content-type", content_type)):
            if value is not None:
                request.append((name.encode(), value.encode()))
        for name, value in headers:
            request.append((_bytes(name), _bytes(value)))
        number = self.h2.get_next_available_stream_id()
        self.streams[number] = Stream()
        self.h2.send_headers(number, request)
        self.flush()
        if data is None:
            data = frame(echo_request("Apple"))
        self.send(number, data, end)
        return number

    def send(self, number, data, end=True):
        """The request's body, as the server's window lets it through."""
        view = memoryview(data)
        while view and not self.streams[number].ended:
            room = min(self.h2.local_flow_control_window(number),
                       self.h2.max_outbound_frame_size)
            if room == 0:
                if not self._receive():
                    return
                continue
            self.h2.send_data(number, view[:room].tobytes())
            view = view[room:]
            self.flush()
        if end and not self.streams[number].ended:
            self.h2.end_stream(number)
            self.flush()

    def finish(self, number):
        """The call's Answer, once it is there."""
        stream = self.streams[number]
        while not stream.ended:
            self._receive()
        return Answer(stream)

    def in_flight(self, number):
        """Whether the call, once the server has answered its headers, goes on."""
        stream = self.streams[number]
        while not stream.headers and not stream.ended:
            self._receive()
        return not stream.ended

    def let_through(self, number, size=1 << 20):
        """Gives a call that was held by window=0 its window."""
        self.h2.increment_flow_control_window(size, number)
        self.flush()

    def reset(self, number):
        self.h2.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
        self.flush()

    def call(self, headers=(), data=None, **options):
        return self.finish(self.start(headers, data, **options))

    def echo(self, instance_id=None, text="Apple", headers=(), **options):
        named = [] if instance_id is None else [("instance-id", instance_id)]
        return self.call(named + list(headers), frame(echo_request(text)),
                         **options)

    def hold(self, instance_id, headers=()):
        """An echo that is in flight; the connection has window=0."""
        number = self.start([("instance-id", instance_id), *headers])
        expect(self.in_flight(number),
               f"not in flight, but over: {Answer(self.streams[number])}")
        return number

    def occupy(self, instance_id=None):
        """An EchoStream that is open: it keeps its instance busy until `leave`.

        (An Echo whose answer is on its way has given its instance back.) Where there
        is no room for it, it has ended."""
        named = [] if instance_id is None else [("instance-id", instance_id)]
        return self.start(named, b"", end=False, path=ECHO + "Stream")

    def leave(self, number):
        self.send(number, b"")
        return self.finish(number)

    def receive_for(self, seconds):
        """Takes what comes within that time."""
        end = time.monotonic() + seconds
        while not self.closed and time.monotonic() < end:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                self._receive()
            except Failed:
                break
            finally:
                self.socket.settimeout(PATIENCE_S)

    # ---- Bytes

    def send_bytes(self, data):
        """Past the HTTP/2 library: whatever one likes."""
        try:
            self.socket.sendall(data)
        except OSError:
            pass  # Closed; what came before that is still to be read.

    def flush(self):
        data = self.h2.data_to_send()
        if data and not self.closed:
            self.send_bytes(data)

    def _close(self, reason):
        self.closed = self.closed or reason
        for stream in self.streams.values():
            stream.end(self.closed)

    def _receive(self):
        """Takes some bytes from the server. False: it closed the connection."""
        if self.closed:
            return False
        try:
            data = self.socket.recv(1 << 16)
        except TimeoutError:
            raise Failed(f"no answer in {self.socket.gettimeout()} s") from None
        except OSError as error:
            data = b""
            self._close(f"CLOSED ({error})")
        if not data:
            self._close("CLOSED")
            return False
        self.received += data
        while len(self.received) >= 9:
            size = 9 + int.from_bytes(self.received[:3], "big")
            if len(self.received) < size:
                break
            frame_bytes, self.received = self.received[:size], self.received[size:]
            self._take_frame(frame_bytes)
        self.flush()
        return True

    def _take_frame(self, data):
        stream = self.streams.get(int.from_bytes(data[5:9], "big"))
        if data[3] == 1 and stream and stream.ended:
            # gRPC answers some broken requests twice. The first answer counts, and
            # the library must not see the second, as it would hang up.
            self.h2.decoder.decode(data[9:])
            return
        try:
            for event in self.h2.receive_data(data):
                self._take(event)
        except h2.exceptions.ProtocolError as error:
            self._close(f"CLOSED ({error})")

    def _take(self, event):
        stream = self.streams.get(getattr(event, "stream_id", None))
        if isinstance(event, (h2.events.ResponseReceived,
                              h2.events.TrailersReceived)):
            stream.headers += [(n.decode("latin-1"), v.decode("latin-1"))
                               for n, v in event.headers]
        elif isinstance(event, h2.events.DataReceived):
            stream.data += event.data
        elif isinstance(event, h2.events.StreamEnded):
            stream.end()
        elif isinstance(event, h2.events.StreamReset) and stream:
            stream.end(f"RST_STREAM {int(event.error_code)}")
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event


def _bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def bin_value(value):
    """A `-bin` header's value on the wire."""
    return base64.b64encode(value).rstrip(b"=")


def decode_bin(value):
    return base64.b64decode(value + "=" * (-len(value) % 4))
