"""Server-sent events: the lines of one stream as messages, and a stream that goes on where it broke off."""

from collections.abc import AsyncIterator
from datetime import timedelta

from msgspec.structs import replace

from novita_gpu.client.answers import Event, Part
from novita_gpu.client.errors import ApiError, NotReachable
from novita_gpu.client.transport import TURNED_AWAY, Call, Transport, read

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=15)
PATIENCE = (
    20  # connections in a row without a word, about 4 minutes: a restart is shorter, a dead service is not hidden
)


class Message(Part, frozen=True, kw_only=True):
    id: str | None = None
    event: str = "message"
    data: str = ""


async def messages(lines: AsyncIterator[str]) -> AsyncIterator[Message]:
    """Messages of a stream, by the WHATWG rules; comments, which only show life, are passed over."""
    name, data, last_id = "message", list[str](), None
    async for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Message(id=last_id, event=name, data="\n".join(data))
            name, data = "message", []
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id" and "\0" not in value:
            last_id = value


async def follow(transport: Transport, call: Call) -> AsyncIterator[Event]:
    """Events as they happen, each once and without a gap: a broken stream is resumed after the last one read.

    The first connection must succeed; later `NotReachable` comes only after many tries.
    """
    last_id: str | None = None
    is_connected, failures = False, 0
    while True:
        headers = {**call.headers, **({"Last-Event-ID": last_id} if last_id else {})}
        try:
            async with transport.lines(replace(call, headers=headers)) as lines:
                is_connected = True
                async for message in messages(lines):
                    failures = 0
                    last_id = message.id or last_id
                    if message.id is not None:  # only what happened has a place in the log; the rest shows life
                        yield read(message.data.encode(), Event)
        except NotReachable:
            if not is_connected or failures >= PATIENCE:
                raise
        except ApiError as error:
            if not is_connected or failures >= PATIENCE or error.status not in TURNED_AWAY:
                raise
        failures += 1
        await transport.sleep(min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE).total_seconds())
