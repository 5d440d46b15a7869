"""The circuit: what opens it, what closes it, who probes, and how often."""

import pytest

from kafka_bridge.dispatch.breaker import FIRST_S, MISCONFIGURED_CAP_S, UNAVAILABLE_CAP_S, Breaker
from kafka_bridge.dispatch.ended import Ended, Ending
from tests.dispatch.words import DONE, task

DOWN = Ended(Ending.UNAVAILABLE, error="connection refused")
WRONG = Ended(Ending.MISCONFIGURED, error="the app is not published")
SHUT = [Ending.UNAVAILABLE, Ending.MISCONFIGURED]


def opened(by=DOWN, *, random=lambda: 1.0):
    breaker = Breaker(random=random)
    first = task(0)
    breaker.start(first)
    breaker.end(first, by, now=100.0, unix=5.0)
    return breaker


def probed(breaker, ended, *, now):
    assert breaker.allows(now)
    probe = task(1)
    breaker.start(probe)
    breaker.end(probe, ended, now=now, unix=now)


def waits(breaker, ended, *, times):
    """How long the circuit stays open, probe after probe."""
    found, now = [], 100.0
    for _ in range(times):
        found.append(breaker.circuit.next_probe - now)
        now = breaker.circuit.next_probe
        probed(breaker, ended, now=now)
    return found


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending not in SHUT])
def test_only_an_end_that_concerns_every_record_opens_it(ending):
    assert opened(Ended(ending)).circuit is None


@pytest.mark.parametrize("ended", [DOWN, WRONG])
def test_it_says_why_it_is_open_and_since_when(ended):
    circuit = opened(ended).circuit

    assert (circuit.reason, circuit.ending, circuit.since) == (ended.error, ended.ending, 5.0)
    assert circuit.next_probe == 100.0 + FIRST_S


def test_without_a_text_the_ending_is_the_reason():
    assert opened(Ended(Ending.UNAVAILABLE)).circuit.reason == "unavailable"


def test_no_run_starts_before_the_probe_is_due_and_then_exactly_one():
    breaker = opened()

    assert not breaker.allows(100.499)
    assert breaker.allows(100.5)
    breaker.start(task(1))
    assert breaker.probing
    assert not breaker.allows(1e9)


@pytest.mark.parametrize("ending", [Ending.DONE, Ending.FAILED, Ending.REFUSED, Ending.UNKNOWN])
def test_a_probe_that_ran_closes_it(ending):
    breaker = opened()
    probed(breaker, Ended(ending), now=101.0)

    assert breaker.circuit is None
    assert breaker.allows(101.0)
    assert not breaker.probing


def test_while_dify_is_down_probes_become_rarer_up_to_a_cap_and_the_beginning_is_remembered():
    breaker = opened()

    assert waits(breaker, DOWN, times=7) == [0.5, 1, 2, 4, 8, UNAVAILABLE_CAP_S, UNAVAILABLE_CAP_S]
    assert breaker.circuit.since == 5.0


def test_a_wrong_setting_is_probed_less_often_and_not_by_all_workers_at_once():
    latest = waits(opened(WRONG), WRONG, times=9)[-1]
    earliest = waits(opened(WRONG, random=lambda: 0.0), WRONG, times=9)[-1]

    assert (earliest, latest) == (MISCONFIGURED_CAP_S / 2, MISCONFIGURED_CAP_S)


def test_an_outage_that_lasts_for_weeks_does_not_overflow():
    assert set(waits(opened(), DOWN, times=2000)[10:]) == {UNAVAILABLE_CAP_S}


def test_once_closed_the_next_outage_begins_anew():
    breaker = opened()
    waits(breaker, DOWN, times=5)
    probed(breaker, DONE, now=1000.0)
    late = task(2)
    breaker.start(late)
    breaker.end(late, DOWN, now=2000.0, unix=77.0)

    assert (breaker.circuit.next_probe, breaker.circuit.since) == (2000.0 + FIRST_S, 77.0)


def test_a_probe_that_nobody_had_time_for_lets_another_one_go_at_once():
    breaker = opened()
    probed(breaker, Ended(Ending.NOT_STARTED), now=101.0)

    assert breaker.circuit is not None
    assert breaker.allows(101.0)


@pytest.mark.parametrize("ending", [Ending.FAILED, Ending.REFUSED, Ending.UNKNOWN, Ending.NOT_STARTED, *SHUT])
def test_what_started_before_the_outage_neither_closes_nor_lengthens_it(ending):
    breaker = opened()
    before = breaker.circuit
    breaker.end(task(9), Ended(ending, error="late"), now=100.2, unix=6.0)

    assert breaker.circuit == before


def test_but_a_late_success_closes_it_and_the_probe_is_a_run_like_any_other():
    breaker = opened()
    waits(breaker, DOWN, times=3)
    probe = task(1)
    breaker.start(probe)
    breaker.end(task(9), DONE, now=200.0, unix=6.0)
    assert (breaker.circuit, breaker.probing) == (None, False)

    breaker.end(probe, DOWN, now=201.0, unix=7.0)
    assert breaker.circuit.next_probe == 201.0 + FIRST_S


def test_a_probe_whose_partition_is_gone_is_not_waited_for():
    breaker = opened()
    probe = task(1)
    breaker.start(probe)

    breaker.abandon(lambda each: each is not probe)
    assert breaker.probing
    breaker.abandon(lambda each: each is probe)
    assert breaker.allows(101.0)
