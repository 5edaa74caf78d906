"""E-mail by SMTP against a real server that refuses, hangs up and waits at every step, and against broken ones."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from cardwatch.adapters.channels.links import LinkMaker
from cardwatch.adapters.channels.mail.smtp import Security, SmtpChannel, SmtpServer, check_smtp
from cardwatch.adapters.channels.mail.text import mail_id
from cardwatch.adapters.clock import FixedClock
from cardwatch.domain.answer_link import LinkAction, read_link
from cardwatch.domain.errors import OperatingError
from cardwatch.domain.message import Message
from cardwatch.ports import NotSent, OnUnknown, Sent, UnknownSent
from tests.builders import NOW_MS, make_message
from tests.fakes.smtp_server import (
    PASSWORD,
    USERNAME,
    Certificates,
    Sink,
    hang_up_hard,
    make_certificates,
    running_smtp,
    saying,
    scripted_smtp,
)

KEY = b"a key of the tests, 32 bytes long"
FROM = "cards@bank.example"
HOLDER = "ada@example.com"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make a certificate for localhost."""
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Serve mail in clear."""
    with running_smtp() as running:
        yield running


def channel_to(port: int, *, host: str = "127.0.0.1", now_ms: int = NOW_MS, **options: object) -> SmtpChannel:
    """Return an impatient channel to a server in clear, unless told otherwise."""
    usual: dict[str, object] = {"host": host, "port": port, "security": Security.NONE, "timeout_s": 0.5}
    return SmtpChannel(
        server=SmtpServer(**{**usual, **options}),  # type: ignore[arg-type]
        from_address=FROM,
        institution="First Bank",
        links=LinkMaker(public_url="https://cards.example.com", key=KEY),
        clock=FixedClock(now_ms),
    )


def question(**fields: object) -> Message:
    """Return a question by e-mail."""
    usual: dict[str, object] = {
        "channel": "email",
        "address": HOLDER,
        "own_address": FROM,
        "subject": "First Bank: did you try to spend $1,500.00 at Suspicious Store?",
        "body": "Did you pay $1,500.00 at Suspicious Store?\n\nWe never ask for your password.",
        "language": "en",
        "nonce": "0123456789abcdef" * 2,
    }
    return make_message("txn_1:challenge:email:question:1", **{**usual, **fields})


def test_a_mail_arrives_with_links_that_are_ours(sink: Sink) -> None:
    """From us, to one holder, with a Message-ID that stands for the provider's id, and two links that read back."""
    message = question()
    assert channel_to(sink.port).send(message) == Sent(mail_id(message, from_address=FROM))
    (mail,) = sink.mails
    assert (mail.sender, mail.receivers) == (FROM, (HOLDER,))
    parsed = mail.parsed()
    assert parsed["From"] == "First Bank <cards@bank.example>"
    assert parsed["Message-ID"] == f"<{mail_id(message, from_address=FROM)}>"
    plain = parsed.get_body(("plain",))
    assert plain is not None
    tokens = [line.rpartition("/")[2] for line in plain.get_content().splitlines() if line.startswith("https://")]
    read = [read_link(token, key=KEY) for token in tokens]
    assert [link and link.action for link in read] == [LinkAction.CONFIRM, LinkAction.DENY]


def test_the_channel_says_what_it_is(sink: Sink) -> None:
    """It is "email", comes from our address, is left alone where nobody knows, and cannot be asked."""
    channel = channel_to(sink.port)
    assert (channel.name, channel.own_address, channel.on_unknown) == ("email", FROM, OnUnknown.LEAVE)
    with pytest.raises(OperatingError):
        channel.find(question())


def test_lines_that_begin_with_a_dot_arrive_whole(sink: Sink) -> None:
    """A dot alone on a line does not end the mail."""
    body = "Did you pay?\n.\n..\n.hidden\n\nfooter\n.\nQUIT"
    assert isinstance(channel_to(sink.port).send(question(body=body)), Sent)
    plain = sink.mails[0].parsed().get_body(("plain",))
    assert plain is not None
    text = plain.get_content().replace("\r\n", "\n")
    assert text.startswith("Did you pay?\n.\n..\n.hidden\n")
    assert text.endswith("footer\n.\nQUIT\n")


@pytest.mark.parametrize(
    ("step", "answer", "outcome"),
    [
        ("RCPT", "550 5.1.1 <ada@example.com> unknown", NotSent("550 5.1.1 no such mailbox", retryable=False)),
        ("RCPT", "550 no ada here", NotSent("550 no such mailbox", retryable=False)),
        ("RCPT", "551 not here", NotSent("551 mailbox is elsewhere", retryable=False)),
        ("RCPT", "552 5.2.2 full", NotSent("552 5.2.2 mailbox full", retryable=False)),
        ("RCPT", "553 what", NotSent("553 not a valid mailbox", retryable=False)),
        ("RCPT", "599 what", NotSent("599 receiver refused", retryable=False)),
        (
            "RCPT",
            "554 5.7.1 <ada@example.com>: Relay access denied",
            NotSent(
                "554 5.7.1 refused by policy: check relaying, SPF, DKIM and the sender's standing",
                retryable=False,
                alarm=True,
            ),
        ),
        ("RCPT", "530 log in", NotSent("530 login needed", retryable=False, alarm=True)),
        ("RCPT", "450 4.2.0 greylisted", NotSent("450 4.2.0 mailbox busy", retryable=True)),
        ("RCPT", "451 later", NotSent("451 error at the server", retryable=True)),
        ("RCPT", "452 4.3.1 full", NotSent("452 4.3.1 server out of room", retryable=True)),
        ("RCPT", "421 closing", NotSent("421 server not available", retryable=True)),
        (
            "MAIL",
            "553 5.7.1 not yours",
            NotSent("553 5.7.1 sender refused: check the From address", retryable=False, alarm=True),
        ),
        ("MAIL", "451 later", NotSent("451 error at the server", retryable=True)),
        ("MAIL", "421 closing", NotSent("421 server not available", retryable=True)),
        ("MAIL", "530 5.7.0 log in", NotSent("530 5.7.0 login needed", retryable=False, alarm=True)),
        ("DATA", "451 4.7.1 later", NotSent("451 4.7.1 error at the server", retryable=True)),
        ("DATA", "452 full", NotSent("452 server out of room", retryable=True)),
        ("DATA", "554 looks like spam", NotSent("554 mail refused", retryable=False)),
        (
            "DATA",
            "550 5.7.26 unauthenticated",
            NotSent(
                "550 5.7.26 refused by policy: check relaying, SPF, DKIM and the sender's standing",
                retryable=False,
                alarm=True,
            ),
        ),
    ],
)
def test_a_refusal_is_judged_by_its_numbers(sink: Sink, step: str, answer: str, outcome: NotSent) -> None:
    """4xx may pass later, 5xx does not; an alarm where it would meet every mail; no word of the server's is kept."""
    sink.answers[step] = answer
    assert channel_to(sink.port).send(question()) == outcome
    assert sink.mails == []


@pytest.mark.parametrize("step", ["MAIL", "RCPT"])
@pytest.mark.parametrize("fault", ["drop", "slow"])
def test_a_break_before_the_content_is_no_send(sink: Sink, step: str, fault: str) -> None:
    """The server has nothing yet: the mail may be tried again."""
    if fault == "drop":
        sink.drops.add(step)
    else:
        sink.delays_s[step] = 1.5
    outcome = channel_to(sink.port).send(question())
    assert outcome == NotSent("connection lost before the mail was handed over", retryable=True)
    assert sink.mails == []


@pytest.mark.parametrize("fault", ["drop", "slow"])
def test_a_break_after_the_content_is_unknown(sink: Sink, fault: str) -> None:
    """The server may have taken the mail, and here it has: it must not be sent again."""
    sink.takes_before.add("DATA")
    if fault == "drop":
        sink.drops.add("DATA")
    else:
        sink.delays_s["DATA"] = 2.5
    assert channel_to(sink.port).send(question()) == UnknownSent("connection lost after the mail was handed over")
    assert len(sink.mails) == 1


def test_a_server_that_looks_the_mail_over_is_waited_for(sink: Sink) -> None:
    """Its last answer may take longer than the others: what would be unknown is known a little later."""
    sink.delays_s["DATA"] = 0.9
    assert isinstance(channel_to(sink.port).send(question()), Sent)


TO_CONTENT = (b"220 hi\r\n", b"250 hi\r\n", b"250 ok\r\n", b"250 ok\r\n")
LOST = NotSent("connection lost before the mail was handed over", retryable=True)
UNREADABLE = NotSent("answer not readable", retryable=True)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ([], LOST),
        ([b"HTTP/1.1 400 Bad Request\r\n"], UNREADABLE),
        ([b"\x00\xff\r\n"], UNREADABLE),
        ([b"554 5.7.1 blocked\r\n"], NotSent("554 5.7.1 server refuses connections", retryable=False, alarm=True)),
        ([b"421 4.3.2 busy\r\n"], NotSent("421 4.3.2 server not available", retryable=True)),
        ([b"220 hi\r\n"], LOST),
        ([b"220 hi\r\n", b"502 what\r\n", b"502 what\r\n"],
         NotSent("502 server refuses connections", retryable=False, alarm=True)),
        ([*TO_CONTENT], LOST),
        ([*TO_CONTENT, b"250 not asked\r\n"], UNREADABLE),
        ([*TO_CONTENT, b"554 no\r\n"], NotSent("554 mail refused", retryable=False)),
        ([*TO_CONTENT, b"451 later\r\n"], NotSent("451 error at the server", retryable=True)),
        ([*TO_CONTENT, b"354 go\r\n" + b"250" + b" x" * 5000 + b"\r\n"],
         UnknownSent("connection lost after the mail was handed over")),
        ([*TO_CONTENT, b"354 go\r\nwhat\r\n"], UnknownSent("answer not readable")),
        ([*TO_CONTENT, b"354 go\r\n354 go on\r\n"], UnknownSent("answer not readable")),
    ],
)  # fmt: skip
def test_a_server_that_speaks_nonsense_is_survived(answers: list[bytes], outcome: NotSent | UnknownSent) -> None:
    """Whatever is said and wherever it breaks off: sent again only what the server provably has not."""
    with scripted_smtp(saying(*answers)) as port:
        assert channel_to(port).send(question()) == outcome


def test_a_connection_that_is_reset_is_no_send() -> None:
    """Before a greeting came, nothing can have been taken."""
    with scripted_smtp(hang_up_hard) as port:
        assert channel_to(port).send(question()) in {LOST, NotSent("no connection", retryable=True)}


def test_a_server_that_reads_no_goodbye_holds_nothing_up() -> None:
    """Once the mail is taken, the rest is politeness."""
    with scripted_smtp(saying(*TO_CONTENT, b"354 go\r\n250 taken\r\n")) as port:
        assert isinstance(channel_to(port).send(question()), Sent)


def test_a_server_that_answers_in_drops_is_left() -> None:
    """Each byte comes in time, the answer never does: a conversation takes three timeouts at most."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"220-")
        for _ in range(100):
            connection.sendall(b"w")
            time.sleep(0.1)

    with scripted_smtp(drip) as port:
        began = time.monotonic()
        assert channel_to(port, timeout_s=0.3).send(question()) == LOST
        assert time.monotonic() - began < 3.0


def test_a_server_that_stops_reading_the_content_is_left() -> None:
    """A connection that takes no more bytes is cut, and what became of the mail is unknown."""

    def stop(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        saying(*TO_CONTENT)(connection)
        connection.sendall(b"354 go\r\n")
        time.sleep(1.2)

    with scripted_smtp(stop) as port:
        outcome = channel_to(port, timeout_s=0.3).send(question(body="w" * 10_000_000))
    assert outcome == UnknownSent("connection lost after the mail was handed over")


def test_nobody_there_is_no_send() -> None:
    """A port that refuses, and a name that nobody has."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert channel_to(closed.getsockname()[1]).send(question()) == NotSent("no connection", retryable=True)
    assert channel_to(25, host="mail.invalid").send(question()) == NotSent("no connection", retryable=True)


def test_starttls_keeps_login_and_mail_secret(certificates: Certificates) -> None:
    """The certificate is checked, and the password is given inside."""
    with running_smtp(starttls=certificates, logins=True) as sink:
        channel = channel_to(
            sink.port,
            host="localhost",
            security=Security.STARTTLS,
            username=USERNAME,
            password=PASSWORD,
            ca_file=certificates.ca_file,
        )
        assert isinstance(channel.send(question()), Sent)
        assert (sink.mails[0].in_tls, sink.mails[0].logged_in) == (True, True)


def test_tls_from_the_first_byte(certificates: Certificates) -> None:
    """Port 465's way works as well."""
    with running_smtp(tls=certificates) as sink:
        channel = channel_to(sink.port, host="localhost", security=Security.TLS, ca_file=certificates.ca_file)
        assert isinstance(channel.send(question()), Sent)
        assert sink.mails[0].in_tls


def test_a_server_without_starttls_gets_nothing(sink: Sink) -> None:
    """Asked for TLS, nothing is said in clear: an operator is told."""
    channel = channel_to(sink.port, security=Security.STARTTLS)
    assert channel.send(question()) == NotSent("server offers no STARTTLS", retryable=False, alarm=True)
    assert sink.commands == []


def test_a_refused_starttls_gets_nothing() -> None:
    """454 may pass later, and the mail waits for it."""
    answers = (b"220 hi\r\n", b"250-hi\r\n250 STARTTLS\r\n", b"454 not now\r\n")
    with scripted_smtp(saying(*answers)) as port:
        outcome = channel_to(port, security=Security.STARTTLS).send(question())
    assert outcome == NotSent("454 not possible now", retryable=True)


NOT_TRUSTED = NotSent("certificate of the server not trusted", retryable=False, alarm=True)


def test_a_certificate_is_checked(certificates: Certificates, tmp_path: Path) -> None:
    """One that nobody vouches for, one of another authority, and one of another name are refused."""
    other = make_certificates(tmp_path, host="mail.bank.example")
    with running_smtp(starttls=certificates) as sink:
        unknown = channel_to(sink.port, host="localhost", security=Security.STARTTLS)
        assert unknown.send(question()) == NOT_TRUSTED
        elsewhere = channel_to(sink.port, host="localhost", security=Security.STARTTLS, ca_file=other.ca_file)
        assert elsewhere.send(question()) == NOT_TRUSTED
        assert sink.commands == []
    with running_smtp(tls=other) as sink:
        misnamed = channel_to(sink.port, host="localhost", security=Security.TLS, ca_file=other.ca_file)
        assert misnamed.send(question()) == NOT_TRUSTED


def test_certificates_that_cannot_be_read_alarm(sink: Sink, tmp_path: Path) -> None:
    """A file that is not there, and one that holds none."""
    unreadable = NotSent("the file with certificates cannot be read", retryable=False, alarm=True)
    (tmp_path / "empty.pem").write_text("")
    for name in ("none.pem", "empty.pem"):
        channel = channel_to(sink.port, security=Security.TLS, ca_file=str(tmp_path / name))
        assert channel.send(question()) == unreadable


def test_tls_with_a_server_that_has_none(sink: Sink) -> None:
    """The wrong port for the wrong security is named as that."""
    outcome = channel_to(sink.port, security=Security.TLS).send(question())
    assert outcome == NotSent("no TLS with the server: check port and security", retryable=False, alarm=True)


def test_a_server_that_never_shakes_hands_is_left() -> None:
    """TLS that does not come about in time is no send."""
    with scripted_smtp(lambda connection: time.sleep(1.0) if connection else None) as port:
        assert channel_to(port, security=Security.TLS).send(question()) == NotSent("no connection", retryable=True)


def test_a_wrong_password_alarms(certificates: Certificates) -> None:
    """An operator has to act; a login that fails for the moment is tried again."""
    with running_smtp(starttls=certificates, logins=True) as sink:
        options = {"host": "localhost", "security": Security.STARTTLS, "ca_file": certificates.ca_file}
        wrong = channel_to(sink.port, username=USERNAME, password="wrong", **options)  # type: ignore[arg-type]
        outcome = wrong.send(question())
        assert isinstance(outcome, NotSent)
        assert outcome.error.startswith("535 5.7.8 login refused")
        assert (outcome.retryable, outcome.alarm) == (False, True)
        sink.answers["AUTH"] = "454 4.7.0 later"
        later = wrong.send(question())
        assert later == NotSent("454 4.7.0 not possible now", retryable=True)
        none = channel_to(sink.port, **options)  # type: ignore[arg-type]
        needed = none.send(question())
        assert isinstance(needed, NotSent)
        assert (needed.error, needed.alarm) == ("530 5.7.0 login needed", True)


@pytest.mark.parametrize("offer", [b"250 hi\r\n", b"250-hi\r\n250 AUTH GSSAPI\r\n"])
def test_a_server_that_offers_no_login_alarms(offer: bytes) -> None:
    """A user name is configured, and the server does not want one."""
    with scripted_smtp(saying(b"220 hi\r\n", offer)) as port:
        outcome = channel_to(port, username=USERNAME, password=PASSWORD).send(question())
    assert outcome == NotSent("server offers no login that we know", retryable=False, alarm=True)


def test_a_login_that_makes_no_sense_is_survived() -> None:
    """A challenge that is no base64 is an answer that cannot be read."""
    answers = (b"220 hi\r\n", b"250-hi\r\n250 AUTH CRAM-MD5\r\n", b"334 ===x\r\n")
    with scripted_smtp(saying(*answers)) as port:
        outcome = channel_to(port, username=USERNAME, password=PASSWORD).send(question())
    assert isinstance(outcome, NotSent)
    assert outcome.retryable


def test_an_address_in_another_script_needs_smtputf8(sink: Sink) -> None:
    """It goes out where the server takes it, and is refused clearly where not."""
    message = question(address="jörg.日本@example.com")
    assert isinstance(channel_to(sink.port).send(message), Sent)
    assert sink.mails[0].receivers == ("jörg.日本@example.com",)
    assert "SMTPUTF8" in sink.mails[0].options
    assert sink.mails[0].parsed()["To"] == "jörg.日本@example.com"
    with running_smtp(utf8=False) as old:
        outcome = channel_to(old.port).send(message)
        assert outcome == NotSent("address needs SMTPUTF8, which the server lacks", retryable=False)
        assert isinstance(channel_to(old.port).send(question()), Sent)


@pytest.mark.parametrize(
    "fields",
    [
        {"expires_at_ms": NOW_MS},
        {"address": "ada@example.com>\r\nRCPT TO:<eve@example.com"},
        {"address": "ada,eve@example.com"},
        {"nonce": None},
    ],
    ids=["over", "commands", "two", "no nonce"],
)
def test_what_is_not_to_go_out_reaches_no_server(sink: Sink, fields: dict[str, object]) -> None:
    """A question whose life ended, an address that is not one, a message without links: nothing is even connected."""
    outcome = channel_to(sink.port).send(question(**fields))
    assert isinstance(outcome, NotSent)
    assert not outcome.retryable
    assert sink.commands == []


def test_several_threads_send_at_once(sink: Sink) -> None:
    """Each mail has its own connection, and all arrive."""
    channel = channel_to(sink.port, timeout_s=10.0)
    messages = [question(address=f"holder{number}@example.com") for number in range(16)]
    threads = [threading.Thread(target=channel.send, args=(message,)) for message in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20.0)
    assert {mail.receivers for mail in sink.mails} == {(message.address,) for message in messages}


def test_no_thread_stays_behind(sink: Sink) -> None:
    """The watchdog ends with its connection."""
    before = threading.active_count()
    for _ in range(5):
        channel_to(sink.port, timeout_s=60.0).send(question())
    deadline = time.monotonic() + 5.0
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_the_check_sends_nothing(certificates: Certificates) -> None:
    """It connects, logs in, names the sender, and says so in one line."""
    with running_smtp(starttls=certificates, logins=True) as sink:
        server = SmtpServer(
            host="localhost",
            port=sink.port,
            username=USERNAME,
            password=PASSWORD,
            timeout_s=2.0,
            ca_file=certificates.ca_file,
        )
        line = check_smtp(server, from_address=FROM)
        assert line == f"mail server localhost:{sink.port} takes mail of ours (TLSv1.3, logged in)"
        assert sink.commands == ["AUTH", "MAIL"]
        sink.answers["MAIL"] = "550 5.7.1 <cards@bank.example> not yours"
        with pytest.raises(OperatingError, match=r"550 5\.7\.1 sender refused: check the From address") as raised:
            check_smtp(server, from_address=FROM)
        assert FROM not in str(raised.value)
        with pytest.raises(OperatingError, match="login refused: check user name and password"):
            check_smtp(msgspec.structs.replace(server, password="wrong"), from_address=FROM)


def test_the_check_says_who_is_not_there() -> None:
    """A server that cannot be reached is named."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with pytest.raises(OperatingError, match=f"mail server 127.0.0.1:{port}: no connection"):
            check_smtp(SmtpServer(host="127.0.0.1", port=port, timeout_s=0.5), from_address=FROM)


def bad_server(**fields: object) -> Callable[[], SmtpServer]:
    """Return what makes a server that cannot be."""
    usual: dict[str, object] = {"host": "mail.bank.example", "port": 587}
    return lambda: SmtpServer(**{**usual, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (bad_server(username="cardwatch"), "needs a password"),
        (bad_server(password="secret-1"), "needs a password"),
        (bad_server(username="cardwatch", password="sécret-1"), "must be ASCII"),
        (bad_server(username="cardwatch", password="secret-1", security=Security.NONE), "in clear"),
        (bad_server(host="mail..example"), "not a host name"),
    ],
)
def test_a_server_that_cannot_work_is_refused_at_once(make: Callable[[], SmtpServer], sentence: str) -> None:
    """With a sentence, and without the secret."""
    with pytest.raises(ValueError, match=sentence) as raised:
        make()
    assert "secret" not in str(raised.value)
    assert "sécret" not in str(raised.value)


@pytest.mark.parametrize("address", ["Bank <cards@bank.example>", "cards", "kärten@bank.example", "a@b\r\nX: y"])
def test_a_sender_is_one_plain_address(address: str) -> None:
    """Anything else is refused when the channel is made."""
    with pytest.raises(ValueError, match="plain address"):
        SmtpChannel(
            server=SmtpServer(host="localhost", port=25),
            from_address=address,
            institution="First Bank",
            links=LinkMaker(public_url="https://cards.example.com", key=KEY),
            clock=FixedClock(NOW_MS),
        )


def test_nothing_private_is_logged_or_shown(
    certificates: Certificates, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither address nor text nor link nor password, at any level, whether it went well or not."""
    outcomes = []
    with running_smtp(starttls=certificates, logins=True) as sink:
        channel = channel_to(
            sink.port,
            host="localhost",
            security=Security.STARTTLS,
            username=USERNAME,
            password=PASSWORD,
            ca_file=certificates.ca_file,
        )
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # the server's own
        with caplog.at_level(logging.DEBUG):
            outcomes.append(channel.send(question()))
            for step in ("MAIL", "RCPT", "DATA"):
                sink.answers = {step: f"550 5.1.1 <{HOLDER}> Suspicious Store {PASSWORD}"}
                outcomes.append(channel.send(question()))
            sink.answers, sink.drops = {}, {"DATA"}
            outcomes.append(channel.send(question()))
    shown = capfd.readouterr()
    everything = caplog.text + shown.out + shown.err + repr(outcomes) + repr(vars(channel))
    for secret in (HOLDER, "ada@", "Suspicious", "/answer/", PASSWORD, "cmFmYQ"):
        assert secret not in everything


def test_tls_is_of_this_century() -> None:
    """Nothing below TLS 1.2 is spoken."""
    from cardwatch.adapters.channels.mail import smtp

    assert smtp._tls(None).minimum_version >= ssl.TLSVersion.TLSv1_2
