"""The commands that filter images, one filter each: made of what the filters say of themselves."""

from typing import Any

import click

from cnnfilter.cli.group import CONTEXT
from cnnfilter.cli.options import ImageCommand, Settings, inputs, own, shared, value_range
from cnnfilter.registry import filter_named


def command(name: str) -> ImageCommand:
    """Make the command of a filter: its own options, then those that all share."""
    filter = filter_named(name)

    def run(maps: str | None = None, **values: Any) -> int:
        settings = Settings.taken_from(values)
        made = filter.read(values)
        if maps is not None:
            from cnnfilter.cli.maps import run_maps

            return run_maps(made, settings, maps)
        from cnnfilter.cli.run import run_images

        return run_images([made], settings, command=name)

    params = own(filter.options)
    if filter.has_maps:
        words = "Draw a bank's maps on a sheet, or write each."
        params.append(click.Option(["--maps"], type=click.Path(), metavar="FILE.png|DIR/", help=words))
        params.append(_listing())
    arguments = [param for param in params if isinstance(param, click.Argument)]
    options = [param for param in params if isinstance(param, click.Option)]
    return ImageCommand(
        name,
        params=[*arguments, inputs(), *options, value_range(filter.default_range), *shared()],
        callback=run,
        help=filter.help,
        examples=filter.examples,
        context_settings=CONTEXT,
        options_metavar="[OPTIONS]",
    )


def _listing() -> click.Option:
    """Say how to see which learned filters come with the tool: an option that needs no other."""

    def show(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted and not context.resilient_parsing:
            from cnnfilter.cli.shipped import list_filters

            list_filters()
            context.exit()

    words = "Show the filters that come with the tool."
    return click.Option(
        ["--list"], is_flag=True, is_eager=True, expose_value=False, callback=show, help=words
    )
