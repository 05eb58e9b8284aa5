"""What can go wrong between a caller and the service.

ClientError
├── WrongUsage         not sent: a name, an address or an option that cannot be right
├── NotReachable       no answer: nobody listens, the connection broke, or it took too long
├── Unreadable         an answer that this API does not give
├── InstanceFailed     what was waited for will not come; `instance` says why
└── ApiError           the service said no; `code` is part of its public contract
    └── WaitTimeout    the time was up; `instance` is as it is now
"""

from datetime import timedelta
from typing import Any

from novita_gpu.client.answers import Instance


class ClientError(Exception): ...


class WrongUsage(ClientError): ...


class NotReachable(ClientError):
    """`was_sent` False: the service certainly did not see the request."""

    def __init__(self, message: str, *, was_sent: bool = True) -> None:
        super().__init__(message)
        self.was_sent = was_sent


class Unreadable(ClientError): ...


class InstanceFailed(ClientError):
    def __init__(self, instance: Instance) -> None:
        why = instance.error.message if instance.error else instance.status_reason or "no reason was given"
        super().__init__(f"{instance.name} is {instance.status}: {why}")
        self.instance = instance


class ApiError(ClientError):
    """`details` as they were answered: the faults of a validation error, the figures of a limit."""

    def __init__(
        self,
        code: str,
        message: str,
        status: int,
        *,
        details: Any = None,
        request_id: str | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.details = details
        self.request_id = request_id
        self.retry_after = retry_after


class WaitTimeout(ApiError):
    def __init__(self, message: str, instance: Instance | None, *, request_id: str | None = None) -> None:
        super().__init__("WAIT_TIMEOUT", message, 408, request_id=request_id)
        self.instance = instance
