"""The command that compares our records with the cloud."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from novita_gpu.cli.ask import Ask, asks

if TYPE_CHECKING:
    from novita_gpu.client.options import SyncOptions


def register(app: typer.Typer) -> None:
    @asks(app, "sync")
    async def _sync(
        ask: Ask,
        dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
        adopt: Annotated[
            list[str] | None,
            typer.Option("--adopt", metavar="ID", help="Take in this machine of the cloud; may be repeated."),
        ] = None,
        remove_orphans: Annotated[
            bool, typer.Option("--remove-orphans", help="Remove machines of ours that no living instance has.")
        ] = False,
        confirm_gone: Annotated[
            bool, typer.Option("--confirm-gone", help="What is missing now is gone, though it is much at once.")
        ] = False,
        last: Annotated[
            bool, typer.Option("--last", help="Compare nothing: say when that was done last, and what it found.")
        ] = False,
    ) -> None:
        """Compare with the cloud now.

        Says what was found: machines that came, changed or went, and those that bill for nobody."""
        from novita_gpu.cli import show

        if last:
            known: dict[str, Any] = (await ask.client.health()).get("sync", {})
            ask.give(known, lambda: show.last_sync(known))
            return
        options: SyncOptions = {}
        if dry_run:
            options["dry_run"] = True
        if adopt:
            options["adopt"] = adopt
        if remove_orphans:
            options["remove_orphans"] = True
        if confirm_gone:
            options["confirm_gone"] = True
        answer = await ask.client.sync(**options)
        ask.give(answer, lambda: show.synced(answer))
