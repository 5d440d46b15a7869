"""What is measured, and against what. Every row is a ratio or a difference within one run."""

import hashlib
import hmac
import os
import statistics
import tempfile
import timeit
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import orjson
from confluent_kafka import Consumer, TopicPartition

from bench.driver import Plugin, Request, Run
from bench.plugins import peer_folder
from devhost.broker import EmbeddedBroker
from devhost.signing import content_type_of, sample_body, sample_headers, sample_secret, sign
from devhost.signing.draft import FORM
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.content import Content
from kafka_bridge.ingress.schemes import SCHEMES
from kafka_bridge.ingress.signatures import Signature

TOPIC = "bench"
ACK_MS = 5
BATCH, BATCHES = 1000, 30
SECRET = "bench " * 4
URL = "https://bench.example.com/hook"
NOW = 1_700_000_000.0
BODY = orjson.dumps(
    {
        "id": "evt_1",
        "event_type": "order.paid",
        "customer": "c-17",
        "items": [{"sku": f"s{n}", "n": n} for n in range(40)],
    }
)


@dataclass
class Bench:
    """One run of everything."""

    requests: int
    rounds: int
    memory_events: int
    results: list[tuple[str, str, str]] = field(default_factory=list)

    def run(self) -> None:
        """All rows."""
        with tempfile.TemporaryDirectory() as scratch, broker() as bootstrap:
            self._folder = Path(scratch)
            self._bootstrap = bootstrap
            self._request = request(bootstrap)
            self._throughput()
            self._against_flush()
            self._batches()
            self._verification()
            self._latency()
            self._readiness()
            self._memory()

    def _plugin(self, name: str) -> Plugin:
        return Plugin(peer_folder(self._folder, name), {"BENCH_TOPIC": TOPIC})

    def _throughput(self) -> None:
        runs = self._interleaved({"ours": self.requests, "noop": self.requests})
        ours, noop = median_of(runs["ours"]), median_of(runs["noop"])
        self._note(
            "verified, published and recorded webhooks/s, 64 in flight, acks after 5 ms",
            f"{ours.rate:,.0f}/s",
            f"no-op endpoint {noop.rate:,.0f}/s: **{ratio(runs, lambda run: run.rate):.2f}** (bar 0.75, goal 0.9)",
        )
        self._note(
            "storage calls that write, per recorded webhook",
            f"**{sum(run.writes for run in runs['ours']) / sum(run.requests for run in runs['ours']):.3f}**",
            "one each would be 1 (bar 0.1, goal 0.05)",
        )
        self._note(
            "CPU per webhook",
            f"{ours.cpu_us:.0f} µs",
            f"no-op {noop.cpu_us:.0f} µs: **+{ours.cpu_us - noop.cpu_us:.0f} µs** (bar 200, goal 100),"
            f" {ratio(runs, lambda run: run.cpu_us):.2f} of it",
        )
        self._rate = ours.rate

    def _against_flush(self) -> None:
        runs = self._interleaved({"ours": self.requests, "flush": max(100, self.requests // 20)})
        ours, flush = median_of(runs["ours"]), median_of(runs["flush"])
        self._note(
            "the same against a persistent producer with a flush per request",
            f"{ours.rate:,.0f}/s",
            f"{flush.rate:,.0f}/s: **{ratio(runs, lambda run: run.rate):.1f}×** (bar 10, goal 15)",
        )

    def _batches(self) -> None:
        """Many small events: each in a request of its own, against lines of JSON in few requests."""
        event = orjson.dumps({"event_type": "order.paid", "customer": "c-17", "filler": "x" * 200})
        one = signed(self._bootstrap, event, "application/json")
        many = signed(self._bootstrap, b"\n".join([event] * BATCH), "application/x-ndjson")
        cpu_us: dict[str, list[float]] = {"one": [], "many": []}
        with self._plugin("ours") as plugin:
            plugin.closed_loop(one, 500)
            for _ in range(self.rounds):
                before = records(self._bootstrap)
                cpu_us["one"].append(plugin.closed_loop(one, self.requests // 2).cpu_us)
                cpu_us["many"].append(plugin.closed_loop(many, BATCHES, in_flight=4).cpu_us / BATCH)
                grown = records(self._bootstrap) - before
                if grown != self.requests // 2 + BATCH * BATCHES:
                    raise RuntimeError(f"{grown} records were written")
        ours, alone = statistics.median(cpu_us["many"]), statistics.median(cpu_us["one"])
        self._note(
            f"events per second of one core, in batches of {BATCH}",
            f"{1e6 / ours:,.0f}/s",
            f"one by one {1e6 / alone:,.0f}/s: **{alone / ours:.0f}×** (bar 15, goal 40)",
        )

    def _verification(self) -> None:
        """Every HMAC scheme's verification of a body of 2 KB, against the bare digest."""
        cost_us = {}
        for scheme, row in SCHEMES.items():
            if not isinstance(row.proof, Signature) or row.proof.algorithm == "ed25519":
                continue
            body = sample_body(scheme)
            body += b"&filler=" + b"x" * 1900 if content_type_of(body) == FORM else b" " * (2048 - len(body))
            signed = sign(
                scheme,
                sample_secret(scheme),
                body,
                now=NOW,
                event_id="m",
                url=f"{URL}/webhook",
                headers=sample_headers(scheme),
            )
            settings = {"webhook_secret": sample_secret(scheme), "scheme": scheme, "topic": "t", "public_url": URL}
            verifier = compile_hook(settings).source("default").verifier
            inbound = Inbound("POST", "/webhook", urlsplit(signed.url).query, signed.headers, signed.body)
            cost_us[scheme] = microseconds(lambda v=verifier, i=inbound: v.verify(Content(i, public_url=URL), now=NOW))
        bare = microseconds(lambda: hmac.digest(SECRET.encode(), b"x" * 2048, "sha256"))
        dearest, *_, cheapest = sorted(cost_us, key=cost_us.__getitem__, reverse=True)
        self._note(
            f"verification of 2 KB, of {len(cost_us)} HMAC schemes the median",
            f"**{statistics.median(cost_us.values()):.0f} µs** (bar 60)",
            f"the bare HMAC-SHA256 {bare:.0f} µs; {cheapest} {cost_us[cheapest]:.0f} µs, {dearest}"
            f" {cost_us[dearest]:.0f} µs",
        )

    def _latency(self) -> None:
        rate = self._rate / 2
        count = min(self.requests, int(rate * 5))
        p99: dict[str, list[float]] = {"ours": [], "noop": []}
        with ExitStack() as stack:
            plugins = {name: stack.enter_context(self._plugin(name)) for name in p99}
            for plugin in plugins.values():
                plugin.closed_loop(self._request, 500)
            for _ in range(self.rounds):
                for name, plugin in plugins.items():
                    p99[name].append(plugin.open_loop(self._request, count, rate).latency_ms(0.99))
        ours, noop = statistics.median(p99["ours"]), statistics.median(p99["noop"])
        self._note(
            "p99 at half the maximum rate",
            f"{ours:.1f} ms",
            f"no-op {noop:.1f} ms: **{(ours - ACK_MS) / noop:.2f}×** + ack time (bar 1.5, goal 1.2)",
        )

    def _readiness(self) -> None:
        seconds: dict[str, list[float]] = {"ours": [], "noop": []}
        for _ in range(self.rounds):
            for name, found in seconds.items():
                with self._plugin(name) as plugin:
                    found.append(plugin.ready_s)
        ours, noop = statistics.median(seconds["ours"]), statistics.median(seconds["noop"])
        self._note("ready after", f"{ours:.2f} s", f"no-op {noop:.2f} s: **+{ours - noop:.2f} s** (bar 0.25, goal 0.1)")

    def _memory(self) -> None:
        with self._plugin("noop") as noop, self._plugin("ours") as ours:
            noop.closed_loop(self._request, 500)
            ours.closed_loop(self._request, 500)
            idle = ours.memory_mb() - noop.memory_mb()
            ours.closed_loop(self._request, self.memory_events)
            noop.closed_loop(self._request, self.memory_events)
            after = ours.memory_mb() - noop.memory_mb()
        self._note(
            "memory above a no-op plugin",
            f"+{idle:.0f} MB after 500 events",
            f"**+{after:.0f} MB** after {self.memory_events:,} (bar +25 idle, +40 after 1 M)",
        )

    def _interleaved(self, counts: dict[str, int]) -> dict[str, list[Run]]:
        """Rounds in turn, so that the machine's moods meet everybody; the topic must grow by what was answered."""
        runs: dict[str, list[Run]] = {name: [] for name in counts}
        with ExitStack() as stack:
            plugins = {name: stack.enter_context(self._plugin(name)) for name in counts}
            for name, plugin in plugins.items():
                plugin.closed_loop(self._request, min(500, counts[name]))
            for _ in range(self.rounds):
                for name, plugin in plugins.items():
                    before = records(self._bootstrap)
                    runs[name].append(plugin.closed_loop(self._request, counts[name]))
                    grown = records(self._bootstrap) - before
                    if name != "noop" and grown != counts[name]:
                        raise RuntimeError(f"{name} answered {counts[name]} requests and wrote {grown} records")
        return runs

    def _note(self, *row: str) -> None:
        self.results.append(row)  # type: ignore[arg-type]
        print("  ".join(row).replace("**", ""), flush=True)


def median_of(runs: list[Run]) -> Run:
    """The round with the median rate."""
    return sorted(runs, key=lambda run: run.rate)[len(runs) // 2]


def ratio(runs: dict[str, list[Run]], value) -> float:
    """The median, over rounds, of the first one's value over the second one's."""
    first, second = runs.values()
    return statistics.median(value(a) / value(b) for a, b in zip(first, second, strict=True))


def microseconds(call: Callable[[], object]) -> float:
    """How long a call takes, the best of some rounds."""
    return min(timeit.repeat(call, number=2000, repeat=7)) / 2000 * 1e6


def request(bootstrap: str) -> Request:
    """An ordinary webhook."""
    return signed(bootstrap, BODY, "application/json")


def signed(bootstrap: str, body: bytes, content_type: str) -> Request:
    """A signed webhook with a whole set of settings, as an operator would have saved it."""
    return Request(
        headers={
            "Content-Type": content_type,
            "X-Webhook-Signature": hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest(),
            "Accept": "*/*",
            "Accept-Encoding": "gzip",
            "Dify-Hook-Id": "abcdefghijklmnop",
            "Dify-Hook-Url": "http://dify.example/e/abcdefghijklmnop/webhook",
            "X-Forwarded-Proto": "https",
        },
        body=body,
        settings={
            "bootstrap_servers": bootstrap,
            "security_protocol": "auto",
            "sasl_mechanism": "PLAIN",
            "publishing": "enabled",
            "scheme": "hmac",
            "webhook_secret": SECRET,
            "topic": TOPIC,
            "key": "{body.customer}",
            "group_id": "kafka-bridge",
            "ordering": "key",
            "concurrency": "4",
            "max_attempts": "3",
            "offset_reset": "latest",
            "dead_letter_topic": "{topic}.dead-letter",
            "consumer": "disabled",
            "api_token": "bench " * 6,
            "keep_events": "1000",
        },
    )


@contextmanager
def broker() -> Iterator[str]:
    """An embedded broker whose acknowledgements take 5 ms."""
    embedded = EmbeddedBroker(rtt_ms=ACK_MS)
    try:
        yield embedded.bootstrap
    finally:
        embedded.close()


def records(bootstrap: str) -> int:
    """How many records the topic holds."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "log_level": 0})
    try:
        partitions = reader.list_topics(TOPIC, timeout=10).topics[TOPIC].partitions
        return sum(reader.get_watermark_offsets(TopicPartition(TOPIC, number), timeout=10)[1] for number in partitions)
    finally:
        reader.close()


def machine() -> str:
    """What it was measured on."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        "unknown processor",
    )
    return f"{os.cpu_count()} cores, {model}, Linux {os.uname().release.split('-')[0]}"
