"""`warmlane up`: the whole stack on this machine, in the foreground or, with --detach, behind."""

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console

from warmlane_devstack.cli.gateway import Gateway
from warmlane_devstack.cli.sign_in import new_link
from warmlane_devstack.exits import CommandFailed, Exit
from warmlane_devstack.stack.detached import Report, start_detached
from warmlane_devstack.stack.options import DEFAULT_PORT, StackOptions
from warmlane_devstack.stack.progress import progress_for
from warmlane_devstack.stack.run import Ready, run_stack
from warmlane_devstack.stack.runfile import Running
from warmlane_devstack.stack.workspace import Workspace


def add(parser: argparse.ArgumentParser) -> None:
    here = Workspace.of_this_environment()
    parser.add_argument("--port", type=int, help=f"the API's port ({DEFAULT_PORT}, or a free one when that is taken)")
    parser.add_argument("--data", type=Path, default=here.data, help="folder of all state (.warmlane in the checkout)")
    parser.add_argument("--detach", action="store_true", help="return when all is ready; `warmlane down` stops it")
    parser.add_argument("--without", action="append", default=[], metavar="NAME", help="leave a service out")
    parser.add_argument("--engine", choices=("tiny", "real"), default="tiny", help="tiny: untrained weights, any CPU")
    parser.add_argument("--models-root", type=Path, metavar="DIR", help="folder of the models")
    parser.add_argument("--external-nats", metavar="URL", help="use this broker instead of the embedded one")
    parser.add_argument("--external-postgres", metavar="DSN", help="use this database instead of the embedded one")
    parser.add_argument("--external-s3", metavar="URL", help="use this object storage instead of the embedded one")
    parser.add_argument("--verbose", action="store_true", help="show the embedded servers' output too")
    parser.add_argument("--report-fd", type=int, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> Exit:
    wanted = StackOptions(
        data=options.data,
        port=options.port,
        without=frozenset(options.without),
        engine=options.engine,
        models_root=options.models_root,
        external_nats=options.external_nats,
        external_postgres=options.external_postgres,
        external_s3=options.external_s3,
        verbose=options.verbose,
    )
    if options.detach:
        return behind(wanted)
    if options.report_fd is not None:
        return reporting(wanted, options.report_fd)
    console = Console()
    progress = progress_for(console)
    try:
        run_stack(wanted, console=console, progress=progress, on_ready=lambda ready: greet(console, ready))
    finally:
        progress.close()
    console.print("stopped")
    return Exit.DONE


def behind(wanted: StackOptions) -> Exit:
    console = Console()
    arguments = [argument for argument in sys.argv[2:] if argument != "--detach"]
    seconds = start_detached(arguments, progress_for(console))
    running = Running.read(wanted.data)
    url = running.text("url") if running else None
    if running is None or url is None:
        message = f"the stack ended right after it was ready; see {wanted.data / 'logs'}"
        raise CommandFailed(message)
    api_key = running.text("api_key") or ""
    welcome(console, url=url, api_key=api_key, data=wanted.data, seconds=seconds, stop="make down")
    return Exit.DONE


def reporting(wanted: StackOptions, fd: int) -> Exit:
    """The child of --detach: heard over a pipe until ready, then only in its log files."""
    report = Report(fd)
    try:
        with Path(os.devnull).open("w") as nowhere:
            console = Console(file=nowhere)
            run_stack(wanted, console=console, progress=report, on_ready=lambda ready: report.ready(ready.seconds))
    except CommandFailed as error:
        report.failed(error)
        return error.exit_code
    except OSError as error:
        report.failed(CommandFailed(str(error)))
        return Exit.FAILED
    return Exit.DONE


def greet(console: Console, ready: Ready) -> None:
    facts = ready.plan.facts
    data = ready.plan.data
    api_key = facts["api_key"] or ""
    welcome(console, url=ready.plan.url, api_key=api_key, data=data, seconds=ready.seconds, stop="Ctrl-C")


def sign_in_link(url: str, api_key: str) -> str | None:
    """A link that works once; None when the gateway is busy restarting, which is no reason not to greet."""
    try:
        with Gateway(url, api_key) as gateway:
            return new_link(gateway)
    except CommandFailed:
        return None


def welcome(console: Console, *, url: str, api_key: str, data: Path, seconds: float, stop: str) -> None:
    """Say where it is and how to get in. Secrets only to a person: what is not a terminal may be a log."""
    person = console.is_terminal
    key = api_key if person else f"in {data / 'run.json'}"
    link = sign_in_link(url, api_key) if person else None
    console.print(f"\n[bold green]Warmlane is ready[/] after {seconds:.1f} s", highlight=False)
    for what, how in (
        ("console", link or f"{url}/app/  (sign in with the link of `.venv/bin/warmlane sign-in`)"),
        ("API", f"{url}  (described at {url}/docs)"),
        ("key", f"X-API-Key: {key}"),
        ("try", '.venv/bin/warmlane generate --model phr00t --prompt "a paper boat" -o boat.mp4'),
        ("logs", str(data / "logs")),
        ("stop it", stop),
    ):
        console.print(f"  {what:<9} {how}", highlight=False, soft_wrap=True)
