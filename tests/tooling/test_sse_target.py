"""Where a URL leads: one reading of it, strict, and the same for what a redirect says."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kafka_bridge.tooling.sse.addresses import refusal
from kafka_bridge.tooling.sse.target import MAX_URL_CHARS, NotATarget, Target, read_target


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://example.com", Target("https", "example.com", 443, "/")),
        ("http://EXAMPLE.com./a/b?x=1#part", Target("http", "example.com", 80, "/a/b?x=1")),
        ("HTTPS://example.com:8443/?q", Target("https", "example.com", 8443, "/?q")),
        ("http://example.com:/", Target("http", "example.com", 80, "/")),
        ("http://[2001:DB8::1]:8080/x", Target("http", "2001:db8::1", 8080, "/x")),
        ("https://bücher.example/süß?q=ü x", None),
        (
            "https://bücher.example/süß?q=ü%20x",
            Target("https", "xn--bcher-kva.example", 443, "/s%C3%BC%C3%9F?q=%C3%BC%20x"),
        ),
        ("https://example.com/a%2Fb%zz", Target("https", "example.com", 443, "/a%2Fb%zz")),
        ("http://my_host/", Target("http", "my_host", 80, "/")),
        # What the name server makes of these is looked at then.
        ("http://2130706433/", Target("http", "2130706433", 80, "/")),
        ("http://0x7f.1/", Target("http", "0x7f.1", 80, "/")),
    ],
)
def test_a_url_is_read(url, target):
    if target is None:
        with pytest.raises(NotATarget):
            read_target(url)
    else:
        assert read_target(url) == target


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://example.com/", "must begin with"),
        ("file:///etc/passwd", "must begin with"),
        ("example.com", "must begin with"),
        ("//example.com/", "must begin with"),
        ("", "must begin with"),
        ("http://", "impossible host"),
        ("http:///path", "impossible host"),
        ("http://user:password@example.com/", "must not hold a user name"),
        ("http://user@example.com/", "must not hold a user name"),
        ("http://@example.com/", "must not hold a user name"),
        ("http://example.com@127.0.0.1/", "must not hold a user name"),
        ("http://example.com\\@127.0.0.1/", "backslash"),
        ("http://example.com\r\nX-Injected: 1/", "line end"),
        ("http://example.com/\nx", "line end"),
        ("http://exam\tple.com/", "control"),
        ("http://example.com/a b", "space"),
        ("http://example.com/\x00", "control"),
        ("http://example.com:0/", "impossible port"),
        ("http://example.com:65536/", "no URL"),
        ("http://example.com:80x/", "no URL"),
        ("http://example.com:-1/", "no URL"),
        ("http://a..b/", "impossible host"),
        ("http://-a.example/", "impossible host"),
        ("http://exa%6dple.com/", "impossible host"),
        ("http://127.0.0.1%00.example.com/", "impossible host"),
        ("http://[::1/", "no URL"),
        ("http://[v1.x]/", "impossible host"),
        ("http://[127.0.0.1]/", None),
        ("http://[fe80::1%25eth0]/", None),
        ("http://" + "a" * 300 + "/", "impossible host"),
        ("http://example.com/" + "a" * MAX_URL_CHARS, "is longer than"),
    ],
)
def test_a_url_that_may_be_read_in_more_than_one_way_is_none(url, why):
    with pytest.raises(NotATarget) as wrong:
        read_target(url)
    assert why is None or why in str(wrong.value)
    # It may hold a secret.
    assert "example" not in str(wrong.value)


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/other", "https://example.com:8443/other"),
        ("other?x=1", "https://example.com:8443/a/other?x=1"),
        ("?y=2", "https://example.com:8443/a/b?y=2"),
        ("//other.example/x", "https://other.example/x"),
        ("http://other.example", "http://other.example/"),
    ],
)
def test_a_redirect_is_relative_to_where_it_comes_from(location, url):
    assert read_target("https://example.com:8443/a/b?x=1").to(location).url == url


@pytest.mark.parametrize(
    "location", ["ftp://x.example/", "http://user@x.example/", "http://[::1", "javascript:alert(1)"]
)
def test_a_redirect_to_what_is_no_target_is_none(location):
    with pytest.raises(NotATarget):
        read_target("https://example.com/").to(location)


def test_a_query_is_gone_on_with():
    target = read_target("https://example.com/a")

    assert target.asking(()) is target
    assert target.asking([("q", "ü&x"), ("n", "1")]).path == "/a?q=%C3%BC%26x&n=1"
    assert read_target("https://example.com/a?b=1").asking([("n", "1")]).path == "/a?b=1&n=1"


def test_what_is_shown_of_a_url_has_no_query():
    assert read_target("https://example.com:8443/a?key=secret").source == "https://example.com:8443/a"
    assert read_target("https://[::1]/a").authority == "[::1]"


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://", "http://example.com/", "//"]))
def test_whatever_is_said_it_is_a_target_or_an_error_of_ours(text, start):
    try:
        target = read_target(start + text)
    except NotATarget:
        return
    assert target.path.startswith("/")
    assert target.path.isascii()
    assert target.path.isprintable()
    assert " " not in target.path
    assert read_target(target.url) == target


# Addresses.


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.255.255.254",
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.0.1",
        ),
        *("169.254.169.254", "169.254.0.1", "100.64.0.1", "100.127.255.254", "100.100.100.200", "168.63.129.16"),
        *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.0.192", "192.0.2.1", "198.18.0.1"),
        *("198.51.100.1", "203.0.113.1", "192.88.99.1"),
        *(
            "::",
            "::1",
            "fe80::1",
            "fe80::1%eth0",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "100::1",
        ),
        # IPv4 in other clothes: mapped, compatible, 6to4, Teredo, NAT64.
        *(
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "2002:7f00:1::",
            "2002:a00:1::1",
        ),
        *("2001:0:7f00:1::", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8", "::ffff:0:127.0.0.1"),
        *("5f00::1", "4000::1", "", "localhost", "1.2.3", "0x7f000001"),
    ],
)
def test_nothing_is_sent_to_an_address_inside(address):
    assert refusal(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "1.1.1.1",
        "93.184.215.14",
        "2606:4700::1111",
        "2a00:1450:4001::1",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ],
)
def test_an_address_of_the_internet_is_open(address):
    assert refusal(address) == ""


@given(st.ip_addresses(v=4))
def test_what_python_knows_to_be_inside_is_refused(address):
    assert address.is_global or refusal(str(address))


@given(st.ip_addresses(v=6))
def test_what_python_knows_to_be_inside_is_refused_in_ipv6_too(address):
    embedded = address.ipv4_mapped or (address in ipaddress.IPv6Network("64:ff9b::/96"))
    assert address.is_global or embedded or refusal(str(address))


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "64:ff9b::{}", "::{}"]))
def test_an_address_in_other_clothes_is_the_same_address(address, clothes):
    dressed = clothes.format(address)
    if int(ipaddress.ip_address(dressed)) > 1:
        assert refusal(dressed) == refusal(str(address))
