"""`GET /`: the dashboard, and what a browser is shown in the place of a problem document."""

import logging
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qs

import orjson

from kafka_bridge.clock import Clock
from kafka_bridge.dashboard.address import address_of, public_base
from kafka_bridge.dashboard.connecting import sender_views
from kafka_bridge.dashboard.consuming import LatestRun, consumer_view, latest_runs
from kafka_bridge.dashboard.event import event_view
from kafka_bridge.dashboard.health import UNVERIFIED, health_view
from kafka_bridge.dashboard.letters import VIEW as LETTERS
from kafka_bridge.dashboard.letters import Question, chosen_of, done_of, letters_view, question
from kafka_bridge.dashboard.page import Frame, Pages
from kafka_bridge.dashboard.rows import link_to, list_view
from kafka_bridge.dashboard.shown import VALUE_CHARS, one_line
from kafka_bridge.dashboard.summary import settings_view
from kafka_bridge.dashboard.words import language_of
from kafka_bridge.dify.call import Call, Handler
from kafka_bridge.dify.consumer import ConsumerState
from kafka_bridge.dify.deadletters import DeadLetters
from kafka_bridge.dify.events import Events, cursor_of, filter_of
from kafka_bridge.dify.health import Health
from kafka_bridge.dify.signin import SignIn
from kafka_bridge.dispatch.cursor import positions_of
from kafka_bridge.dispatch.redrive import wanted_of
from kafka_bridge.dispatch.shown import Page as Letters
from kafka_bridge.errors import BridgeError, Busy, Malformed, NotFound, SettingsInvalid, Unavailable
from kafka_bridge.events.log.entry import Kind
from kafka_bridge.events.log.query import Filter, Row
from kafka_bridge.http import PROBLEM_JSON, Answer, Inbound, Outbound, problem
from kafka_bridge.incidents import incident_of

logger = logging.getLogger(__name__)

PER_PAGE: Final = 50
MAX_FIELDS: Final = 50
# Up to the dashboard, from a path that may be of any length.
MAX_STEPS: Final = 16
# What has been done to the event that is shown.
DONE: Final = ("replayed", "run")
# Whom these answer reads JSON, whatever it says that it accepts.
MACHINES: Final = ("/webhook", "/dispatch", "/consume", "/health", "/metrics", "/stream")


class Dashboard:
    """The handlers."""

    def __init__(
        self,
        pages: Pages,
        sign_in: SignIn,
        events: Events,
        health: Health,
        *,
        clock: Clock,
        consumer: ConsumerState,
        dead_letters: DeadLetters,
    ) -> None:
        self._pages = pages
        self._sign_in = sign_in
        self._events = events
        self._health = health
        self._clock = clock
        self._consumer = consumer
        self._dead_letters = dead_letters
        self._views = {
            "events": self._list,
            "event": self._event,
            "consumer": self._consuming,
            LETTERS: self._letters,
            "health": self._healthy,
            "settings": self._settings,
            "connect": self._connect,
        }

    def show(self, call: Call) -> Outbound:
        """A view, for whoever is signed in; else the form to do so. Raises NotFound, Malformed, LogUnreadable."""
        if not call.authorized:
            return self._sign_in.page(call)
        asked = _asked(call.inbound.query)
        view = self._views.get(asked.get("view", "events"))
        if view is None:
            raise NotFound("There is no such view.")
        return view(call, asked)

    def around(self, handler: Handler) -> Handler:
        """The handler, whose errors a browser is shown as a page."""

        def shown(call: Call) -> Answer:
            if not is_browser(call.inbound):
                return handler(call)
            answer: Answer
            try:
                answer = handler(call)
            except BridgeError as error:
                answer = problem(error)
            except Exception as error:  # noqa: BLE001 - as at the boundary
                incident = incident_of(error)
                logger.error("%s", incident.line)  # noqa: TRY400
                answer = problem(incident.error)
            if isinstance(answer, Outbound) and answer.content_type == PROBLEM_JSON:
                return self._problem(call, answer)
            return answer

        return shown

    # The views.

    def _list(self, call: Call, asked: Mapping[str, str]) -> Outbound:
        page = self._events.page(call, filter_of(asked), cursor=cursor_of(asked), limit=PER_PAGE)
        frame = self._frame(call, "events")
        words = self._pages.words(frame.language)
        shown = list_view(page, asked, list(call.hook.settings.sources), now=self._clock.now(), words=words)
        template = "list" if asked.get("part") == "list" else "events"
        return self._pages.draw(template, frame, list=shown, keeps=call.hook.settings.keep_events > 0)

    def _event(self, call: Call, asked: Mapping[str, str]) -> Outbound:
        row = self._events.find(call, asked.get("id", ""))
        frame, now = self._frame(call, "events"), self._clock.now()
        words = self._pages.words(frame.language)
        event = event_view(row, self._related(call, row), now=now, words=words)
        done = asked.get("done", "")
        return self._pages.draw(
            "event",
            frame,
            event=event,
            asking="replay" in asked and not event.refusal,
            app=bool(call.hook.settings.consume.app_id),
            done=done if done in DONE else "",
        )

    def _related(self, call: Call, row: Row) -> list[Row]:
        """What else came, or was sent, under the same event's id."""
        entry = row.entry
        if not entry.event_id:
            return []
        page = self._events.page(call, Filter(text=entry.event_id), limit=PER_PAGE)
        return [other for other in page.rows if other.entry.event_id == entry.event_id]

    def _consuming(self, call: Call, _asked: Mapping[str, str]) -> Outbound:
        frame, now = self._frame(call, "consumer"), self._clock.now()
        words = self._pages.words(frame.language)

        def latest(outcome: str) -> Sequence[LatestRun]:
            page = self._events.page(call, Filter(outcome=outcome), limit=PER_PAGE)
            return latest_runs(page.rows, outcome, now=now, words=words)

        return self._pages.draw(
            "consumer",
            frame,
            consumer=consumer_view(self._consumer.state(call), words),
            dead_letters=latest(Kind.DEAD_LETTERED),
            failed=latest(Kind.FAILED),
            all_dead_letters=link_to("events", outcome=Kind.DEAD_LETTERED),
            all_failed=link_to("events", outcome=Kind.FAILED),
        )

    def _letters(self, call: Call, asked: Mapping[str, str]) -> Outbound:
        frame, trouble, page = self._frame(call, LETTERS), "", Letters()
        wanted = wanted_of(chosen_of(asked))
        asking: Question | None = None
        try:
            if asked.get("send") == "ask":
                asking = question(self._dead_letters.look(call, wanted, asked.get("record", "")), asked)
            cursor = positions_of(asked.get("cursor", ""))
            page = self._dead_letters.page(call, wanted, state=asked.get("state", ""), cursor=cursor)
        except (SettingsInvalid, Unavailable, Busy) as error:
            trouble = str(error)
        words = self._pages.words(frame.language)
        return self._pages.draw(
            LETTERS,
            frame,
            list=letters_view(page, asked, trouble=trouble, now=self._clock.now(), words=words),
            asking=asking,
            app=bool(call.hook.settings.consume.app_id),
            done=done_of(asked),
        )

    def _healthy(self, call: Call, _asked: Mapping[str, str]) -> Outbound:
        frame = self._frame(call, "health")
        words, token = self._pages.words(frame.language), call.hook.settings.api_token
        shown = health_view(self._health.look(call), token, words=words, language=frame.language)
        return self._pages.draw("health", frame, health=shown)

    def _settings(self, call: Call, _asked: Mapping[str, str]) -> Outbound:
        frame, hook = self._frame(call, "settings"), call.hook
        words = self._pages.words(frame.language)
        shown = settings_view(hook.settings, hook.problems, words=words, language=frame.language)
        return self._pages.draw("settings", frame, settings=shown)

    def _connect(self, call: Call, asked: Mapping[str, str]) -> Outbound:
        frame, hook = self._frame(call, "connect"), call.hook
        public = public_base(hook.settings.public_url, call.inbound.header("dify-hook-id"))
        base = public or address_of(call.inbound).url
        words = self._pages.words(frame.language)
        senders = sender_views(hook.settings, hook.sources, hook.problems, base, words=words, language=frame.language)
        return self._pages.draw(
            "connect", frame, senders=senders, base=base, guessed=bool(base and not public), sent="sent" in asked
        )

    # What is around them.

    def _frame(self, call: Call, view: str) -> Frame:
        session = call.session
        unverified = [name for name, source in call.hook.sources.items() if source.scheme_id == UNVERIFIED]
        return Frame(
            language=language_of(call.inbound.header("accept-language")),
            view=view,
            csrf=session.csrf if session else "",
            unverified=unverified,
        )

    def _problem(self, call: Call, answer: Outbound) -> Outbound:
        """A problem document as a page."""
        inbound, told = call.inbound, orjson.loads(answer.body)
        root = "../" * min(inbound.path.count("/") - 1, MAX_STEPS) or "./"
        return self._pages.draw(
            "problem",
            Frame(language_of(inbound.header("accept-language")), root=root),
            status=answer.status,
            headers=answer.headers,
            code=int(answer.status),
            title=one_line(told["title"], VALUE_CHARS),
            detail=one_line(told.get("detail") or "", VALUE_CHARS),
        )


def is_browser(inbound: Inbound) -> bool:
    """Whether a person reads the answer: a browser asks for a page, and not on a path for machines."""
    if "text/html" not in inbound.header("accept"):
        return False
    return not any(inbound.path == path or inbound.path.startswith(f"{path}/") for path in MACHINES)


def _asked(query: str) -> Mapping[str, str]:
    """The parameters; of a repeated one the last. Raises Malformed."""
    try:
        return {name: values[-1] for name, values in parse_qs(query, max_num_fields=MAX_FIELDS).items()}
    except ValueError as error:
        raise Malformed("Too many parameters.") from error
