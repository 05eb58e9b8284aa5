"""Commands that show what the cloud has on offer."""

from typing import Annotated, Literal

import typer

from novita_gpu.cli.ask import Ask, asks


def register(app: typer.Typer) -> None:
    @asks(app, "products")
    async def _products(
        ask: Ask,
        region: Annotated[str | None, typer.Option("--region", help="Only what is sold there.")] = None,
        billing_mode: Annotated[Literal["onDemand", "spot"] | None, typer.Option("--billing-mode")] = None,
    ) -> None:
        """Show what is sold: prices, stock, regions."""
        from novita_gpu.cli import market

        answer = await ask.client.products(region=region, billing_mode=billing_mode)
        ask.give(answer, lambda: market.products(answer))

    @asks(app, "regions")
    async def _regions(ask: Ask) -> None:
        """Show regions in the order in which they are tried."""
        from novita_gpu.cli import market

        answer = await ask.client.regions()
        ask.give(answer, lambda: market.regions(answer))

    @asks(app, "templates")
    async def _templates(
        ask: Ask, template_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Only this one.")] = None
    ) -> None:
        """List templates, or show one."""
        from novita_gpu.cli import market

        if template_id is None:
            listed = await ask.client.templates()
            ask.give(listed, lambda: market.templates(listed))
        else:
            one = await ask.client.template(template_id)
            ask.give(one, lambda: market.template(one))
