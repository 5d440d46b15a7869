"""See it, and send it again."""

from playwright.sync_api import expect

from tests.browser.watch import eventually


def follow(dashboard):
    """Marks the page, and gives a function that says whether it is still that page."""
    dashboard.wait_for_live()
    navigations = []
    dashboard.page.on("framenavigated", lambda frame: navigations.append(frame.url))
    dashboard.page.evaluate("window.stays = true")
    return lambda: dashboard.page.evaluate("window.stays") is True and navigations == []


def test_each_filter_leaves_the_events_that_it_is_for(visit, configure):
    endpoint = configure(sources='{"shop": {"scheme": "hmac"}}', source_secrets='{"shop": "not-a-real-secret"}')
    paid = endpoint.order()["id"]
    refunded = endpoint.deliver({"event_type": "order.refunded", "id": "order-refunded"})["id"]
    endpoint.forged()
    dashboard = visit(endpoint)
    page = dashboard.page
    expect(dashboard.rows).to_have_count(3)

    def filtered(**chosen):
        form = page.get_by_role("search")
        for label in ("Text", "Type"):
            form.get_by_label(label, exact=True).fill(chosen.get(label, ""))
        for label in ("Source", "Outcome"):
            form.get_by_role("combobox", name=label).select_option(chosen.get(label, ""))
        form.get_by_role("button", name="Filter").click()
        return dashboard.rows

    expect(filtered(Text="REFUNDED")).to_have_count(1)
    expect(dashboard.row(refunded)).to_be_visible()
    expect(filtered(Type="order.paid")).to_have_count(1)
    expect(dashboard.row(paid)).to_be_visible()
    expect(filtered(Outcome="rejected")).to_have_count(1)
    expect(dashboard.rows).to_contain_text("signature")
    expect(filtered(Source="shop")).to_have_count(0)
    expect(page.get_by_text("No event matches the filter.")).to_be_visible()
    page.get_by_role("link", name="Clear").click()
    expect(dashboard.rows).to_have_count(3)


def test_older_events_are_on_the_next_page(visit, endpoint):
    ids = [endpoint.order(id=f"order-{number}")["id"] for number in range(51)]
    dashboard = visit(endpoint)
    expect(dashboard.row(ids[-1])).to_be_visible()
    expect(dashboard.row(ids[0])).to_have_count(0)

    dashboard.page.get_by_role("link", name="Older").click()
    expect(dashboard.row(ids[0])).to_be_visible()
    expect(dashboard.row(ids[-1])).to_have_count(0)

    dashboard.page.get_by_role("link", name="Newest").click()
    expect(dashboard.row(ids[-1])).to_be_visible()


def test_a_click_on_an_events_id_opens_it(visit, endpoint):
    sent = endpoint.order(customer={"name": "Ada"})
    dashboard = visit(endpoint)

    dashboard.row(sent["id"]).click()

    page = dashboard.page
    expect(page.get_by_role("heading", name=sent["id"])).to_be_visible()
    expect(dashboard.fact("Topic")).to_have_text(sent["topic"])
    expect(dashboard.fact("Partition")).to_have_text(str(sent["partition"]))
    expect(dashboard.fact("Offset")).to_have_text(str(sent["offset"]))
    expect(dashboard.fact("Verdict")).to_have_text("verified")
    expect(page.locator("pre")).to_contain_text('"name": "Ada"')
    expect(page.get_by_role("table").filter(has_text="content-type")).to_contain_text("application/json")
    page.go_back()
    expect(dashboard.row(sent["id"])).to_be_visible()


def test_replay_and_then_confirm_writes_the_event_to_kafka_again(visit, endpoint, topics):
    sent = endpoint.order(amount=7)
    (entry,) = endpoint.events()
    dashboard = visit(endpoint)
    page = dashboard.page
    dashboard.row(sent["id"]).click()

    page.get_by_role("button", name="Replay").click()
    expect(page.get_by_role("button", name="Confirm")).to_be_visible()
    assert topics.count(endpoint.topic) == 1
    page.get_by_role("button", name="Confirm").click()

    expect(page.get_by_role("status")).to_contain_text("It was sent again.")
    expect(page.get_by_role("heading", name=sent["id"])).to_be_visible()
    page.get_by_role("link", name="See the new entry").or_(page.get_by_text("Sent again from")).first.wait_for()
    assert topics.count(endpoint.topic) == 2
    replay = next(each for each in endpoint.events() if each["outcome"] == "replay")
    record = topics.at(endpoint.topic, replay["partition"], replay["offset"])
    first = topics.at(endpoint.topic, sent["partition"], sent["offset"])
    assert record.value() == first.value()
    assert (record.partition(), record.offset()) != (first.partition(), first.offset())
    assert dict(record.headers())["replayed-from"] == entry["id"].encode()
    assert dict(record.headers())["ce_id"] == sent["id"].encode()
    dashboard.open("event", id=replay["id"])
    expect(dashboard.fact("Offset")).to_have_text(str(record.offset()))
    expect(dashboard.page.get_by_role("link", name=entry["id"])).to_be_visible()


def test_who_cancels_a_replay_has_sent_nothing(visit, endpoint, topics):
    sent = endpoint.order()
    dashboard = visit(endpoint)
    dashboard.row(sent["id"]).click()
    dashboard.page.get_by_role("button", name="Replay").click()

    dashboard.page.get_by_role("link", name="Cancel").click()

    expect(dashboard.page.get_by_role("button", name="Replay")).to_be_visible()
    assert topics.count(endpoint.topic) == 1


def test_what_was_not_verified_has_no_button_to_send_it(visit, endpoint):
    endpoint.forged()
    dashboard = visit(endpoint)

    dashboard.rows.first.get_by_role("link").click()

    expect(dashboard.page.get_by_text("Only events that were verified can be sent again.")).to_be_visible()
    expect(dashboard.page.get_by_role("button", name="Replay")).to_have_count(0)


def test_an_event_that_comes_in_is_in_the_list_without_a_reload(visit, endpoint):
    endpoint.order()
    dashboard = visit(endpoint)
    is_same_page = follow(dashboard)

    event_id = endpoint.order()["id"]

    expect(dashboard.row(event_id)).to_be_visible()
    expect(dashboard.rows.first).to_contain_text(event_id)
    expect(dashboard.page.get_by_role("status")).to_contain_text("New events: 1")
    assert is_same_page()


def test_the_first_event_of_all_comes_without_a_reload_too(visit, endpoint):
    dashboard = visit(endpoint)
    expect(dashboard.page.get_by_text("No events yet.")).to_be_visible()
    is_same_page = follow(dashboard)

    event_id = endpoint.order()["id"]

    expect(dashboard.row(event_id)).to_be_visible()
    assert is_same_page()


def test_what_comes_in_live_is_filtered_like_the_list(visit, endpoint):
    endpoint.order()
    dashboard = visit(endpoint)
    dashboard.open("events", outcome="rejected")
    expect(dashboard.page.get_by_text("No event matches the filter.")).to_be_visible()
    is_same_page = follow(dashboard)

    endpoint.order()
    endpoint.forged()

    expect(dashboard.rows).to_have_count(1)
    expect(dashboard.rows).to_contain_text("rejected")
    assert is_same_page()


def test_a_link_that_has_the_focus_keeps_it_when_the_list_is_fetched_anew(visit, endpoint):
    event_id = endpoint.order()["id"]
    dashboard = visit(endpoint)
    dashboard.wait_for_live()
    dashboard.row(event_id).focus()

    second = endpoint.order()["id"]

    expect(dashboard.row(second)).to_be_visible()
    expect(dashboard.row(event_id)).to_be_focused()


def test_a_plugin_that_is_killed_and_comes_back_is_followed_again(visit, endpoint, host):
    before = endpoint.order()["id"]
    dashboard = visit(endpoint)
    # Minutes pass within the page when the test says so.
    dashboard.page.clock.install()
    dashboard.open("events")
    is_same_page = follow(dashboard)
    dashboard.watch.expect(r"/stream|status of 50\d|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_EMPTY_RESPONSE")
    pid = host.pid

    host.kill_plugin()
    eventually(dashboard.page, lambda: host.pid not in {None, pid} and endpoint.answers(), timeout_s=60)
    during = endpoint.order()["id"]
    dashboard.page.clock.fast_forward(60_000)

    # Nobody has told the page of this event: it was fetched because the stream had to be opened again.
    expect(dashboard.row(during)).to_be_visible()
    expect(dashboard.row(before)).to_be_visible()
    dashboard.wait_for_live()
    after = endpoint.order()["id"]
    expect(dashboard.row(after)).to_be_visible()
    assert is_same_page()


def test_a_stream_that_is_refused_is_asked_for_again(visit, endpoint):
    # So answers a plugin at which too many look on; a browser by itself would never come again.
    dashboard = visit(endpoint)
    dashboard.watch.expect("status of 429")
    dashboard.page.clock.install()
    dashboard.page.route("**/stream", lambda route: route.fulfill(status=429), times=1)
    dashboard.open("events")
    expect(dashboard.page.get_by_text("not live", exact=True)).to_be_visible()

    dashboard.page.clock.fast_forward(10_000)

    dashboard.wait_for_live()
    event_id = endpoint.order()["id"]
    expect(dashboard.row(event_id)).to_be_visible()


def test_a_list_that_is_not_answered_is_asked_for_again(visit, endpoint):
    dashboard = visit(endpoint)
    dashboard.watch.expect("status of 503")
    dashboard.page.clock.install()
    dashboard.open("events")
    dashboard.wait_for_live()
    dashboard.page.route("**part=list*", lambda route: route.fulfill(status=503), times=1)
    event_id = endpoint.order()["id"]
    with dashboard.page.expect_response(lambda answer: answer.status == 503):
        dashboard.page.clock.fast_forward(1_000)
    expect(dashboard.row(event_id)).to_have_count(0)

    dashboard.page.clock.fast_forward(10_000)

    expect(dashboard.row(event_id)).to_be_visible()


def test_a_page_that_the_browser_had_kept_follows_again_when_it_is_shown(visit, endpoint):
    dashboard = visit(endpoint)
    dashboard.wait_for_live()
    # Playwright switches the cache off that does this.
    dashboard.page.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', {persisted: true}))")
    meanwhile = endpoint.order()["id"]

    dashboard.page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")

    expect(dashboard.row(meanwhile)).to_be_visible()
    later = endpoint.order()["id"]
    expect(dashboard.row(later)).to_be_visible()


def test_who_was_signed_out_elsewhere_is_told_so_and_nothing_is_asked_for_any_more(visit, endpoint):
    dashboard = visit(endpoint)
    other = visit(endpoint, in_browser_of=dashboard, signed_in=False)
    is_same_page = follow(dashboard)
    other.page.get_by_role("button", name="Sign out").click()
    expect(other.page.get_by_role("button", name="Sign in")).to_be_visible()

    endpoint.order()

    expect(dashboard.page.get_by_role("status")).to_have_text("Signed out: reload the page.")
    expect(dashboard.page.get_by_text("not live", exact=True)).to_be_visible()
    assert is_same_page()
    asked = []
    dashboard.page.on("request", lambda request: asked.append(request.url))
    dashboard.page.clock.install()
    dashboard.page.clock.fast_forward(600_000)
    assert asked == []


def test_a_test_event_is_sent_from_the_page_that_connects_a_sender(visit, endpoint, topics):
    dashboard = visit(endpoint)
    dashboard.go_to("connect")
    page = dashboard.page
    expect(page.get_by_text(f"{endpoint.url}/webhook", exact=True)).to_be_visible()

    page.get_by_role("button", name="Send a test event").click()

    expect(page.get_by_role("main")).to_contain_text("kafka-bridge.test")
    eventually(page, lambda: topics.count(endpoint.topic) == 1)
