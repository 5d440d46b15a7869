"""Who asks for a certificate, who waits, and what is not asked for again."""

from datetime import timedelta

import gevent
import pytest

from kafka_bridge.errors import CertificateUnreachable, Unverified
from kafka_bridge.ingress.certificates import (
    ASKED_S,
    MAX_ASKED,
    MAX_CERTIFICATES,
    MAX_FETCHES,
    MAX_WAITERS,
    UNREACHABLE_S,
    WAIT_S,
    Certificates,
    _Fetching,
)
from kafka_bridge.ingress.outside import Alone, FetchFailed, Outside
from tests.ingress.issuer import Web, certificate, good_certificate
from tests.ingress.worlds import Greenlets, both
from tests.stand_ins import NOW

URL = "https://sns.us-west-2.amazonaws.com/a.pem"
GONE = FetchFailed("HTTP 404", lasting=True)
AWAY = FetchFailed("ConnectError")


def several(count):
    return [f"https://sns.us-west-2.amazonaws.com/{number}.pem" for number in range(count)]


def got(certificates, url=URL, *, now=NOW):
    """The certificate, or the error."""
    try:
        return certificates.get(url, now=now)
    except (Unverified, CertificateUnreachable) as error:
        return error


# One after the other.


def test_a_certificate_is_asked_for_once_a_minute_until_it_has_verified_something_then_never_again():
    fetch = Web()
    certificates = Certificates(Outside(fetch))

    for now in (NOW, NOW + ASKED_S - 1, NOW + ASKED_S):
        found = certificates.get(URL, now=now)
    assert len(fetch.asked) == 2
    certificates.proved(URL, found)

    assert certificates.get(URL, now=NOW + 10_000) is found
    assert len(fetch.asked) == 2


@pytest.mark.parametrize(
    ("failure", "kind", "kept_s"), [(GONE, Unverified, ASKED_S), (AWAY, CertificateUnreachable, UNREACHABLE_S)]
)
def test_what_did_not_come_is_not_asked_for_again_at_once(failure, kind, kept_s):
    fetch = Web(failure)
    certificates = Certificates(Outside(fetch))

    for now in (NOW, NOW + kept_s - 0.1):
        error = got(certificates, now=now)
        assert isinstance(error, kind)
        assert str(failure) in (error.reason if kind is Unverified else error.hint)
    assert len(fetch.asked) == 1
    fetch.answer = good_certificate()

    assert certificates.get(URL, now=NOW + kept_s)
    assert len(fetch.asked) == 2


def test_a_clock_that_was_set_back_hides_nothing_for_long():
    fetch = Web(GONE)
    certificates = Certificates(Outside(fetch))
    got(certificates, now=NOW + 100_000)
    fetch.answer = good_certificate()

    assert certificates.get(URL, now=NOW)


@pytest.mark.parametrize("pem", [b"", b"<html>", certificate(valid_until=timedelta(seconds=-1))])
def test_what_is_no_certificate_that_is_valid_is_not_asked_for_again_at_once(pem):
    fetch = Web(pem)
    certificates = Certificates(Outside(fetch))

    reasons = {got(certificates, now=NOW + second).reason for second in range(50)}

    assert len(reasons) == len(fetch.asked) == 1


def test_a_certificate_that_expires_while_it_is_kept_is_asked_for_anew_and_the_new_one_is_taken():
    fetch = Web(certificate(valid_until=timedelta(minutes=5)))
    certificates = Certificates(Outside(fetch))
    certificates.proved(URL, certificates.get(URL, now=NOW))
    fetch.answer = good_certificate()

    assert certificates.get(URL, now=NOW + 301).is_valid(NOW + 301)
    assert len(fetch.asked) == 2


def test_no_more_is_asked_for_than_the_memory_holds_and_it_empties():
    fetch = Web(GONE)
    certificates = Certificates(Outside(fetch))

    for url in several(MAX_ASKED * 3):
        got(certificates, url)
    error = got(certificates, "https://sns.us-west-2.amazonaws.com/true.pem")

    # It may be a true one: its message shall come again.
    assert isinstance(error, CertificateUnreachable)
    assert len(fetch.asked) == len(certificates._asked) == MAX_ASKED
    fetch.answer = good_certificate()
    assert certificates.get("https://sns.us-west-2.amazonaws.com/true.pem", now=NOW + ASKED_S)
    assert len(certificates._asked) == 1


def test_a_certificate_that_verifies_takes_no_room_of_those_that_do_not():
    certificates = Certificates(Outside(Web()))

    for url in several(MAX_ASKED * 3):
        certificates.proved(url, certificates.get(url, now=NOW))

    assert certificates._asked == {}


def test_of_those_that_verify_the_last_used_are_kept():
    certificates = Certificates(Outside(Web()))
    first, *others = several(MAX_CERTIFICATES * 2)

    for url in (first, *others):
        certificates.proved(url, certificates.get(url, now=NOW))
        certificates.proved(first, certificates.get(first, now=NOW))

    assert list(certificates._proven) == [*others[-MAX_CERTIFICATES + 1 :], first]


def test_what_is_remembered_keeps_no_request_alive():
    certificates = Certificates(Outside(Web(AWAY)))

    errors = [got(certificates) for _ in range(3)]

    assert len({id(error) for error in errors}) == 3


# At the same time.


class Slow(Web):
    """A network that answers when it is told to."""

    def __init__(self, event, answer=None):
        super().__init__(answer)
        self.open = event()

    def __call__(self, url):
        self.asked.append(url)
        self.open.wait()
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def asking(world, certificates, results, url=URL):
    return world.start(lambda: results.append(got(certificates, url)))


def waiters(certificates, url=URL):
    fetching = certificates._fetching.get(url)
    return len(fetching.waiters) if fetching else 0


@both
@pytest.mark.parametrize("answer", [good_certificate(), GONE, AWAY], ids=["there", "gone", "away"])
def test_many_that_want_one_certificate_ask_once_and_all_learn_what_came(make, answer):
    world, results = make(), []
    fetch = Slow(make.event, answer)
    certificates = Certificates(Outside(fetch, world.waiter))

    runs = [asking(world, certificates, results) for _ in range(20)]
    world.settle(lambda: waiters(certificates) == 19)
    assert results == []
    fetch.open.set()
    world.join(runs)

    assert len(results) == 20
    assert len({getattr(found, "reason", getattr(found, "hint", found)) for found in results}) == 1
    assert fetch.asked == [URL]
    assert certificates._fetching == {}


@both
def test_no_more_wait_than_the_bound_and_the_others_are_to_come_again(make):
    world, results = make(), []
    fetch = Slow(make.event)
    certificates = Certificates(Outside(fetch, world.waiter))
    runs = [asking(world, certificates, results) for _ in range(MAX_WAITERS + 1)]
    world.settle(lambda: waiters(certificates) == MAX_WAITERS)

    assert isinstance(got(certificates), CertificateUnreachable)
    fetch.open.set()
    world.join(runs)
    assert not any(isinstance(found, Exception) for found in results)


@both
def test_no_more_are_fetched_at_a_time_than_the_bound(make):
    world, results = make(), []
    fetch = Slow(make.event)
    certificates = Certificates(Outside(fetch, world.waiter))
    *urls, one_more = several(MAX_FETCHES + 1)
    runs = [asking(world, certificates, results, url) for url in urls]
    world.settle(lambda: len(fetch.asked) == MAX_FETCHES)

    assert isinstance(got(certificates, one_more), CertificateUnreachable)
    fetch.open.set()
    world.join(runs)
    assert certificates.get(one_more, now=NOW)
    assert len(fetch.asked) == MAX_FETCHES + 1


class CutOff(Slow):
    """A network in which whoever asks first comes to its end."""

    def __call__(self, url):
        found = super().__call__(url)
        if len(self.asked) == 1:
            raise KeyboardInterrupt
        return found


@both
def test_when_the_one_that_asks_is_cut_off_another_asks(make):
    world, results, ends = make(), [], []
    fetch = CutOff(make.event)
    certificates = Certificates(Outside(fetch, world.waiter))

    def cut_off():
        try:
            certificates.get(URL, now=NOW)
        except KeyboardInterrupt:
            ends.append(True)

    runs = [world.start(cut_off)]
    world.settle(lambda: fetch.asked)
    runs += [asking(world, certificates, results) for _ in range(5)]
    world.settle(lambda: waiters(certificates) == 5)
    fetch.open.set()
    world.join(runs)

    assert (ends, len(results)) == ([True], 5)
    assert not any(isinstance(found, Exception) for found in results)
    assert fetch.asked == [URL, URL]
    assert certificates._fetching == {}


def test_a_greenlet_that_is_killed_while_it_asks_leaves_nobody_waiting():
    world, results = Greenlets(), []
    fetch = Slow(Greenlets.event)
    certificates = Certificates(Outside(fetch, world.waiter))
    first = world.start(lambda: certificates.get(URL, now=NOW))
    world.settle(lambda: fetch.asked)
    others = [asking(world, certificates, results) for _ in range(5)]
    world.settle(lambda: waiters(certificates) == 5)

    gevent.kill(first)
    world.settle(lambda: len(fetch.asked) == 2)
    fetch.open.set()
    world.join(others)

    assert len(results) == 5
    assert not any(isinstance(found, Exception) for found in results)
    assert fetch.asked == [URL, URL]


class Impatient:
    """A waiter whose time is over."""

    waited: list[float] = []  # noqa: RUF012

    def wait(self, timeout_s):
        self.waited.append(timeout_s)
        return False

    def wake(self):
        pass


def test_a_wait_has_an_end():
    world, results = Greenlets(), []
    fetch = Slow(Greenlets.event)
    certificates = Certificates(Outside(fetch, Impatient))
    run = asking(world, certificates, results)
    world.settle(lambda: fetch.asked)

    error = got(certificates)

    assert isinstance(error, CertificateUnreachable)
    assert Impatient.waited == [WAIT_S]
    fetch.open.set()
    world.join([run])


def test_whoever_is_cut_off_again_and_again_keeps_nobody_for_ever():
    class Woken(Alone):
        def wait(self, timeout_s):
            return True

    certificates = Certificates(Outside(Web(), Woken))
    certificates._fetching[URL] = _Fetching()

    assert isinstance(got(certificates), CertificateUnreachable)
