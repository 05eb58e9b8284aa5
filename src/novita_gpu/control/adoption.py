"""Taking in a machine that is there already, on request: a record for it, and from whom it is taken."""

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import structlog
from msgspec.structs import replace

from novita_gpu.cloud.base import Cloud, CloudError, Detail, marker_suffix
from novita_gpu.contract.fields import not_reserved
from novita_gpu.control.catalogue import Catalogue
from novita_gpu.control.journal import Journal
from novita_gpu.control.order import DEFAULT_ROOTFS_GB
from novita_gpu.domain.errors import Conflicting
from novita_gpu.domain.events import Cause, EventType
from novita_gpu.domain.instance import (
    COMING_UP_STATUSES,
    GOING_STATUSES,
    RUNNING_STATUS,
    Attempt,
    AttemptState,
    CloudId,
    InstanceId,
    Machine,
    Offer,
    Record,
    Run,
    RunKind,
    Wish,
)
from novita_gpu.domain.learn import Learned, Note, learn
from novita_gpu.domain.look import Look, Row
from novita_gpu.domain.money import price_of
from novita_gpu.domain.orphans import CLAIMS, Mark, bears, mark_of, released, standing
from novita_gpu.domain.spec import AutoStop, BillingMode, Recovery, Spec
from novita_gpu.store import Store
from novita_gpu.store.base import HadAlready, NameTaken, Stale

log = structlog.get_logger()

NAME_CHARS = 100
NO_TIME = timedelta(0)
# Names that are tried, with a number from the second on.
NAMES = 100


class Adoption:
    """Raises `Conflicting`, the cloud's errors and the store's; then there is no new record."""

    def __init__(
        self,
        store: Store,
        cloud: Cloud,
        catalogue: Catalogue,
        journal: Journal,
        *,
        deployment: str,
        now: Callable[[], datetime],
        new_id: Callable[[str], str],
    ) -> None:
        self._store, self._cloud, self._catalogue, self._journal = store, cloud, catalogue, journal
        self._deployment, self._now, self._new_id = deployment, now, new_id

    def check(self, row: Row, records: Iterable[Record]) -> None:
        """Refuses what a living record has or sees to, and what is on its way out."""
        if row.seen.status in GOING_STATUSES:
            raise Conflicting("INSTANCE_NOT_RUNNING", f"{row.id} is being removed ({row.seen.status}).")
        for record in records:
            if record.deleted_at is None and _has(record, row):
                raise _had_already(row.id, record.id)

    async def take_in(self, row: Row, listed: Iterable[Row], cause: Cause) -> Record:
        """The new record. A machine with our own marker is first released by the record that the marker names; when
        that record was lost the machine gets its instance id back.
        """
        began = self._now()
        detail = await self._cloud.get(row.id)
        self.check(replace(row, seen=detail.row.seen), [])
        mark = mark_of(row.marker, self._deployment) if bears(row, row.marker) else None
        offer = await self._offer(row, detail)
        owner = await self._store.records.load(mark.owner) if mark else None
        if mark and owner:
            await self._release(owner.id, row, mark, offer, began)
        restored = mark if owner is None else None
        record = Record(
            id=restored.owner if restored else InstanceId(self._new_id("ins")),
            name=name_of(row, self._deployment),
            spec=_spec(row, detail, offer),
            wants=Wish.RUNNING if _is_up(detail.row) else Wish.STOPPED,
            operation=self._journal.operation(),
            correlation=cause.correlation,
            created_at=began,
            updated_at=began,
            run=Run(kind=RunKind.TAKEN_IN, asked_at=began, sent_at=began),
            auto_stop=AutoStop(enabled=False),  # nobody has asked for either here
            recovery=Recovery(on_reclaim="none"),
            due=began,
        )
        record = _with_machine(record, row, offer, restored.number if restored else 1, marked=mark is not None)
        if restored:
            record = self._numbered(record, row, listed)
        seen = learn(record, Look(began_at=began, complete=False, row=detail.row, from_get=True), NO_TIME).record
        return await self._commit(seen, row, cause)

    async def _release(self, owner: InstanceId, row: Row, mark: Mark, offer: Offer, began: datetime) -> None:
        """From this commit on its passes leave the machine alone. One that is deleting it now keeps it."""

        def release(record: Record) -> Learned:
            if record.deleted_at is None and _has(record, row):
                raise _had_already(row.id, record.id)
            removal = record.twin_removal
            if removal and removal.machine == row.id and removal.over_at >= began and not removal.refused:
                raise Conflicting("INSTANCE_NOT_RUNNING", f"{row.id} is being removed by {record.id}.")
            return Learned(record=released(record, row, mark.number, offer, began))

        await self._journal.fact(owner, release, Cause(actor="sync"), began)

    async def _offer(self, row: Row, detail: Detail) -> Offer:
        """As the machine is; its price as the catalogue has it, 0 where that is not known."""
        named = row if row.product_id else detail.row
        mode = BillingMode.SPOT if row.billing_mode == BillingMode.SPOT else BillingMode.ON_DEMAND
        return Offer(
            product_id=named.product_id,
            product_name=named.product_name or named.product_id,
            cluster_id=row.cluster_id,
            region=row.region,
            billing_mode=mode,
            gpu_num=row.gpu_num or 1,
            units_per_hour=await self.price(row) or 0,
            cpu_num=row.cpu_num,
            memory_gb=row.memory_gb,
        )

    async def price(self, row: Row) -> int | None:
        """Of the whole machine, per hour; None when nobody can tell, as for monthly ones."""
        if row.billing_mode not in set(BillingMode):
            return None
        mode = BillingMode(row.billing_mode)
        try:
            products = (await self._catalogue.products(mode).known()).value
        except CloudError as error:
            log.info("price.unknown", machine=row.id, error=error.message)
            return None
        units = next((p.units(mode) for p in products if p.id == row.product_id), 0)
        return price_of(units, row.gpu_num or 1) if units else None

    def _numbered(self, record: Record, row: Row, listed: Iterable[Row]) -> Record:
        """The numbers of other machines that the lost record had made are not given again."""
        for other in listed:
            mark = mark_of(other.marker, self._deployment)
            if other.id != row.id and mark and mark.owner == record.id:
                record = released(record, other, mark.number, record.attempts[0].offer, record.created_at)
        return record

    async def _commit(self, record: Record, row: Row, cause: Cause) -> Record:
        """Under its name, or with the first number that makes it free."""
        price = "" if record.offer and record.offer.units_per_hour else "; its price is not known"
        reason = f"{row.id} {row.name} was there already and is taken in; auto-stop is off for it{price}"
        learned = Learned(record=record, notes=(Note(type=EventType.TAKEN_IN, reason=reason),))
        for number in range(1, NAMES + 1):
            named = replace(learned, record=replace(record, name=numbered(record.name, number)))
            try:
                return await self._journal.write(self._journal.change(None, named, cause, self._now()))
            except NameTaken:
                continue
            except HadAlready as had:
                raise _had_already(row.id, had.owner) from None
            except Stale:  # its id was given back to it meanwhile
                raise _had_already(row.id, record.id) from None
        raise Conflicting("INSTANCE_ALREADY_EXISTS", f"{record.name} and {NAMES - 1} names like it are taken.")


def name_of(row: Row, deployment: str) -> str:
    """The machine's, without our marker, as a name that an instance may have."""
    is_ours = mark_of(row.marker, deployment) is not None
    named = row.name.removesuffix(marker_suffix(row.marker)) if is_ours else row.name
    name = re.sub("[^A-Za-z0-9_-]+", "-", named).strip("-")[:NAME_CHARS] or row.id
    return f"adopted-{name}"[:NAME_CHARS] if not_reserved(name) else name


def numbered(name: str, number: int) -> str:
    """`name`, `name-2`, `name-3`…, none longer than a name may be."""
    suffix = f"-{number}" if number > 1 else ""
    return name[: NAME_CHARS - len(suffix)] + suffix


def _is_up(row: Row) -> bool:
    return row.seen.status == RUNNING_STATUS or row.seen.status in COMING_UP_STATUSES


def _has(record: Record, row: Row) -> bool:
    own = record.machine is not None and record.machine.id == row.id
    return own or (bears(row, row.marker) and standing(record, row) in CLAIMS)


def _with_machine(record: Record, row: Row, offer: Offer, number: int, *, marked: bool) -> Record:
    """It has run as far as we know, so it holds data. With our marker it goes on being known by that."""
    at = record.created_at
    attempt = Attempt(
        number=number,
        marker=row.marker if marked else "",
        offer=offer,
        intent_at=at,
        deadline=at,
        state=AttemptState.TAKEN_IN,
        machine=row.id,
        answered_at=at,
    )
    machine = Machine(id=row.id, offer=offer, attempt=number, adopted_at=at, ran=True)
    return replace(record, attempts=(attempt,), machine=machine)


def _spec(row: Row, detail: Detail, offer: Offer) -> Spec:
    return Spec(
        product_name=offer.product_name or None,
        product_id=offer.product_id or None,
        gpu_num=offer.gpu_num,
        rootfs_size_gb=row.rootfs_size_gb or detail.row.rootfs_size_gb or DEFAULT_ROOTFS_GB,
        billing_mode=offer.billing_mode,
        regions=(row.region or row.cluster_id,),
        image_url=row.image_url or detail.row.image_url,
        image_auth_id=detail.image_auth_id,
        ports=detail.ports,
        envs=detail.envs,
        command=detail.command,
        entrypoint=detail.entrypoint,
    )


def _had_already(machine: CloudId, owner: InstanceId) -> Conflicting:
    return Conflicting("INSTANCE_ALREADY_EXISTS", f"{machine} is the machine of {owner} already.")
