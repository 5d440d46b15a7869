from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.ratelimit import MAX_KEYS, RateLimit


def test_the_burst_passes_and_no_more():
    limit = RateLimit(burst=3, interval_s=10.0)

    assert [limit.take("key", now=0.0) for _ in range(5)] == [0, 0, 0, None, None]


def test_one_more_passes_per_interval_and_tells_how_many_were_held_back():
    limit = RateLimit(burst=1, interval_s=10.0)

    assert [limit.take("key", now=now) for now in (0.0, 1.0, 9.9, 10.0, 10.1)] == [0, None, None, 2, None]


def test_the_count_starts_anew_after_it_was_told():
    limit = RateLimit(burst=1, interval_s=10.0)
    for now in (0.0, 1.0, 2.0, 20.0):
        limit.take("key", now=now)

    assert limit.take("key", now=40.0) == 0


def test_a_long_silence_saves_up_no_more_than_a_burst():
    limit = RateLimit(burst=2, interval_s=1.0)
    limit.take("key", now=0.0)

    assert [limit.take("key", now=1_000_000.0) for _ in range(3)] == [0, 0, None]


def test_keys_do_not_spend_each_others_tokens():
    limit = RateLimit(burst=1, interval_s=10.0)

    assert [limit.take(key, now=0.0) for key in ("one", "two", "one", "two")] == [0, 0, None, None]


@given(calls=st.integers(1, 4 * MAX_KEYS), different=st.integers(1, 4 * MAX_KEYS), step=st.integers(1, 10_000))
def test_the_number_of_keys_is_bounded(calls, different, step):
    limit = RateLimit(burst=1, interval_s=1.0)
    keys = [call * step % different for call in range(calls)]
    for key in keys:
        limit.take(key, now=0.0)

    assert min(MAX_KEYS, len(set(keys))) == len(limit._buckets)


def test_more_keys_than_fit_forget_the_oldest():
    limit = RateLimit(burst=1, interval_s=1.0)
    for key in range(MAX_KEYS + 1):
        limit.take(key, now=0.0)

    assert len(limit._buckets) == MAX_KEYS
    assert None is limit.take(MAX_KEYS, now=0.0)


@given(
    burst=st.integers(1, 10),
    interval_s=st.floats(0.1, 100.0),
    waits=st.lists(st.floats(0.0, 50.0), min_size=1, max_size=200),
)
def test_never_more_pass_than_the_burst_and_one_per_interval_and_every_call_is_counted(burst, interval_s, waits):
    limit, now, passed, told = RateLimit(burst=burst, interval_s=interval_s), 0.0, 0, 0
    for wait in waits:
        now += wait
        suppressed = limit.take("key", now=now)
        if suppressed is not None:
            passed, told = passed + 1, told + suppressed

    assert passed <= burst + now / interval_s + 1e-6
    assert len(waits) == passed + told + limit._buckets["key"].suppressed
