"""What each wish gets in each status. One table; nothing else decides it."""

from enum import StrEnum

from novita_gpu.domain.instance import Status


class Verb(StrEnum):
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    DELETE = "delete"


class Response(StrEnum):
    BEGIN = "begin"  # a new operation
    SAME = "same"  # the operation under way is the one that is asked for
    NOTHING = "nothing"  # it is already so
    REFUSE = "refuse"


_B, _S, _N, _R = Response.BEGIN, Response.SAME, Response.NOTHING, Response.REFUSE
_COLUMNS = (
    (Status.CREATING, Status.STARTING, Status.MIGRATING),
    (Status.RUNNING, Status.READY),
    (Status.STOPPING,),
    (Status.STOPPED,),
    (Status.FAILED,),
    (Status.DELETING,),
    (Status.DELETED,),
)
_ROWS = {
    Verb.START: (_S, _N, _B, _B, _B, _R, _R),
    Verb.STOP: (_B, _B, _S, _N, _N, _R, _R),
    Verb.RESTART: (_R, _B, _R, _R, _R, _R, _R),
    Verb.DELETE: (_B, _B, _B, _B, _B, _S, _N),
}
_TABLE = {
    (verb, status): response
    for verb, row in _ROWS.items()
    for statuses, response in zip(_COLUMNS, row, strict=True)
    for status in statuses
}
REFUSAL_CODES = {
    Verb.START: "INSTANCE_NOT_STARTABLE",
    Verb.STOP: "INSTANCE_NOT_STOPPABLE",
    Verb.RESTART: "INSTANCE_NOT_RUNNING",
    Verb.DELETE: "INSTANCE_NOT_RUNNING",
}


def response(verb: Verb, status: Status) -> Response:
    return _TABLE[verb, status]
