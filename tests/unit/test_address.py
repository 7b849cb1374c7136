"""Addresses are read and written in one form, to connect to and to listen on."""

import pytest

from pos_client.protocol.address import Address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hq", Address("hq", 29876)),
        ("hq:5", Address("hq", 5)),
        ("10.0.0.1:65535", Address("10.0.0.1", 65535)),
        ("[::1]:5", Address("::1", 5)),
        ("[::1]", Address("::1", 29876)),
        ("unix:/run/hq.sock", Address.unix("/run/hq.sock")),
    ],
)
def test_the_forms_of_an_address(text: str, expected: Address) -> None:
    assert Address.parse(text) == Address.parse_listen(text) == expected
    assert Address.parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text", ["", ":5", "hq:", "hq:0", "hq:65536", "hq:x", "hq:-1", "::1", "unix:", "[::1", "a b:c:d"]
)
def test_what_is_no_address_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match="give host, host:port"):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "expected"), [(":0", Address("0.0.0.0", 0)), (":7", Address("0.0.0.0", 7)), ("hq:0", Address("hq", 0))]
)
def test_only_a_listener_may_leave_out_the_host_or_take_any_port(text: str, expected: Address) -> None:
    assert Address.parse_listen(text) == expected


@pytest.mark.parametrize("text", ["", "hq:x", "hq:70000", "::1", "hq:-1", "hq:", "[::1:7", "unix:"])
def test_what_is_no_address_to_listen_on_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected HOST:PORT"):
        Address.parse_listen(text)


@pytest.mark.parametrize("text", ["[::1]:7", "hq:7", "unix:/run/hq.sock"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(Address.parse(text)) == text
