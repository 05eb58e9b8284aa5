"""One sending: a request to the receiver, and what is kept of its answer."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

import aiohttp
import structlog

from novita_gpu.egress import Forbidden
from novita_gpu.hidden import HIDDEN
from novita_gpu.observe import SECURITY
from novita_gpu.webhooks.schedule import Reply, retry_after

log = structlog.get_logger()

ANSWER_DEADLINE = timedelta(seconds=15)
KEPT_BYTES = 2048  # of an answer: enough for its error, too little to fill the store
# What an answer may repeat of ours or tell of its own: keys, tokens and signatures as they look, and whatever stands
# under a name that speaks of a secret, as JSON, a header or a form field, also where the cut goes through it.
_SECRETS = re.compile(
    r"(?P<scheme>\b(?:bearer|basic)\s+)[\w.~+/=-]+"
    r"|\b(?:whsec_|ngpu_|sk[-_]|gh[pousr]_|xox[a-z]-|v1a?,)[\w+/=-]+"
    r"|\beyJ[\w-]+\.[\w.-]+"
    r"|(?P<user>://)[^\s/@]+@"
    r"|(?P<name>[\w-]{0,40}(?:passw(?:or)?d|secret|token|api[_-]?key|authorization|cookie|credential|signature)[\w-]{0,40}"
    r"[\"']?\s*[:=]\s*)(?:\"(?:[^\"\\]|\\.)*\"?|'[^']*'?|(?:(?:bearer|basic)\s+)?(?:[^\s,;&<>\"'}]|,(?=\w))+)",
    re.IGNORECASE,
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


async def post(
    session: aiohttp.ClientSession,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    began: datetime,
    within: timedelta,
) -> Reply:
    """What the receiver says, or why it says nothing. Redirects are not followed."""
    timeout = aiohttp.ClientTimeout(total=within.total_seconds())
    try:
        async with session.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False) as response:
            pause = retry_after(response.headers.get("Retry-After"), began)
            text = redacted((await _beginning(response)).decode(errors="replace"))
            return Reply(at=began, status_code=response.status, text=text, retry_after=pause)
    except TimeoutError:
        return Reply(at=began, error=f"no answer within {within.total_seconds():g} s")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return Reply(at=began, error=_why(error))


def redacted(text: str) -> str:
    """The text without what looks like a secret, and without characters that do something to a terminal."""
    return _SECRETS.sub(_hidden, _UNPRINTABLE.sub("\ufffd", text))


def _hidden(found: re.Match[str]) -> str:
    """What leads to the secret stays, to be understood."""
    return f"{found['scheme'] or found['user'] or found['name'] or ''}{HIDDEN}{'@' if found['user'] else ''}"


def _why(error: Exception) -> str:
    """What to tell of it: the system's or the guard's own words, without address and path."""
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(error.os_error, Forbidden):
            log.warning("address.refused", category=SECURITY, host=error.host, reason=error.os_error.why)
        return error.os_error.strerror or str(error.os_error)
    if isinstance(error, aiohttp.InvalidURL):
        return "it is no address"
    return redacted(f"{type(error).__name__}: {error}"[:300])


async def _beginning(response: aiohttp.ClientResponse) -> bytes:
    """The first bytes of the answer. Its status has been said: a body that breaks off does not change it."""
    kept = b""
    try:
        while len(kept) < KEPT_BYTES and (chunk := await response.content.read(KEPT_BYTES - len(kept))):
            kept += chunk
    except (aiohttp.ClientError, OSError):
        pass
    return kept
