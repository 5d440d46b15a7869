"""An endpoint's whole table of paths on stand-ins, and somebody with a browser in front of it."""

import re
from functools import cache
from urllib.parse import urlencode

from kafka_bridge.broker.loops import ThreadLoop
from kafka_bridge.clock import Clock
from kafka_bridge.dashboard.page import Pages
from kafka_bridge.dify.afterrun import AfterRun
from kafka_bridge.dify.apps import Apps
from kafka_bridge.dify.call import Call
from kafka_bridge.dify.consume import Consume
from kafka_bridge.dify.consumer import ConsumerState
from kafka_bridge.dify.consumers import Consumers
from kafka_bridge.dify.dashboard import Dashboard
from kafka_bridge.dify.deadletters import DeadLetters
from kafka_bridge.dify.health import Health
from kafka_bridge.dify.hooks import compile_hook
from kafka_bridge.dify.journal import Journal
from kafka_bridge.dify.letters import Letters
from kafka_bridge.dify.measures import Measures
from kafka_bridge.dify.replay import Replay
from kafka_bridge.dify.resend import Resend
from kafka_bridge.dify.routes import Routes
from kafka_bridge.dify.runs import Runs
from kafka_bridge.dify.sessions import Sessions
from kafka_bridge.dify.signin import SignIn
from kafka_bridge.dify.stream import Stream
from kafka_bridge.dify.trial import Trial
from kafka_bridge.dify.visits import Visits
from kafka_bridge.dify.webhooks import Webhooks
from kafka_bridge.dispatch.slots import Slots
from kafka_bridge.events.outcome import Recorders
from kafka_bridge.http import Inbound
from kafka_bridge.ingress.dedupe import Dedupe
from kafka_bridge.metrics import Metrics
from tests.dispatch.letters import Kafka, Scanner
from tests.stand_ins import Disk, NoWaiter, Registry, Ticking, event_log, residents, saved

TOKEN = "not-a-real-token"
ACCEPT = "text/html,application/xhtml+xml,*/*;q=0.8"
HOST = "dify.example.com"


@cache
def the_pages():
    """They know nothing of any endpoint, and compiling templates takes a while."""
    return Pages()


class Endpoint:
    """One process, one endpoint. `time` is moved by hand."""

    def __init__(self, error=None, *, name="endpoint-1", hook="abc123", consumer=None, **settings):
        self.time = Ticking()
        self.registry = Registry(error)
        self.disk = Disk()
        self.name = name
        self.hook_id = hook
        self.save(**settings)
        clock: Clock = self.time.clock
        self.recorder, self.events = event_log(clock)
        self.sessions = Sessions(clock)
        journal, loop = Journal(clock), ThreadLoop()
        recorder = Recorders(journal, self.recorder)
        runs = Runs(Apps(loop, clock), Slots(1, loop), journal, loop=loop, clock=clock, keep_up=self.recorder.keep_up)
        consumers = Consumers(lambda *_: None, self.registry, journal, loop=loop, clock=clock, random=lambda: 0.5)
        dedupe, after = Dedupe(waiter=NoWaiter), AfterRun(runs, clock).answer
        webhooks = Webhooks(self.registry, dedupe, after, journal=journal, recorder=recorder, clock=clock)
        health = Health(self.registry, self.recorder, member := ConsumerState(consumers, residents()))
        stream = Stream(self.recorder, loop=loop, clock=clock)
        resend = Resend(self.events, self.recorder, self.registry, runs, clock=clock)
        sign_in = SignIn(pages := the_pages(), self.sessions, clock)
        self.kafka = Kafka()
        self.letters = Letters(
            lambda *_: Scanner(self.kafka), self.registry, runs, journal, loop=loop, clock=clock, name=lambda: "1"
        )
        dead_letters = DeadLetters(self.letters)
        self.dashboard = dashboard = Dashboard(
            pages,
            sign_in,
            self.events,
            health,
            clock=clock,
            consumer=consumer or member,
            dead_letters=dead_letters,
        )
        self.table = Routes(
            webhooks,
            health,
            Consume(consumers, runs, Visits(), clock),
            self.events,
            dead_letters=dead_letters,
            replay=Replay(self.events, resend),
            stream=stream,
            measures=Measures(
                Metrics(), registry=self.registry, recorder=self.recorder, runs=runs, consumer=member, stream=stream
            ),
            consumer=member,
            dashboard=dashboard,
            sign_in=sign_in,
            trial=Trial(webhooks, recorder, self.recorder, clock),
            recorded=self.recorder.around,
        )
        self.dispatch = dashboard.around(self.table.dispatch)

    def save(self, **settings):
        """Save other settings."""
        self.hook = compile_hook(saved(**{"api_token": TOKEN, **settings}))

    def ask(self, method, path, *, query="", headers=None, body=b""):
        """One request as it arrives, without a browser's ways."""
        inbound = Inbound(method, path, query, {"host": HOST, "dify-hook-id": self.hook_id, **(headers or {})}, body)
        call = Call(inbound, self.hook, self.name, storage=self.disk, sessions=self.sessions)
        return self.dispatch(call)

    def post(self, path, body=b"{}", **headers):
        """What a sender does."""
        return self.ask("POST", path, headers=headers, body=body)


class Person:
    """Somebody with a browser: it keeps the cookie, and says what browsers say."""

    def __init__(self, endpoint, *, base=f"https://{HOST}/e/abc123", language="en"):
        self.endpoint = endpoint
        self.base = base
        self.language = language
        self.cookie = ""
        self.page = ""

    def headers(self):
        """Of each request."""
        known = {"accept": ACCEPT, "accept-language": self.language, "dify-hook-url": f"{self.base}/"}
        return {**known, "cookie": self.cookie} if self.cookie else known

    def open(self, view="", **asked):
        """Go to a page."""
        query = urlencode({"view": view, **asked} if view else asked)
        answer = self.endpoint.ask("GET", "/", query=query, headers=self.headers())
        self.page = answer.body.decode()
        return answer

    def send(self, path, *, headers=None, **fields):
        """Send a form."""
        said = {"content-type": "application/x-www-form-urlencoded", "referer": f"{self.base}/", **(headers or {})}
        body = urlencode(fields).encode()
        answer = self.endpoint.ask("POST", path, headers={**self.headers(), **said}, body=body)
        self.page = answer.body.decode()
        if cookie := dict(answer.headers).get("Set-Cookie"):
            self.cookie = cookie.partition(";")[0]
        return answer

    def sign_in(self, token=TOKEN, **headers):
        """With the form."""
        return self.send("/login", token=token, headers=headers)

    @property
    def csrf(self):
        """What the forms of the page carry."""
        return re.search(r'name="csrf" value="([^"]*)"', self.page)[1]


def signed_in(endpoint, **options):
    """Somebody who has signed in."""
    person = Person(endpoint, **options)
    assert person.sign_in().status == 303
    return person
