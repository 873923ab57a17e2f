"""A client and a server of Python's grpcio with the `gateway` program between them.

    ci/grpcio && .grpcio/bin/python tests/programs/grpcio.py target/debug/examples/gateway

Messages are bytes, so that no generated code is needed. It ends with 0 when every call went as
it should, else it says which did not.
"""

import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures

import grpc

RULES = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: echo}
spec:
  hosts: [echo.test]
  ports: [{number: 80, name: grpc, protocol: GRPC}]
  resolution: STATIC
  endpoints:
  - {address: 127.0.0.1, ports: {grpc: PORT}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {grpc: OTHER}, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo}
spec:
  host: echo.test
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: none, labels: {version: v3}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo}
spec:
  hosts: [echo.test]
  http:
  - match: [{headers: {x-chaos: {exact: "yes"}}}]
    fault: {abort: {grpcStatus: RESOURCE_EXHAUSTED, percentage: {value: 100}}}
    route: [{destination: {host: echo.test, subset: v1}}]
  - match: [{headers: {x-version: {exact: v2}}}]
    route: [{destination: {host: echo.test, subset: v2}}]
  - match: [{uri: {exact: /demo.Echo/Slow}}]
    timeout: 200ms
    route: [{destination: {host: echo.test, subset: v1}}]
  - match: [{uri: {exact: /demo.Echo/Flaky}}]
    retries: {attempts: 3, retryOn: unavailable}
    route: [{destination: {host: echo.test, subset: v1}}]
  - match: [{uri: {exact: /demo.Echo/Nobody}}]
    route: [{destination: {host: echo.test, subset: none}}]
  - match: [{uri: {prefix: /demo.Echo/}}]
    route: [{destination: {host: echo.test, subset: v1}}]
"""


class Server:
    """Echoes under its name; `tries` counts the calls of Flaky."""

    def __init__(self, name):
        self.name, self.tries, self.lock = name, 0, threading.Lock()
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "Count": grpc.unary_stream_rpc_method_handler(self.count),
            "Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "Left": grpc.unary_unary_rpc_method_handler(self.left),
            "Slow": grpc.unary_unary_rpc_method_handler(self.slow),
            "Flaky": grpc.unary_unary_rpc_method_handler(self.flaky),
            "Missing": grpc.unary_unary_rpc_method_handler(self.missing),
            "Nobody": grpc.unary_unary_rpc_method_handler(self.unary),
        }
        generic = grpc.method_handlers_generic_handler("demo.Echo", handlers)
        self.server.add_generic_rpc_handlers((generic,))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def unary(self, request, context):
        sent = dict(context.invocation_metadata())
        context.send_initial_metadata((("x-seen", sent.get("x-say", "")), ("x-bin-bin", b"\x00\xff")))
        context.set_trailing_metadata((("x-last", self.name),))
        return self.name.encode() + b":" + request

    def sum(self, requests, context):
        return str(sum(int(it) for it in requests)).encode()

    def count(self, request, context):
        for n in range(int(request)):
            yield str(n).encode()

    def chat(self, requests, context):
        for it in requests:
            yield b"re: " + it

    def left(self, request, context):
        left = context.time_remaining()
        return b"" if left is None else str(left).encode()

    def slow(self, request, context):
        time.sleep(1)
        return b"late"

    def flaky(self, request, context):
        with self.lock:
            self.tries += 1
            tries = self.tries
        if tries < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "not yet")
        return str(tries).encode()

    def missing(self, request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "no caf\u00e9 here")


def channel(address, host):
    return grpc.insecure_channel(address, options=[("grpc.default_authority", host)])


def fails(call, code, details):
    try:
        call()
    except grpc.RpcError as error:
        said = (error.code(), error.details())
        assert said[0] == code and details in said[1], said
    else:
        raise AssertionError(f"went well, where {code} was meant")


def check(address, one):
    echo = channel(address, "echo.test")
    unary = lambda method: echo.unary_unary(f"/demo.Echo/{method}")

    answer, call = unary("Unary").with_call(b"hello", metadata=(("x-say", "hi"),))
    assert answer == b"one:hello", answer
    first, last = dict(call.initial_metadata()), dict(call.trailing_metadata())
    assert first["x-seen"] == "hi" and first["x-bin-bin"] == b"\x00\xff", first
    assert last["x-last"] == "one", last

    large = bytes(3 << 20)
    assert len(unary("Unary")(large)) == len(large) + 4

    numbers = (str(n).encode() for n in range(100))
    assert echo.stream_unary("/demo.Echo/Sum")(numbers) == b"4950"
    counted = list(echo.unary_stream("/demo.Echo/Count")(b"1000"))
    assert len(counted) == 1000 and counted[-1] == b"999"

    # Each answer is read before the next question is asked.
    questions, going = threading.Semaphore(1), []

    def ask():
        for n in range(5):
            questions.acquire()
            yield str(n).encode()

    for reply in echo.stream_stream("/demo.Echo/Chat")(ask()):
        going.append(reply)
        questions.release()
    assert going == [b"re: %d" % n for n in range(5)], going

    # By metadata to the other version, and by fault to none.
    assert unary("Unary")(b"x", metadata=(("x-version", "v2"),)) == b"two:x"
    chaos = (("x-chaos", "yes"),)
    fails(lambda: unary("Unary")(b"x", metadata=chaos), grpc.StatusCode.RESOURCE_EXHAUSTED, "")

    # A deadline is told to the server, and kept by the gateway and by the client: whoever is first.
    left = unary("Left")(b"")
    assert not left or float(left) > 3600, left
    left = float(unary("Left")(b"", timeout=5))
    assert 0 < left < 5.5, left
    try:
        unary("Slow")(b"", timeout=0.1)
        raise AssertionError("a call outlived its deadline")
    except grpc.RpcError as error:
        late = grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE
        assert error.code() in late, error

    # What the gateway answers itself comes as a status.
    unavailable = grpc.StatusCode.UNAVAILABLE
    fails(lambda: unary("Slow")(b""), unavailable, "upstream request timeout")
    fails(lambda: unary("Nobody")(b""), unavailable, "no healthy upstream")
    nobody = channel(address, "nobody.test").unary_unary("/demo.Echo/Unary")
    fails(lambda: nobody(b""), unavailable, "")
    elsewhere = echo.unary_unary("/other.Service/Call")
    fails(lambda: elsewhere(b""), grpc.StatusCode.UNIMPLEMENTED, "")

    # A server's own status passes as it is, and UNAVAILABLE is tried again.
    fails(lambda: unary("Missing")(b""), grpc.StatusCode.NOT_FOUND, "no caf\u00e9 here")
    assert unary("Flaky")(b"") == b"3" and one.tries == 3, one.tries

    # A call that its client cancels ends, and the connection serves on.
    stream = echo.unary_stream("/demo.Echo/Count")(b"1000000")
    next(stream)
    stream.cancel()
    assert unary("Unary")(b"on") == b"one:on"


def main(gateway):
    one, two = Server("one"), Server("two")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as rules:
        rules.write(RULES.replace("PORT", str(one.port)).replace("OTHER", str(two.port)))
        rules.flush()
        command = [gateway, "--config", rules.name, "--registry-only", "--listen", "127.0.0.1:0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
            try:
                check(proxy.stdout.readline().split()[-1], one)
            finally:
                proxy.terminate()
    one.server.stop(None)
    two.server.stop(None)
    print("every call went as it should")


if __name__ == "__main__":
    main(sys.argv[1])
