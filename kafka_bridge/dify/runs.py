"""Runs the endpoint's app while a request is open, a bounded number of times at once in the whole process."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from kafka_bridge.broker.loops import Interrupted, Loop, Task
from kafka_bridge.clock import Clock
from kafka_bridge.dify.apps import Apps
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.caller import Caller
from kafka_bridge.dispatch.ended import Ended, Ending
from kafka_bridge.dispatch.payload import Payload, read
from kafka_bridge.dispatch.plan import Plan
from kafka_bridge.dispatch.slots import Slots
from kafka_bridge.dispatch.units import units_of
from kafka_bridge.events.outcome import Recorder
from kafka_bridge.events.record import Consumed
from kafka_bridge.events.run import Ran

CANCELED: Final = "context canceled"
# The SDK gives a call up after 250 s of silence, with an exception that says less.
RUN_S: Final = 240.0


class Runs:
    """`run` waits for a slot; `run_all` keeps the order of keys. Neither raises."""

    def __init__(
        self,
        apps: Apps,
        slots: Slots,
        recorder: Recorder,
        *,
        loop: Loop,
        clock: Clock,
        keep_up: Callable[[Call], None],
    ) -> None:
        self._apps = apps
        self._slots = slots
        self._recorder = recorder
        self._loop = loop
        self._clock = clock
        self._keep_up = keep_up
        self._running: Counter[str] = Counter()

    def in_flight(self, endpoint: str) -> int:
        """How many of an endpoint's runs are not over."""
        return self._running[endpoint]

    @contextmanager
    def attended(self, call: Call, on_gone: Task = lambda: None, *, rest_s: float = 0.0) -> Iterator[Caller]:
        """Whom the runs of this request are for; no run outlives its caller for long. `rest_s` is that of `Caller`."""
        caller = Caller(call.ask, self._loop, on_gone, on_look=partial(self._keep_up, call), rest_s=rest_s)
        with self._slots.present(call.endpoint), caller.watched():
            yield caller

    def run(self, call: Call, caller: Caller, plan: Plan, payload: Payload, *, until: float) -> Ended:
        """One run; `until` (monotonic seconds) is when it must have started."""
        try:
            if not caller.call(lambda: self._slots.acquire(until - self._clock.monotonic(), call.endpoint)):
                return Ended(Ending.NOT_STARTED, error="as many runs as there may be at once took too long")
        except Interrupted:
            return Ended(Ending.NOT_STARTED, error="whoever asked for the run has gone")
        self._running[call.endpoint] += 1
        try:
            ended = caller.call(lambda: self._run(call, plan, payload))
        except Interrupted:
            return Ended(Ending.UNKNOWN, error="whoever asked for the run has gone, and the answer of Dify with it")
        finally:
            self._slots.release(call.endpoint)
            self._running[call.endpoint] -= 1
            if not self._running[call.endpoint]:
                del self._running[call.endpoint]
        if CANCELED in ended.error:
            # With this the daemon ends what was called for by somebody who has gone, if it says anything at all; before
            # 0.6.9 it may also have been somebody else's caller. No other run is to begin until that is known.
            caller.check()
        return ended

    def _run(self, call: Call, plan: Plan, payload: Payload) -> Ended:
        assert call.apps is not None
        return self._apps.run(
            call.apps,
            endpoint=call.endpoint,
            app_id=call.hook.settings.consume.app_id,
            inputs=plan.inputs,
            payload=payload,
            timeout_s=RUN_S,
        )

    def run_all(self, call: Call, plan: Plan, records: list[Consumed], *, until: float) -> Sequence[Ended]:
        """One run for each record; after one that is not done no other of its key."""
        untried = Ended(Ending.NOT_STARTED, error="the record before it, of the same key, was not done")
        results: list[Ended] = [untried] * len(records)
        units = units_of(records)
        workers = min(plan.policy.concurrency, len(records))
        waiter, left = self._loop.waiter(), [workers]

        def work(caller: Caller) -> None:
            try:
                for unit in units:
                    for number in unit:
                        payload = read(records[number])
                        results[number] = ended = self.run(call, caller, plan, payload, until=until)
                        self._recorder.ran(call.endpoint, ran(payload, ended, time=self._clock.now()))
                        if ended.ending is not Ending.DONE:
                            break
            finally:
                left[0] -= 1
                if not left[0]:
                    waiter.wake()

        with self.attended(call) as caller:
            for _ in range(workers):
                self._loop.spawn(partial(work, caller))
            # Each run has an end of its own.
            while left[0]:
                waiter.wait(RUN_S)
        return results


def ran(payload: Payload, ended: Ended, *, time: float, attempt: int = 1, dead_lettered: bool = False) -> Ran:
    """What is recorded of a run."""
    return Ran(
        event_id=payload.event_id,
        event_type=payload.event_type,
        topic=payload.topic,
        partition=payload.partition,
        offset=payload.offset,
        attempt=attempt,
        ending=ended.ending.value,
        run_id=ended.run_id,
        error=ended.error,
        duration_s=ended.duration_s,
        time=time,
        dead_lettered=dead_lettered,
        text=payload.text,
        content_type=payload.header("content-type") or "",
    )
