"""A question as an e-mail: plain text and HTML that say the same, with a link for each answer.

The HTML is read by whatever the mail program is: tables for the layout (Outlook), styles inline (Gmail drops others),
no colour but the buttons' own, so that a dark screen may turn the rest over. It loads nothing: no image, no font, no
mark that tells who opened it. What stands in a header is one line, and what is mailed to is one plain address.
"""

import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from html import escape

from cardwatch.adapters.channels.links import LinkMaker, Links
from cardwatch.domain.languages import EmailTexts, language
from cardwatch.domain.link_question import add_links
from cardwatch.domain.message import Message
from cardwatch.ports import NotSent

_DOT_ATOM = re.compile(r"[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*")
"""Local part (RFC 5322, 3.2.3; letters of all scripts by RFC 6532), without the quoted form, which nobody has."""
_LOCAL_OCTETS_MAX = 64
"""RFC 5321, 4.5.3.1.1."""
_DOMAIN = re.compile(
    r"(?=.{1,253}\Z)([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
"""Host name (RFC 1123, 2.1); other scripts in their ASCII form (xn--)."""

_CONFIRM_COLOUR = "#1d4ed8"
_DENY_COLOUR = "#b91c1c"
"""White letters on either have a contrast above 6 to 1 (WCAG 2.2, 1.4.3 asks for 4.5)."""
_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"


def not_mailable(message: Message, *, now_ms: int) -> NotSent | None:
    """Return why a message cannot go out as an e-mail at all, None if it can be handed to a server."""
    if message.expires_at_ms is not None and now_ms >= message.expires_at_ms:
        return NotSent("life ended", retryable=False)
    if not is_plain_address(message.address):
        return NotSent("address not mailable", retryable=False)
    if message.nonce is None:
        return NotSent("message without links", retryable=False)
    return None


def is_plain_address(address: str) -> bool:
    """Say whether an address is one mailbox, name@domain, that means the same to everyone who reads it."""
    local, at, domain = address.rpartition("@")
    if not at or len(local.encode("utf-8", "replace")) > _LOCAL_OCTETS_MAX:
        return False
    return _DOT_ATOM.fullmatch(local) is not None and _DOMAIN.fullmatch(domain) is not None


def checked_sender(from_address: str) -> str:
    """Return a From address; raises ValueError if it is not one plain ASCII address without a name."""
    if not (from_address.isascii() and is_plain_address(from_address)):
        raise ValueError("mails come from one plain address, such as cards@bank.example")
    return from_address


def domain_of(address: str) -> str:
    """Return the domain of an address."""
    return address.rpartition("@")[2]


def mail_id(message: Message, *, from_address: str) -> str:
    """Return the id of a message's e-mail, without its brackets: the same at each attempt, on the sender's domain."""
    digest = hashlib.sha256(message.message_id.encode("utf-8")).hexdigest()[:32]
    return f"{digest}@{domain_of(from_address)}"


def compose(message: Message, *, links: LinkMaker, from_address: str, institution: str, now_ms: int) -> EmailMessage:
    """Return the e-mail of a message that `not_mailable` let pass; `now_ms` is its date."""
    made = links.links(message)
    code = language(message.language or "").code
    mail = EmailMessage(policy=SMTP if message.address.isascii() else SMTPUTF8)
    mail["From"] = Address(display_name=one_line(institution), addr_spec=from_address)
    mail["To"] = message.address
    mail["Subject"] = one_line(message.subject or institution)
    mail["Date"] = format_datetime(datetime.fromtimestamp(now_ms / 1000, UTC))
    mail["Message-ID"] = f"<{mail_id(message, from_address=from_address)}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notice comes back
    mail["X-Auto-Response-Suppress"] = "All"  # the same for Exchange
    plain = add_links(message.body, confirm_link=made.confirm_url, deny_link=made.deny_url, language_code=code)
    mail.set_content(plain + "\n", cte="quoted-printable")
    mail.add_alternative(render_html(message, made, institution=institution), subtype="html", cte="quoted-printable")
    mail["Content-Language"] = code
    return mail


def render_html(message: Message, links: Links, *, institution: str) -> str:
    """Return a question as the HTML of an e-mail."""
    spoken = language(message.language or "")
    question, _, footer = message.body.partition("\n\n")
    buttons = _buttons(spoken.email, links)
    return f"""<!doctype html>
<html lang="{escape(spoken.code)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no">
<meta name="referrer" content="no-referrer">
<title>{escape(one_line(message.subject or institution))}</title>
</head>
<body style="margin:0;padding:0;-webkit-text-size-adjust:100%">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">
<tr><td align="center" style="padding:24px 16px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:560px">
{_paragraph(one_line(institution), "font-size:20px;line-height:28px;font-weight:bold;padding:0 0 16px")}
{_paragraph(question, "font-size:17px;line-height:26px;padding:0 0 24px")}
{buttons}
{_paragraph(footer, "font-size:14px;line-height:21px;padding:16px 0 0;border-top:1px solid #8a8f98")}
</table>
</td></tr>
</table>
</body>
</html>
"""


def one_line(text: str) -> str:
    """Return a text without line breaks, control characters and invisible signs: fit for a header."""
    visible = (" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    return " ".join("".join(visible).split())


def _paragraph(text: str, style: str) -> str:
    return f'<tr><td style="{_FONT};{style}">{escape(text)}</td></tr>'


def _buttons(texts: EmailTexts, links: Links) -> str:
    """Return the rows with the buttons, both of one size: neither answer is the easier one."""
    choices = ((texts.confirm, links.confirm_url, _CONFIRM_COLOUR), (texts.deny, links.deny_url, _DENY_COLOUR))
    return "\n".join(
        '<tr><td style="padding:0 0 12px"><table role="presentation" width="100%" cellpadding="0" cellspacing="0" '
        f'border="0"><tr><td align="center" bgcolor="{colour}" style="background-color:{colour};border-radius:8px;'
        f'mso-padding-alt:14px 20px"><a href="{escape(url)}" rel="noreferrer" style="display:block;padding:14px 20px;'
        f"{_FONT};font-size:17px;line-height:24px;font-weight:bold;color:#ffffff;text-decoration:none;"
        f'border-radius:8px">{escape(label)}</a></td></tr></table></td></tr>'
        for label, url, colour in choices
    )
