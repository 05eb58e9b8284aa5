"""What can be chosen about the simulated cloud: delays, quirks of its wire, keys, money, seed."""

from typing import Literal, Self

from msgspec import Struct


class Timing(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Seconds spent in each status, by the simulated clock; the defaults suit a demo. The order is inferred."""

    to_create_s: float = 0.5
    creating_s: float = 1.5
    pulling_s: float = 4.0
    to_start_s: float = 0.5
    starting_s: float = 3.5
    start_pulling_s: float = 0.0  # 0 leaves `pulling` out of a start: the image is still on the node
    to_stop_s: float = 0.5
    stopping_s: float = 1.5
    to_restart_s: float = 0.5
    restarting_s: float = 2.0
    to_reset_s: float = 0.5
    resetting_s: float = 2.0
    to_remove_s: float = 0.5
    removing_s: float = 1.0
    migrating_s: float = 8.0
    job_pulling_s: float = 2.0  # a job's own first state
    saving_image_s: float = 6.0
    spot_notice_s: float = 3600.0  # the marketing page promises one hour
    spot_reclaiming_s: float = 5.0
    ssh_s: float = 0.5  # after `running`, until sshd answers and `isRunning` is true
    service_s: float = 1.0  # after `running`, until the ports answer
    list_lag_s: float = 0.0  # after create, until the list knows the machine
    get_lag_s: float = 0.0  # after create, until get and the actions know it
    removed_listed_s: float = 2.0  # how long a gone machine stays in the list as `removed`
    removed_known_s: float = 2.0  # how long get still knows it
    metrics_lag_s: float = 60.0  # documented: about one minute
    jitter: float = 0.0  # each delay is stretched by up to this part, either way

    @classmethod
    def demo(cls) -> Self:
        """The defaults: six seconds from create to running."""
        return cls()

    @classmethod
    def fast(cls) -> Self:
        """Some tens of milliseconds a step, for tests on real time."""
        return cls._all(0.02, migrating_s=0.06, saving_image_s=0.06, ssh_s=0.0, service_s=0.03)

    @classmethod
    def instant(cls) -> Self:
        """Every step is over at once: the next call sees the end of it."""
        return cls._all(0.0)

    @classmethod
    def _all(cls, step_s: float, **others: float) -> Self:
        kept = {"start_pulling_s", "spot_notice_s", "list_lag_s", "get_lag_s", "metrics_lag_s", "jitter"}
        steps = dict.fromkeys((name for name in cls.__struct_fields__ if name not in kept), step_s)
        return cls(**(steps | others))


class Quirks(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where sources disagree or are silent about the wire, the choice taken here."""

    not_found_status: Literal[400, 404] = 400  # the error table says 400, two clients saw 404
    missing_key_status: Literal[400, 401] = 400
    unknown_key_status: Literal[401, 403] = 403
    wrong_state_reason: str = "OPERATION_LIMIT"  # only the message was ever recorded
    action_reply: Literal["state", "empty"] = "state"  # of start and stop
    quiet_reply: Literal["empty", "object"] = "empty"  # of delete, edit, migrate, restart and their like
    endpoints_in_list: bool = True  # observed, though documented for get alone
    spot_in_list: bool = True
    spot_in_get: bool = False  # documented for the list alone
    product_in_get: bool = False  # likewise, with rootfsSize
    region_names: Literal["place", "code"] = "place"  # the form changed once and broke equality filters
    spot_status_after_reclaim: Literal["terminated", ""] = "terminated"
    reclaimed_start: Literal["refused", "allowed"] = "refused"  # "tends to fail"
    migrate_shortage: Literal["refused", "fails"] = "refused"  # at once, or by its job
    default_page_size: int = 10
    max_page_size: int = 100  # undocumented; larger asks are answered with this many
    instance_limit: int | None = None
    gpu_limit: int | None = None
    minimum_balance_usd: float = 0.0  # create and start need more than this


class SimulatorSettings(Struct, frozen=True, kw_only=True):
    """Everything a simulator is built from. An empty `keys` lets in every key that begins with `sk_`."""

    timing: Timing = Timing()
    quirks: Quirks = Quirks()
    keys: frozenset[str] = frozenset({"sim-key"})
    balance_usd: float = 1000.0
    stock_gpus: int = 512  # free GPUs of each product in each of its clusters
    seed: int = 0  # of ids, passwords and port numbers
    rate: float = 1.0  # simulated seconds to a real one; 0 is turned by hand
    start_at: float | None = None  # unix seconds; None is the wall's time, or a fixed day at rate 0
