"""The words of `wan models`: one function per command that adds its options."""

import argparse
import re
from collections.abc import Callable

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([kKMGT]?i?)B?")
_UNITS = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"ki": 2**10, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def size(text: str) -> int:
    """Bytes from `69GB`, `500MiB` or plain digits."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; expected for example 500MB or 20GiB")
    return int(float(match[1]) * (_UNITS | _BINARY)[match[2]])


def span(text: str) -> float:
    """Seconds from `30d`, `12h`, `90` or `15m`."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; expected for example 90s, 15m, 12h or 30d")
    return float(match[1]) * _SECONDS[match[2]]


def build_parser() -> argparse.ArgumentParser:
    """All commands. Exits with 2 on wrong usage."""
    top = argparse.ArgumentParser(prog="wan", description="Warmlane's model store.")
    nouns = top.add_subparsers(dest="noun", required=True, metavar="models")
    models = nouns.add_parser("models", help="weights on this node: what is there, get it, keep it, make room")
    commands = models.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (help_text, add) in _COMMANDS.items():
        parser = commands.add_parser(name, help=help_text, description=help_text)
        parser.add_argument("--json", action="store_true", help="answer as JSON (schema: warmlane.models/1)")
        add(parser)
    return top


def _models(parser: argparse.ArgumentParser, how_many: str = "*") -> None:
    parser.add_argument("models", nargs=how_many, metavar="MODEL", help="name[@version][#variant]")


def _status(parser: argparse.ArgumentParser) -> None:
    _models(parser)
    parser.add_argument("--explain", action="store_true", help="why it is as large as it is")
    parser.add_argument("--check", action="store_true", help="exit 3 unless all are complete, 7 if one is corrupt")


def _ensure(parser: argparse.ArgumentParser) -> None:
    _models(parser)
    parser.add_argument("--all", action="store_true", help="every model of the manifest")
    parser.add_argument("--only", metavar="NAMES", help="these models, comma separated")
    parser.add_argument("--wait", type=span, default=3600.0, metavar="TIME", help="for another process (default 1h)")
    parser.add_argument("--fresh", action="store_true", help="ask sources again that failed a moment ago")
    parser.add_argument("--accept-license", action="store_true", help="accept the licences of the named models")
    parser.add_argument("--make-room", action="store_true", help="collect idle models when space is short")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _verify(parser: argparse.ArgumentParser) -> None:
    _models(parser)
    parser.add_argument("--all", action="store_true", help="every model that is here")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="files hashed at once (default: cores)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def _gc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--free", type=size, metavar="SIZE", help="stop once this much was freed, for example 60GB")
    parser.add_argument("--idle", type=span, default=0.0, metavar="TIME", help="only models not used for so long (30d)")
    parser.add_argument("--family", metavar="NAME", help="only models of this family")
    parser.add_argument("--partial", action="store_true", help="also unfinished downloads")
    parser.add_argument("--dry-run", action="store_true", help="say what would go, remove nothing")


def _pin(parser: argparse.ArgumentParser) -> None:
    _models(parser, "+")
    parser.add_argument("--reason", default="", help="kept with the pin")


def _unpin(parser: argparse.ArgumentParser) -> None:
    _models(parser, "+")


def _migrate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", nargs="?", metavar="DIR", help="an older models folder (flat, diffusers or hub cache)"
    )
    parser.add_argument("--model", metavar="MODEL", help="which model DIR holds, when its name does not say")
    parser.add_argument("--dry-run", action="store_true", help="say what would move, move nothing")
    parser.add_argument("--rollback", metavar="ID", help="undo the migration of that id")
    parser.add_argument("--keep", action="store_true", help="link instead of move: the old folder stays usable")


def _validate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", nargs="?", metavar="FILE", help="default: WAN_MODELS_MANIFEST or the built-in one")


def _sign(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--manifest", action="store_true", help="sign the manifest WAN_MODELS_MANIFEST names")
    what.add_argument("--model", metavar="MODEL", help="sign a published model's files")
    parser.add_argument("--private-key", required=True, metavar="PEM", help="an elliptic-curve key (P-256 and others)")
    parser.add_argument("--output", metavar="FILE", help="where the bundle goes (default: beside what is signed)")


def _smoke(parser: argparse.ArgumentParser) -> None:
    _models(parser, "+")
    parser.add_argument("--steps", type=int, default=1, choices=(1, 2), help="denoise steps")
    parser.add_argument("--engine", metavar="MODULE:CLASS", help="default: the lane's engine of the model's family")
    parser.add_argument("--check-only", action="store_true", help="components and memory estimate, no generation")


_Add = Callable[[argparse.ArgumentParser], None]
_COMMANDS: dict[str, tuple[str, _Add]] = {
    "status": ("what is on this node, without touching anything", _status),
    "ensure": ("get models: whole, verified, once", _ensure),
    "verify": ("hash every byte again", _verify),
    "gc": ("make room: remove models that are idle, not pinned and not in use", _gc),
    "pin": ("keep models whatever gc thinks", _pin),
    "unpin": ("let gc decide again", _unpin),
    "migrate": ("take over models from an older folder layout", _migrate),
    "validate": ("check a manifest and list every problem", _validate),
    "sign": ("sign a manifest or a model in the OpenSSF model-signing format", _sign),
    "smoke": ("check components and run one or two denoise steps at 128x128", _smoke),
}
