"""What `listen_sse` must withstand: servers that mean it harm, and URLs that lead where nobody may look."""

import gzip
import logging
import ssl
import threading
import time
import tracemalloc
import zlib
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kafka_bridge.errors import StreamFailed
from kafka_bridge.tooling.sse.hops import MAX_REDIRECTS
from tests.tooling.listeners import PUBLIC, Dial, Listener, Names, listen
from tests.tooling.streams import STREAM, Server, dripping, event

MEGABYTE = 1024 * 1024
NOT_ALLOWED = {}


def streaming(*chunks, ended=True, headers=STREAM):
    return lambda peer: peer.stream(*chunks, ended=ended, headers=headers)


def to(location, status="302 Found"):
    return lambda peer: peer.whole(status, {"Location": location})


def url_of(server, path="/", host="127.0.0.1"):
    return f"http://{host}:{server.port}{path}"


def internet(**known):
    """Names and addresses of a test's own; every address is loopback in truth."""
    names, dial = Names({name.replace("_", "."): list(answers) for name, answers in known.items()}), Dial()
    return Listener(resolve=names, dial=dial), names, dial


# Where nothing is sent to.


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "0177.0.0.1",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
    ],
)
def test_an_address_inside_gets_no_connection_however_it_is_spelled(host):
    with Server(streaming(event("a"))) as server:
        heard = listen(url_of(server, host=host), NOT_ALLOWED, reconnect_attempts=3)

    assert server.connections == 0
    assert heard.status == "error"
    assert isinstance(heard.error, StreamFailed)
    assert "nothing was sent to it" in str(heard.error)
    assert "Allow private addresses" in str(heard.error)


def test_loopback_of_ipv6_gets_no_connection():
    with Server(streaming(event("a")), host="::1") as server:
        assert listen(url_of(server, host="[::1]"), NOT_ALLOWED).status == "error"
        assert server.connections == 0
        assert listen(url_of(server, host="[::1]")).data == ["a"]


@pytest.mark.parametrize(
    "inside", ["10.0.0.1", "169.254.169.254", "100.64.0.1", "::1", "fd00::1", "64:ff9b::7f00:1", "224.0.0.1"]
)
@pytest.mark.parametrize("first", [True, False])
def test_a_name_with_one_address_inside_gets_no_connection_at_all(inside, first):
    addresses = [inside, PUBLIC] if first else [PUBLIC, inside]
    listener, _, dial = internet(stream_example=[addresses])

    heard = listener("http://stream.example/", NOT_ALLOWED)

    assert isinstance(heard.error, StreamFailed)
    assert dial.called == []
    # Where the name leads is the operator's business.
    assert inside not in str(heard.messages)
    assert inside not in str(heard.error)


def test_the_connection_goes_to_the_very_address_that_was_looked_at():
    with Server(streaming(event("a"))) as server:
        # Whoever asks twice is sent to loopback.
        listener, names, dial = internet(stream_example=[[PUBLIC], ["127.0.0.1"]])
        heard = listener(url_of(server, host="stream.example"), NOT_ALLOWED)

    assert heard.data == ["a"]
    assert (names.asked, dial.called) == (["stream.example"], [PUBLIC])
    assert server.requests[0].headers["host"] == f"stream.example:{server.port}"


def test_a_name_that_leads_inside_when_the_stream_is_asked_for_again_gets_no_connection():
    with Server(streaming(b"retry: 1\n", event("a"))) as server:
        listener, names, dial = internet(stream_example=[[PUBLIC], ["127.0.0.1"]])
        heard = listener(url_of(server, host="stream.example"), NOT_ALLOWED, reconnect_attempts=3)

    assert (heard.data, heard.status) == (["a"], "partial")
    assert (len(names.asked), dial.called, server.connections) == (2, [PUBLIC], 1)
    assert "loopback" in heard.summary["error"]


def test_the_next_address_is_tried_where_one_takes_no_connection():
    class Half(Dial):
        def connect_tcp(self, host, port, **options):
            self.called.append(host)
            return super().connect_tcp(host, port if host == PUBLIC else 1, **options)

    dial = Half()
    with Server(streaming(event("a"))) as server:
        listener = Listener(resolve=Names({"stream.example": [["8.8.8.8", PUBLIC]]}), dial=dial)
        assert listener(url_of(server, host="stream.example"), NOT_ALLOWED).data == ["a"]
    assert list(dict.fromkeys(dial.called)) == ["8.8.8.8", PUBLIC]


def test_a_name_without_an_address_or_with_too_many_is_no_host():
    listener, _, dial = internet(none_example=[[]], many_example=[[PUBLIC] * 65])

    assert "was not found" in str(listener("http://none.example/", reconnect_attempts=0).error)
    assert "was not found" in str(listener("http://many.example/", reconnect_attempts=0).error)
    assert dial.called == []


def test_proxies_of_the_environment_are_not_asked(monkeypatch):
    with Server(streaming(event("proxied"))) as proxy, Server(streaming(event("direct"))) as server:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, url_of(proxy))
        monkeypatch.delenv("NO_PROXY", raising=False)
        heard = listen(url_of(server))

    assert (heard.data, proxy.connections) == (["direct"], 0)


# Redirects.


def test_a_redirect_is_followed():
    with Server(to("/feed", "307 Temporary Redirect"), streaming(event("a"))) as server:
        heard = listen(url_of(server), auth_type="bearer", auth_token="not-a-real-token", headers={"X-Tenant": "acme"})

    assert heard.data == ["a"]
    assert [request.line for request in server.requests] == ["GET / HTTP/1.1", "GET /feed HTTP/1.1"]
    assert server.requests[1].headers["authorization"] == "Bearer not-a-real-token"
    assert server.requests[1].headers["x-tenant"] == "acme"


def test_whoever_redirects_is_hung_up_on_first():
    def redirecting(peer):
        peer.answer("302 Found", {"Location": url_of(other), "Content-Length": "0"}, chunked=False)
        peer.until_gone()

    def stream(peer):
        assert server.hung_up.acquire(timeout=5)
        peer.stream(event("a"))

    with Server(stream) as other, Server(redirecting) as server:
        assert listen(url_of(server)).data == ["a"]


def test_a_redirect_to_another_server_shows_it_no_token():
    with Server(streaming(event("a"))) as other, Server(to(url_of(other))) as server:
        heard = listen(
            url_of(server),
            auth_type="bearer",
            auth_token="not-a-real-token",
            headers={"X-Tenant": "acme", "Cookie": "a=b"},
        )

    assert heard.data == ["a"]
    assert "not-a-real-token" in str(server.requests)
    assert "not-a-real-token" not in str(other.requests)
    assert not {"authorization", "x-tenant", "cookie"} & other.requests[0].headers.keys()


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:{}/", "//127.0.0.1:{}/", "http://[::ffff:7f00:1]:{}/", "http://inside.example:{}/"]
)
def test_a_redirect_inside_gets_no_connection(location):
    with Server(streaming(event("secret"))) as inside, Server(to(location.format(inside.port))) as server:
        listener, _, dial = internet(
            stream_example=[[PUBLIC]],
            inside_example=[["10.1.2.3"]],
            **{"127_0_0_1": [["127.0.0.1"]], "::ffff:7f00:1": [["::ffff:127.0.0.1"]]},
        )
        heard = listener(url_of(server, host="stream.example"), NOT_ALLOWED, reconnect_attempts=3)

    assert isinstance(heard.error, StreamFailed)
    assert "nothing was sent to it" in str(heard.error)
    assert (server.connections, inside.connections, dial.called) == (1, 0, [PUBLIC])


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://user:pw@127.0.0.1/", "http://[::1", ""]
)
def test_a_redirect_to_what_is_no_url_of_a_stream_is_an_error(location):
    with Server(to(location)) as server:
        heard = listen(url_of(server))

    assert isinstance(heard.error, StreamFailed)
    assert "the server redirects" in str(heard.error)
    assert server.connections == 1


def test_redirects_in_a_circle_end():
    with Server(to("/again")) as server:
        heard = listen(url_of(server), reconnect_attempts=3)

    assert isinstance(heard.error, StreamFailed)
    assert "again and again" in str(heard.error)
    assert server.connections == MAX_REDIRECTS + 1


# Servers that mean harm.


def peak_of(server, **parameters):
    """What a call says, and how much memory it has needed at most, the server's own included."""
    tracemalloc.start()
    try:
        heard = listen(url_of(server), reconnect_attempts=5, **parameters)
        return heard, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("start", "block"),
    [
        (b"data: ", b"x" * 65536),
        (b": ", b"x" * 65536),
        (b"", b"data: " + b"x" * 1000 + b"\n"),
    ],
    ids=["a line of data", "a comment", "lines of data"],
)
def test_an_event_of_a_hundred_megabytes_is_cut_off_and_said_to_be(start, block):
    sent = threading.Event()

    def endless(peer):
        peer.answer()
        peer.chunk(event("first", id="1") + start)
        for _ in range(100 * MEGABYTE // len(block)):
            peer.chunk(block)
        sent.set()

    with Server(endless) as server:
        heard, peak = peak_of(server)
        # It is not read to its end, nor asked for again.
        assert server.hung_up.acquire(timeout=10)
        assert (sent.is_set(), server.connections) == (False, 1)

    assert (heard.data, heard.status, heard.error) == (["first"], "partial", None)
    assert "too large" in heard.summary["error"]
    assert "too large" in heard.summary["summary"]
    assert peak < 10 * MEGABYTE


def test_a_line_that_never_ends_is_an_error_where_nothing_came_before_it():
    def endless(peer):
        peer.answer()
        while True:
            peer.chunk(b"x" * 65536)

    with Server(endless) as server:
        heard, peak = peak_of(server)

    assert (heard.status, heard.summary["total_events"]) == ("error", 0)
    assert isinstance(heard.error, StreamFailed)
    assert "too large" in str(heard.error)
    assert peak < 10 * MEGABYTE


def test_an_event_whose_message_would_end_the_process_is_too_large():
    # A control character takes six bytes in JSON.
    with Server(streaming(event("first"), event("\x01" * (MEGABYTE - 10)))) as server:
        heard = listen(url_of(server))

    assert (heard.data, heard.status) == (["first"], "partial")
    assert "too large" in heard.summary["error"]


def test_a_stream_of_nothing_ends():
    def noise(peer):
        peer.answer()
        while True:
            peer.chunk(b":\n" * 2048)

    with Server(noise) as server:
        heard = listen(url_of(server), timeout=60)

    assert heard.status == "error"
    assert "more than one call can take" in str(heard.error)
    assert heard.summary["connection_duration"] < 60


def test_a_stream_in_tiny_chunks_ends():
    crumbs = b"1\r\n:\r\n" * 4096

    def noise(peer):
        peer.answer()
        while True:
            peer.send(crumbs)

    with Server(noise) as server:
        heard = listen(url_of(server), timeout=60)

    assert "more than one call can take" in str(heard.error)
    assert heard.summary["connection_duration"] < 60


def test_an_answer_that_is_never_the_last_one_ends_with_the_timeout():
    def hints(peer):
        while True:
            peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")

    with Server(hints) as server:
        heard, peak = peak_of(server, timeout=2)

    assert heard.status == "error"
    assert heard.summary["connection_duration"] < 30
    assert peak < 10 * MEGABYTE


def test_a_head_that_never_ends_is_no_http():
    def endless(peer):
        peer.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            peer.send(b"X-A: " + b"a" * 8192 + b"\r\n")

    with Server(endless) as server:
        heard, peak = peak_of(server)

    assert "does not speak HTTP" in str(heard.error)
    assert peak < 10 * MEGABYTE


def test_one_byte_at_a_time_is_read_like_any_other_stream():
    data = "\ufeffid: 1\r\ndata: é€𝄞\r\n\r\nevent: x\rdata: b\r\r".encode()
    with Server(dripping(data, every_s=0.001)) as server:
        heard = listen(url_of(server), max_events=2)

    assert [(told["event_type"], told["data"], told["event_id"]) for told in heard.events] == [
        ("message", "é€𝄞", "1"),
        ("x", "b", "1"),
    ]


@pytest.mark.parametrize("end", ["cut", "reset"])
def test_a_connection_that_breaks_in_the_middle_of_an_event_loses_only_that(end):
    def breaks(peer):
        peer.answer()
        peer.chunk(event("a"))
        peer.chunk(b"data: hal")
        if end == "cut":
            peer.send(b"ff\r\nf")

    with Server(breaks) as server:
        heard = listen(url_of(server), reconnect_attempts=0)

    assert (heard.data, heard.status) == (["a"], "partial")


# What is packed.


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP"])
def test_a_packed_stream_is_unpacked_as_it_comes(encoding):
    packer, told = zlib.compressobj(wbits=31), threading.Semaphore(0)

    def packed(peer):
        peer.answer(headers={**STREAM, "Content-Encoding": encoding})
        for data in ("a", "b"):
            peer.chunk(packer.compress(event(data)) + packer.flush(zlib.Z_SYNC_FLUSH))
            assert told.acquire(timeout=10)
        peer.send(b"0\r\n\r\n")

    with Server(packed) as server:
        heard = []
        for message in Listener().start(url_of(server)):
            heard.append(message)
            told.release()

    assert [message.value["data"] for message in heard[:2]] == ["a", "b"]


def test_a_packed_stream_may_be_cut_anywhere():
    data = gzip.compress(event("a") + event("b"))
    with Server(
        streaming(*(data[n : n + 1] for n in range(len(data))), headers={**STREAM, "Content-Encoding": "gzip"})
    ) as server:
        assert listen(url_of(server)).data == ["a", "b"]


def bomb(block):
    packer = zlib.compressobj(9, wbits=31)
    blocks = [packer.compress(block * (MEGABYTE // len(block))) for _ in range(50)]
    return b"".join([*blocks, packer.flush()])


@pytest.mark.parametrize(
    ("block", "why"),
    [(b"data: x\n", "too large"), (b"\0", "too large"), (b": nothing here\n", "more than one call can take")],
)
def test_a_bomb_goes_off_outside(block, why):
    # What it does to the process's memory is measured in `test_sse_hub.py`.
    with Server(streaming(bomb(block), headers={**STREAM, "Content-Encoding": "gzip"})) as server:
        heard = listen(url_of(server), timeout=120)

    assert heard.status == "error"
    assert why in str(heard.error)


@pytest.mark.parametrize(
    ("encoding", "why"),
    [
        ("gzip", "is none"),
        ("br", "was not asked for"),
        ("zstd", "was not asked for"),
        ("gzip, gzip", "was not asked for"),
    ],
)
def test_what_cannot_be_unpacked_is_an_error(encoding, why):
    with Server(streaming(event("a"), headers={**STREAM, "Content-Encoding": encoding})) as server:
        heard = listen(url_of(server))

    assert isinstance(heard.error, StreamFailed)
    assert why in str(heard.error)


# Secrets.


def test_a_token_that_the_server_repeats_is_in_nothing_that_is_said_written_or_logged(caplog):
    token = "not-a-real-token-0815"
    listener = Listener()

    def echo(peer):
        peer.stream(event(f"you sent {token}", id=f"id-{token}", event=f"type-{token}"), event("b"), ended=False)

    with (
        caplog.at_level(logging.INFO),
        Server(echo, lambda peer: peer.whole(f"500 {token}", body=token.encode())) as server,
    ):
        heard = listener(
            url_of(server), auth_type="bearer", auth_token=token, forward_topic="events", reconnect_attempts=1
        )

    assert token in str(server.requests)
    assert server.connections == 2
    assert heard.events[0]["data"] == "you sent ***"
    assert token not in str(heard.messages)
    assert token not in str(listener.registry.broker.records)
    assert token not in caplog.text
    # It is the server's own, so it gets it back as it is.
    assert server.requests[1].headers["last-event-id"] == f"id-{token}"


@pytest.mark.parametrize(
    ("token", "repeated"),
    [
        ('quo"ted\\token', r'{"t": "quo\"ted\\token"}'),
        ("with/a/slash", r'{"t": "with\/a\/slash"}'),
        ("plain-token", "plain-token"),
    ],
)
def test_a_token_is_found_as_json_spells_it(token, repeated):
    with Server(streaming(event(repeated))) as server:
        (data,) = listen(url_of(server), auth_type="api_key", auth_token=token).data

    assert "***" in data
    assert repeated not in data


# TLS.


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate for stream.example, and the file of who signed it."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stream.example")]), datetime.now(UTC)
    names = [x509.DNSName("stream.example"), x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, secret)
    return context, str(chain)


def test_tls_goes_by_the_name_and_the_connection_by_the_address(authority):
    context, ca_file = authority
    names, seen = Names({"stream.example": [[PUBLIC]]}), []
    context.sni_callback = lambda _socket, name, _context: seen.append(name)
    with Server(streaming(event("a")), tls=context) as server:
        dial = Dial()
        listener = Listener(resolve=names, dial=dial, ca_file=ca_file)
        heard = listener(f"https://stream.example:{server.port}/", NOT_ALLOWED)

    assert heard.data == ["a"]
    assert (seen, dial.called) == (["stream.example"], [PUBLIC])
    assert server.requests[0].headers["host"] == f"stream.example:{server.port}"


@pytest.mark.parametrize(("host", "trusted"), [("other.example", True), ("stream.example", False)])
def test_a_certificate_that_is_not_trusted_or_of_another_name_is_an_error(authority, host, trusted):
    context, ca_file = authority
    context.sni_callback = None
    with Server(streaming(event("a")), tls=context) as server:
        listener = Listener(resolve=Names({host: [[PUBLIC]]}), dial=Dial(), ca_file=ca_file if trusted else "")
        heard = listener(
            f"https://{host}:{server.port}/",
            NOT_ALLOWED,
            auth_type="bearer",
            auth_token="not-a-real-token",
            reconnect_attempts=3,
        )

    assert isinstance(heard.error, StreamFailed)
    assert "TLS handshake failed" in str(heard.error)
    assert (server.connections, server.requests) == (1, [])


def test_a_server_that_does_not_speak_tls_is_an_error():
    with Server(streaming(event("a"))) as server:
        heard = listen(f"https://127.0.0.1:{server.port}/", timeout=1)

    assert isinstance(heard.error, StreamFailed)


def test_a_handshake_that_never_ends_ends_with_the_timeout():
    began = time.monotonic()
    with Server(lambda peer: peer.until_gone()) as server:
        heard = listen(f"https://127.0.0.1:{server.port}/", timeout=1)

    assert heard.status == "error"
    assert time.monotonic() - began < 10
