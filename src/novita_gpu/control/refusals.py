"""What a person is told whose wish does not fit what an instance is."""

from novita_gpu.domain.errors import Conflicting
from novita_gpu.domain.instance import InstanceId, Record, Status, status
from novita_gpu.domain.wishes import REFUSAL_CODES, Response, Verb, response


def taken(name: str, owner: InstanceId) -> Conflicting:
    return Conflicting(
        "INSTANCE_ALREADY_EXISTS",
        f"The name {name} belongs to a living instance. Choose another, or delete that one.",
        details={"name": name, "instanceId": owner},
    )


def no_heartbeat(record: Record) -> Conflicting:
    now = status(record)
    is_gone = response(Verb.START, now) is Response.REFUSE
    todo = "it is gone for good. Create a new one." if is_gone else "start it to use it."
    details = {"instanceId": record.id, "status": now}
    return Conflicting("INSTANCE_NOT_RUNNING", f"{record.name} is {now}; {todo}", details=details)


def refusal(verb: Verb, record: Record) -> Conflicting:
    now = status(record)
    todo = (
        "It is gone for good; create a new one." if now in {Status.DELETING, Status.DELETED} else "Wait, or start it."
    )
    return Conflicting(
        REFUSAL_CODES[verb],
        f"{record.name} is {now}; it cannot be asked to {verb}. {todo}",
        details={"instanceId": record.id, "status": now},
    )
