from kafka_bridge.metrics import MAX_ENDPOINTS, MAX_SOURCES, OTHERS, Histogram, Metrics


def test_a_value_counts_in_the_first_bucket_whose_bound_it_does_not_exceed():
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.10001, 1.0, 1.5, 100.0):
        histogram.add(value)

    assert histogram.counts == [2, 2, 2]
    assert histogram.sum == 0.05 + 0.1 + 0.10001 + 1.0 + 1.5 + 100.0


def test_endpoints_are_counted_apart():
    metrics = Metrics()
    metrics.of("a").request("shop", "accepted")
    metrics.of("a").request("shop", "accepted")
    metrics.of("b").request("shop", "rejected")
    metrics.published("a", 3, 0.5)

    assert (metrics.of("a").requests, metrics.of("b").requests) == (
        {("shop", "accepted"): 2},
        {("shop", "rejected"): 1},
    )
    assert (metrics.of("a").published, sum(metrics.of("a").publish_s.counts), metrics.of("b").published) == (3, 1, 0)


def test_of_too_many_endpoints_the_one_that_was_silent_for_longest_is_forgotten():
    metrics = Metrics()
    for number in range(MAX_ENDPOINTS):
        metrics.of(str(number)).dead_letters = 1
    metrics.of("0")
    metrics.of("new")

    assert (metrics.of("0").dead_letters, metrics.of("1").dead_letters) == (1, 0)


def test_however_often_the_sources_are_renamed_their_number_has_a_bound():
    endpoint = Metrics().of("a")
    for number in range(1000):
        endpoint.request(f"source-{number}", "accepted")
    endpoint.request("source-0", "accepted")
    endpoint.request("source-0", "rejected")

    assert len({source for source, _ in endpoint.requests}) == MAX_SOURCES + 1
    assert endpoint.requests[OTHERS, "accepted"] == 1000 - MAX_SOURCES
    assert (endpoint.requests["source-0", "accepted"], endpoint.requests["source-0", "rejected"]) == (2, 1)
