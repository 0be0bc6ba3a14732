"""Channels: what leaves the house, how it is signed, and what becomes of a refusal."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from closingbell.core.clock import SimulatedClock
from closingbell.core.error import ChannelError, DeliveryFailed, UnknownChannel
from closingbell.core.notification import MOST_ATTEMPTS, Notification, notification_id, wait_after
from closingbell.monitor.notify.channels import Channels, read_channel
from closingbell.monitor.notify.postman import Postman
from tests.unit.monitor.receiver import Receiver
from tests.unit.tasks.mail_server import MailServer

AT = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
BODY = {
    "type": "alert.raised",
    "subject": "[ERROR] task 'settle' failed",
    "text": "task 'settle' failed\n\nWhat to do: read it.",
    "severity": "ERROR",
}


def message(**changes: Any) -> Notification:
    made = Notification("n-1", "a-1", "desk", "raised", BODY, "sending", 1, 1, 0, 0, None, None)
    return made._replace(**changes)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        yield made


# --- webhook -------------------------------------------------------------------------------


def test_webhook_is_signed_as_standard_webhooks_says(receiver: Receiver) -> None:
    read_channel("desk", {"webhook": receiver.url, "secret": SECRET}).send(message(), AT)
    (got,) = receiver.received
    stamp = str(int(AT.timestamp()))
    assert (got.id, got.headers["webhook-timestamp"]) == ("n-1", stamp)
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, f"n-1.{stamp}.".encode() + got.body, hashlib.sha256).digest()
    assert got.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert got.json["type"] == "alert.raised"
    assert got.json["timestamp"] == "2026-03-02T14:30:00Z"
    assert got.json["data"]["severity"] == "ERROR"
    assert got.json["text"].startswith("[ERROR] task 'settle' failed\n")


def test_webhook_without_a_secret_is_not_signed(receiver: Receiver) -> None:
    read_channel("desk", {"webhook": receiver.url}).send(message(), AT)
    assert "webhook-signature" not in receiver.received[0].headers


@pytest.mark.parametrize("status", [301, 400, 404, 408, 429, 500, 503])
def test_webhook_that_is_refused_may_be_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answers.append(status)
    receiver.more = {"location": receiver.url, "retry-after": "70"}
    with pytest.raises(DeliveryFailed, match=str(status)) as caught:
        read_channel("desk", {"webhook": receiver.url}).send(message(), AT)
    assert caught.value.retryable
    assert caught.value.retry_after_s == 70.0
    # A redirect is not followed.
    assert len(receiver.received) == 1


def test_webhook_whose_receiver_is_gone_is_not_tried_again(receiver: Receiver) -> None:
    receiver.answers.append(410)
    with pytest.raises(DeliveryFailed) as caught:
        read_channel("desk", {"webhook": receiver.url}).send(message(), AT)
    assert not caught.value.retryable


def test_webhook_that_hangs_or_does_not_listen_may_be_tried_again() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/hook/secret-path"
        with pytest.raises(DeliveryFailed) as refused:
            read_channel("desk", {"webhook": address}).send(message(), AT)
        silent.listen()
        with pytest.raises(DeliveryFailed) as hung:
            read_channel("desk", {"webhook": address, "timeout_s": 0.2}).send(message(), AT)
    for problem in (refused.value, hung.value):
        assert problem.retryable
        assert "secret-path" not in str(problem)


# --- mail, apprise, log --------------------------------------------------------------------


def smtp(server: MailServer, **more: Any) -> dict[str, Any]:
    given = {
        "host": "127.0.0.1",
        "port": server.port,
        "from": "closingbell@example.com",
        "to": ["desk@example.com"],
        "protection": "none",
        "timeout_s": 5,
    }
    return {"smtp": {**given, **more}}


def test_mail_carries_the_messages_id_in_each_attempt() -> None:
    with MailServer() as server:
        channel = read_channel("mail", smtp(server))
        channel.send(message(), AT)
        channel.send(message(), AT)
    ids = [mail["Message-ID"] for _, mail in server.messages]
    assert ids == ["<n-1@example.com>"] * 2
    to, mail = server.messages[0]
    assert (to, mail["Subject"]) == (["desk@example.com"], BODY["subject"])
    assert "What to do" in mail.get_content()


def test_mail_to_nobody_is_not_tried_again_and_a_server_that_is_away_is() -> None:
    with MailServer() as server:
        port = server.port
        with pytest.raises(DeliveryFailed, match=r"nobody@example\.com") as refused:
            read_channel("mail", smtp(server, to="nobody@example.com")).send(message(), AT)
    assert not refused.value.retryable
    with pytest.raises(DeliveryFailed) as away:
        read_channel("mail", smtp(server, port=port)).send(message(), AT)
    assert away.value.retryable


def test_apprise_sends_the_subject_and_the_text(receiver: Receiver) -> None:
    address = receiver.url.replace("http://", "json://")
    read_channel("chat", {"apprise": address}).send(message(), AT)
    (got,) = receiver.received
    assert got.json["title"] == BODY["subject"]
    assert "What to do" in got.json["message"]
    assert "n-1" in got.json["message"]


def test_apprise_that_does_not_get_through_may_be_tried_again(receiver: Receiver) -> None:
    receiver.answers.append(500)
    address = receiver.url.replace("http://", "json://")
    with pytest.raises(DeliveryFailed) as caught:
        read_channel("chat", {"apprise": address}).send(message(), AT)
    assert caught.value.retryable
    with pytest.raises(DeliveryFailed, match="does not know"):
        read_channel("chat", {"apprise": "nosuchthing://x"}).send(message(), AT)


def test_log_channel_writes_one_json_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "closingbell.notification"):
        read_channel("log", {"log": True}).send(message(), AT)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    told = json.loads(record.getMessage())
    assert (told["notification"], told["occasion"]) == ("n-1", "raised")
    assert "\n" not in record.getMessage()


# --- declaring -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"webhook": "https://x.example", "log": True},
        {"webhook": "ftp://x.example"},
        {"webhook": "https://"},
        {"webhook": 7},
        {"webhook": "https://x.example", "secret": "short"},
        {"webhook": "https://x.example", "secret": "whsec_!!"},
        {"webhook": "https://x.example", "timeout_s": 0},
        {"webhook": "https://x.example", "timeout_s": True},
        {"webhook": "https://x.example", "timout_s": 3},
        {"log": "yes"},
        {"apprise": "no address"},
        {"smtp": "mail.example.com"},
        {"smtp": {"host": "mail"}},
        {"smtp": {"host": "mail", "from": "a@b", "to": "c"}},
        {"smtp": {"host": "mail", "from": "a@b", "to": "c@d", "port": "x"}},
        {"smtp": {"host": "mail", "from": "a@b", "to": "c@d", "starttls": True}},
        {"smtp": {"host": "m", "from": "a@b", "to": "c@d", "user": "u", "protection": "none"}},
    ],
)
def test_channel_with_an_impossible_option_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ChannelError) as caught:
        read_channel("desk", options)
    assert caught.value.expected


@pytest.mark.parametrize("name", ["", "*", "a b", "-x", "x" * 101])
def test_channel_with_an_impossible_name_is_refused(name: str) -> None:
    with pytest.raises(ChannelError):
        read_channel(name, {"log": True})


def test_channels_have_names_of_their_own_and_unknown_ones_are_unknown() -> None:
    channels = Channels()
    channels.add("desk", {"log": True})
    with pytest.raises(ChannelError, match="no other"):
        channels.add("desk", {"log": True})
    with pytest.raises(UnknownChannel, match="did you mean 'desk'"):
        channels.get("dsk")


def test_no_secret_is_shown() -> None:
    with MailServer() as server:
        options = smtp(server, user="u", password="hunter2-hunter2", protection="starttls")
    made = [
        read_channel(
            "a", {"webhook": "https://u:pw@x.example/T0/SECRETS?k=SECRETS", "secret": SECRET}
        ),
        read_channel("b", options),
        read_channel("c", {"apprise": "slack://SECRETS/B/C"}),
    ]
    shown = " ".join([*map(repr, made), *(json.dumps(one.describe()) for one in made)])
    for secret in ("SECRETS", SECRET, "hunter2", "pw@"):
        assert secret not in shown
    for wrong in ({"webhook": "ftp://SECRETS"}, {"webhook": "https://x", "secret": "SECRETS"}):
        with pytest.raises(ChannelError) as caught:
            read_channel("d", wrong)
        assert "SECRETS" not in str(caught.value) + repr(caught.value.fields)


# --- the postman ---------------------------------------------------------------------------


class Outbox:
    """An outbox of one message."""

    def __init__(self, one: Notification) -> None:
        self.one = one
        self.said: list[tuple[str, Any]] = []

    def next_due(self, channels: Any) -> int | None:
        return None

    def claim(self, channels: Any, now: int, until: int, limit: int) -> list[Notification]:
        return [self.one]

    def sent(self, one: Notification, now: int) -> bool:
        self.said.append(("sent", now))
        return True

    def put_off(self, one: Notification, until: int, error: str) -> bool:
        self.said.append(("put off", until))
        return True

    def give_up(self, one: Notification, now: int, error: str) -> bool:
        self.said.append(("given up", error))
        return True

    def forsaken(self, before: int, limit: int = 100) -> list[Notification]:
        return []


def test_postman_waits_longer_each_time_and_gives_up_after_about_a_day(receiver: Receiver) -> None:
    channels = Channels()
    channels.add("desk", {"webhook": receiver.url})
    clock, waits = SimulatedClock(AT), []
    for attempt in range(1, MOST_ATTEMPTS + 1):
        receiver.answers.append(500)
        outbox = Outbox(message(attempts=attempt))
        Postman(outbox, channels, clock, Random(1), lambda one, at: at).round()
        ((what, when),) = outbox.said
        if what == "put off":
            waits.append((when - clock.micros()) / 1e6)
    assert what == "given up"
    assert len(waits) == MOST_ATTEMPTS - 1
    assert 3 < waits[0] < 7
    assert 16 * 3600 < sum(waits) < 30 * 3600


def test_postman_that_is_told_to_wait_waits_and_keeps_quiet_hours(receiver: Receiver) -> None:
    channels, clock = Channels(), SimulatedClock(AT)
    channels.add("desk", {"webhook": receiver.url})
    receiver.answers, receiver.more = [429, 500], {"retry-after": "600"}
    outbox = Outbox(message())
    Postman(outbox, channels, clock, Random(1), lambda one, at: at).round()
    assert outbox.said == [("put off", clock.micros() + 600_000_000)]
    outbox = Outbox(message())
    Postman(outbox, channels, clock, Random(1), lambda one, at: 12345).round()
    assert outbox.said == [("put off", 12345)]


def test_message_has_one_id_and_other_messages_have_others() -> None:
    ids = {
        notification_id(alert, occasion, ordinal, channel)
        for alert in ("a", "b")
        for occasion in ("raised", "repeated")
        for ordinal in (0, 1)
        for channel in ("x", "y")
    }
    assert len(ids) == 16
    assert notification_id("a", "raised", 0, "x") in ids
    assert wait_after(MOST_ATTEMPTS, Random(1)) is None
