"""Messages leave by real ways: HTTP servers and mail servers on loopback take them in, or do not."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from email import message_from_bytes, policy
from pathlib import Path

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from autoscaler.config.notify import (
    AnyChannel,
    AppriseChannel,
    DiscordChannel,
    EmailChannel,
    SlackChannel,
    WebhookChannel,
)
from autoscaler.core.units import Secret
from autoscaler.runtime.clock import SystemClock
from autoscaler.telemetry.notify_text import Message
from autoscaler.telemetry.notify_ways import Undelivered, attempt, way_of
from tests.support.certificates import Authority
from tests.support.news import HOSTILE, MailServer, mail_server, message, news, receiving

SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOKEN = "T0KEN-xoxb-4242424242"
CLOCK = SystemClock()
TOLD = message(news(text=f"{HOSTILE} [click](https://evil.example)"), at=CLOCK.now())


async def send(channel: AnyChannel, told: Message = TOLD) -> str | Undelivered:
    return await attempt(way_of(channel), told, CLOCK)


def slack(url: str) -> SlackChannel:
    return SlackChannel(url=Secret(f"{url}/services/T0/B0/{TOKEN}"))


# --- HTTP -------------------------------------------------------------------------------------------------------------


async def test_the_signature_is_one_that_the_specifications_own_library_accepts() -> None:
    async with receiving() as receiver:
        assert await send(WebhookChannel(url=Secret(receiver.url), secret=Secret(SECRET))) == "HTTP 200: ok"

    body, headers = receiver.bodies[0], receiver.sent[0]
    found = Webhook(SECRET).verify(body, headers)
    assert found["type"] == "autoscaler.notification"
    assert found["data"]["news"][0]["text"] == TOLD.news[0].text
    assert headers["webhook-id"] == "msg_1"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"attic", b"cellar"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body, {**headers, "webhook-id": "msg_2"})


async def test_a_webhook_of_hundreds_of_things_tells_how_many_are_left_out() -> None:
    many = [news(subject=f"m{number}") for number in range(250)]
    async with receiving() as receiver:
        await send(WebhookChannel(url=Secret(receiver.url), secret=Secret(SECRET)), message(*many))

    data = json.loads(receiver.bodies[0])["data"]
    assert (len(data["news"]), data["more"]) == (100, 150)


async def test_slack_is_sent_nothing_that_it_reads_as_a_mention_a_link_or_formatting() -> None:
    async with receiving() as receiver:
        await send(slack(receiver.url))

    text = json.loads(receiver.bodies[0])["text"]
    assert "&lt;!channel&gt; &lt;https://evil.example|click&gt; &amp;" in text
    # Mattermost heeds only the code block: outside of it any @all is a mention, and [](…) a link.
    assert re.fullmatch(r"\[attic\] warning: machine_down\n```\n[^`<>]*\n```", text)


async def test_discord_mentions_nobody_and_formats_nothing_of_what_strangers_wrote() -> None:
    async with receiving() as receiver:
        await send(DiscordChannel(url=Secret(receiver.url)))

    body = json.loads(receiver.bodies[0])
    assert body["allowed_mentions"] == {"parse": []}
    assert re.fullmatch(r"\*\*\[attic\] warning: machine_down\*\*\n```\n[^`]*\n```", body["content"])


async def test_long_texts_stay_within_what_slack_and_discord_take() -> None:
    long = message(*(news(f"name{number}", text="<&>" * 200, subject=str(number)) for number in range(9)))
    async with receiving() as receiver:
        await send(DiscordChannel(url=Secret(receiver.url)), long)
        await send(slack(receiver.url), long)

    assert len(json.loads(receiver.bodies[0])["content"]) <= 2000
    text = json.loads(receiver.bodies[1])["text"]
    assert len(text) <= 40_000
    assert text.endswith("\n```")


@pytest.mark.parametrize(
    ("status", "final"),
    [*((status, True) for status in (302, 400, 401, 404, 410)), *((status, False) for status in (408, 429, 500, 503))],
)
async def test_an_answer_tells_whether_to_try_again(status: int, *, final: bool) -> None:
    async with receiving(status=status, answer="no\nsuch \x1b[31mhook", headers={"Location": "/other"}) as receiver:
        failed = await send(slack(receiver.url))

    assert isinstance(failed, Undelivered)
    assert (failed.final, str(failed)) == (final, f"HTTP {status}: no such [31mhook")
    assert len(receiver.bodies) == 1


async def test_of_an_answer_without_end_the_beginning_is_read() -> None:
    async with receiving(status=500, answer="x" * 20_000_000) as receiver:
        failed = await send(slack(receiver.url))

    assert isinstance(failed, Undelivered)
    assert len(str(failed)) < 400


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), ("99999999", 3600.0), ("-1", 0.0), ("soon", 0.0)])
async def test_a_time_asked_for_is_kept_within_reason(header: str, seconds: float) -> None:
    async with receiving(status=429, headers={"Retry-After": header}) as receiver:
        failed = await send(slack(receiver.url))

    assert isinstance(failed, Undelivered)
    assert failed.retry_after_s == seconds


async def test_no_error_holds_a_url_or_what_is_secret_in_it() -> None:
    async with receiving(status=500, answer=f"cannot POST /services/T0/B0/{TOKEN}") as receiver:
        channel = slack(receiver.url)
        echoed = await send(channel)
    away = await send(channel)
    unusable = await send(SlackChannel(url=Secret(f"https://[::1/{TOKEN}")))

    for failed in (echoed, away, unusable):
        assert isinstance(failed, Undelivered)
        assert str(failed)
        assert TOKEN not in str(failed)
        assert TOKEN not in repr(failed)
        assert failed.__cause__ is None
        assert failed.__suppress_context__ or failed.__context__ is None


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/api/webhooks/42/{}/slack", "{}"),  # what Discord takes as if it were Slack
        ("/workflows/7/invoke?sv=1.0&sig={}", "bad signature {}"),
        ("/hook/{}?wait=true", "no hook {} here"),
    ],
)
async def test_a_token_is_masked_wherever_it_stands_in_a_url(path: str, said: str) -> None:
    async with receiving(status=404, answer=said.format(TOKEN)) as receiver:
        failed = await send(SlackChannel(url=Secret(receiver.url + path.format(TOKEN))))

    assert str(failed) == f"HTTP 404: {said.format('***')}"


# --- e-mail -----------------------------------------------------------------------------------------------------------


def email(mails: MailServer, **changes: object) -> EmailChannel:
    fields = {"server": mails.address, "security": "none", "sender": "a@example.com", "to": ("b@example.com",)}
    return EmailChannel(**(fields | changes))  # type: ignore[arg-type]


async def test_a_mail_has_our_words_in_its_headers_and_a_strangers_in_its_body_alone() -> None:
    async with mail_server() as server:
        assert await send(email(server, to=("b@example.com", "c@example.com"))) == "SMTP: OK"

    (taken,) = server.mails
    assert isinstance(taken.content, bytes)
    mail = message_from_bytes(taken.content, policy=policy.default)
    assert taken.rcpt_tos == ["b@example.com", "c@example.com"]
    assert mail["Subject"] == "[attic] warning: machine_down"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert {name.lower() for name in mail} == {
        "from", "to", "subject", "date", "message-id", "auto-submitted",
        "content-type", "content-transfer-encoding", "mime-version",
    }  # fmt: skip
    assert "@everyone <!channel>" in mail.get_content()


async def test_a_refused_mail_is_told_in_the_servers_words_and_whether_to_try_again() -> None:
    async with mail_server(refuses="554 no spam here") as server:
        refused = await send(email(server))
        server.refuses = "451 later"
        later = await send(email(server))

    assert isinstance(refused, Undelivered)
    assert isinstance(later, Undelivered)
    assert (str(refused), refused.final) == ("SMTP 554: no spam here", True)
    assert (str(later), later.final) == ("SMTP 451: later", False)


async def test_a_password_is_never_sent_to_a_server_without_encryption() -> None:
    async with mail_server() as server:
        failed = await send(email(server, security="starttls", username="u", password=Secret("a-long-password")))

    assert isinstance(failed, Undelivered)
    assert "STARTTLS" in str(failed)
    assert server.mails == []


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_a_server_that_repeats_the_login_makes_no_log_hold_the_password(mechanism: str) -> None:
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com\r\n")
        while line := (await reader.readline()).decode().strip():
            answer = f"250-me\r\n250 AUTH {mechanism}" if line.startswith("EHLO") else f"535 cannot do: {line}"
            writer.write(("334 go on" if line.startswith("AUTH LOGIN") else answer).encode() + b"\r\n")
        writer.close()
        ended.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    failed = await send(email(MailServer(), server=address, username="u", password=Secret("a-long-password")))
    await ended.wait()
    server.close()

    told = "SMTP 535: cannot do: "
    assert str(failed) == told + ("AUTH PLAIN ***" if mechanism == "PLAIN" else "***")


async def test_starttls_with_a_certificate_that_is_trusted_and_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    own = authority.issue("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.cert, own.key)
    async with mail_server(password="a-long-password", tls=context) as server:
        port = server.address.rpartition(":")[2]
        account = {"server": f"localhost:{port}", "security": "starttls", "username": "u"}
        distrusted = await send(email(server, **account, password=Secret("a-long-password")))
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
        wrong = await send(email(server, **account, password=Secret("another-password")))
        sent = await send(email(server, **account, password=Secret("a-long-password")))

    assert isinstance(distrusted, Undelivered)
    assert "certificate" in str(distrusted).lower()
    assert isinstance(wrong, Undelivered)
    assert wrong.final
    assert "another-password" not in str(wrong)
    assert sent == "SMTP: OK"
    assert len(server.mails) == 1


# --- Apprise ----------------------------------------------------------------------------------------------------------

old_imports = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""A module of its own imports what Python 3.13 has no more, where there still is one."""


@old_imports
async def test_apprise_reaches_what_it_knows_and_mentions_nobody() -> None:
    async with receiving() as receiver:
        told = await send(AppriseChannel(url=Secret(receiver.url.replace("http://", "json://") + "/hook")))

    assert told == "sent"
    body = json.loads(receiver.bodies[0])
    assert body["title"] == TOLD.title
    assert "everyone" in body["message"]
    assert not re.search(r"[<>]|@\w|\]\(", body["message"])


@old_imports
async def test_apprise_says_in_its_words_why_it_failed_and_not_where() -> None:
    async with receiving(status=403) as receiver:
        url = receiver.url.replace("http://", f"json://user:{TOKEN}@")
        failed = await send(AppriseChannel(url=Secret(f"{url}/{TOKEN}")))
    unknown = await send(AppriseChannel(url=Secret(f"nonesuch://{TOKEN}")))

    assert isinstance(failed, Undelivered)
    assert "403" in str(failed)
    assert TOKEN not in str(failed)
    assert isinstance(unknown, Undelivered)
    assert unknown.final
    assert TOKEN not in str(unknown)


@old_imports
async def test_apprise_is_sent_nowhere_else() -> None:
    async with receiving(status=307, headers={"Location": "/other"}) as receiver:
        failed = await send(AppriseChannel(url=Secret(receiver.url.replace("http://", "json://") + "/hook")))

    assert isinstance(failed, Undelivered)
    assert len(receiver.bodies) == 1
