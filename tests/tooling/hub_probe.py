"""A process of its own: listens on the gevent hub, and says how long the hub was kept from everybody else.

    python -m tests.tooling.hub_probe CA_FILE PARAMETERS

PARAMETERS are those of the call, as JSON. The last line is JSON: the summary, with `worst_s` of work between two
rounds of a ticker, and `grown_kb`, by which the process was larger at its largest than before the call.
"""

from gevent import monkey

monkey.patch_all(sys=True)

import json  # noqa: E402
import random  # noqa: E402
import re  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import gevent  # noqa: E402

from kafka_bridge.broker.greenlets import GeventLoop  # noqa: E402
from kafka_bridge.clock import Clock  # noqa: E402
from kafka_bridge.errors import BridgeError  # noqa: E402
from kafka_bridge.tooling.call import ToolCall  # noqa: E402
from kafka_bridge.tooling.listen_sse import ListenSse  # noqa: E402
from kafka_bridge.tooling.messages import Json  # noqa: E402
from kafka_bridge.tooling.parameters import Parameters  # noqa: E402
from kafka_bridge.tooling.sse.connection import Connector  # noqa: E402
from kafka_bridge.tooling.sse.listening import World  # noqa: E402
from kafka_bridge.tooling.sse.names import Names  # noqa: E402

TICK_S = 0.005
_, ca_file, parameters = sys.argv
gaps = [0.0]


def tick() -> None:
    while True:
        # The processor's time: what others on this machine take of it is no fault of ours.
        before = time.thread_time()
        gevent.sleep(TICK_S)
        gaps.append(time.thread_time() - before)


def listen() -> dict:
    loop = GeventLoop()
    world = World(loop, Clock(time.time, time.monotonic), random.random, str)
    tool = ListenSse(None, Connector(ca_file, resolve=Names(loop).resolve), world)  # type: ignore[arg-type]
    call = ToolCall({"allow_private_addresses": "enabled"}, Parameters(json.loads(parameters)))
    summary: dict = {}
    try:
        for message in tool(call):
            if isinstance(message, Json):
                summary = dict(message.value)
    except BridgeError:
        pass
    return summary


def memory_kb(name: str) -> int:
    """`VmRSS` or `VmHWM`; not getrusage, which knows the largest size of the parent too."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found
    return int(found[1])


gevent.spawn(tick)
gevent.sleep(0)
before_kb, started = memory_kb("VmRSS"), time.monotonic()
said = listen()
took_s = time.monotonic() - started
# Or a gap that lasts until the end would not be among them.
gevent.sleep(2 * TICK_S)
grown_kb = memory_kb("VmHWM") - before_kb
print(json.dumps({**said, "worst_s": max(gaps), "ticks": len(gaps), "took_s": took_s, "grown_kb": grown_kb}))
