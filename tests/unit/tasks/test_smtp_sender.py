"""Messages reach a mail server, protected as was asked, and a refused one is an error."""

from __future__ import annotations

import datetime as dt
import smtplib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closingbell.core.error import SettingError
from closingbell.monitor.notify.smtp_sender import SmtpSender
from tests.unit.tasks.mail_server import MailServer

AT = dt.datetime(2012, 11, 23, 18, 0, tzinfo=dt.UTC)


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as server:
        yield server


def sender(server: MailServer, **more: Any) -> SmtpSender:
    given = {"sender": "desk@example.com", "protection": "none", "timeout_s": 5.0, **more}
    return SmtpSender("127.0.0.1", server.port, **given)


def send(through: SmtpSender, **more: Any) -> None:
    given = {
        "to": ["quant@example.com"], "subject": "Daily report", "text": "Value 1,000 €\n.\nend\n",
        "html": "<p>Value</p>", "id": "0190ab", "at": AT,
    }  # fmt: skip
    through.send(**{**given, **more})


def test_message_arrives_with_text_and_html(server: MailServer) -> None:
    send(sender(server))
    [(to, message)] = server.messages
    text, html = message.iter_parts()

    assert to == ["quant@example.com"]
    assert message["From"] == "desk@example.com"
    assert message["Subject"] == "Daily report"
    assert message["Date"] == "Fri, 23 Nov 2012 18:00:00 +0000"
    assert text.get_content().splitlines() == ["Value 1,000 €", ".", "end"]
    assert html.get_content().strip() == "<p>Value</p>"


def test_message_without_html_is_text_alone(server: MailServer) -> None:
    send(sender(server), html=None)

    assert server.messages[0][1].get_content_type() == "text/plain"


def test_message_of_a_second_attempt_has_the_same_id(server: MailServer) -> None:
    send(sender(server))
    send(sender(server))

    assert [message["Message-ID"] for _, message in server.messages] == ["<0190ab@example.com>"] * 2


def test_address_that_the_server_refuses_is_an_error_and_others_get_the_message(
    server: MailServer,
) -> None:
    with pytest.raises(smtplib.SMTPRecipientsRefused, match="nobody@example"):
        send(sender(server), to=["quant@example.com", "nobody@example.com"])

    assert [to for to, _ in server.messages] == [["quant@example.com"]]


def test_subject_with_a_second_header_is_refused(server: MailServer) -> None:
    with pytest.raises(ValueError, match="linefeed"):
        send(sender(server), subject="Report\r\nBcc: everyone@example.com")

    assert server.messages == []


def test_server_that_is_not_there_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = SmtpSender("127.0.0.1", taken.getsockname()[1], sender="a@b", protection="none")

        with pytest.raises(OSError, match="refused"):
            send(closed)


def test_password_without_protection_is_refused_at_once() -> None:
    with pytest.raises(SettingError, match="a password goes with it"):
        SmtpSender("mail", sender="a@b", user="a", password="b", protection="none")


def test_unknown_protection_is_refused_at_once() -> None:
    with pytest.raises(SettingError, match="one of starttls, tls, none"):
        SmtpSender("mail", sender="a@b", protection="ssl")


def test_server_without_starttls_gets_no_password(server: MailServer) -> None:
    with pytest.raises(smtplib.SMTPNotSupportedError):
        send(sender(server, protection="starttls", user="desk", password="secret"))

    assert server.logins == []


def _certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, signed by itself."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "public.pem", folder / "private.pem"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return public, private


@pytest.mark.parametrize("trusted", [True, False])
def test_log_in_happens_over_starttls_with_a_server_that_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    public, private = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(public))
    with MailServer(context) as server:
        through = sender(server, protection="starttls", user="desk", password="secret")
        if trusted:
            send(through)
        else:
            with pytest.raises(ssl.SSLCertVerificationError):
                send(through)

    assert server.logins == ([("desk", "secret")] if trusted else [])
    assert len(server.messages) == (1 if trusted else 0)


def test_sender_shows_no_password() -> None:
    shown = repr(SmtpSender("mail", sender="a@b", user="desk", password="secret"))

    assert shown == "SmtpSender(mail:587, sender='a@b')"
