"""`init`: writes a pack to start from."""

import re
from pathlib import Path
from typing import Annotated, Final

import typer

from taskrunner_cli.commands.options import OutputOption
from taskrunner_cli.errors import UsageError
from taskrunner_cli.output.formatting import text
from taskrunner_cli.output.forms import OutputFormat
from taskrunner_cli.output.screen import Screen

_STARTER: Final = Path(__file__).parents[1] / "starter.yaml"
_SCHEMA: Final = _STARTER.with_name("pack.v1.json")
_FILE_NAME: Final = "pack.yaml"
_SUFFIXES: Final = frozenset({".yaml", ".yml"})
_DEFAULT_NAME: Final = "my-pack"
_MAX_NAME: Final = 63


def init(
    path: Annotated[
        Path,
        typer.Argument(metavar="[DIR|FILE]", help="A folder for pack.yaml, or a file in .yaml."),
    ] = Path(),
    *,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Write a pack to start from, with comments; a file that exists is never overwritten.

    Beside it is pack.v1.json, by which an editor checks and explains it.
    """
    file = path if path.suffix in _SUFFIXES else path / _FILE_NAME
    name = _pack_name(file)
    manifest = _STARTER.read_text(encoding="utf-8").replace("PACK_NAME", name)
    _write_new(file, manifest.replace("FILE", str(file)))
    schema = file.with_name(_SCHEMA.name)
    if not schema.exists():
        _write_new(schema, _SCHEMA.read_text(encoding="utf-8"))
    screen = Screen(output)
    if screen.is_json:
        screen.print_document({"path": str(file), "pack": {"name": name, "version": "0.1.0"}})
        return
    screen.print_text(text(f"wrote {file}"))
    screen.print_commands(
        *(text(f"taskrunner {command} {file}", "cyan") for command in ("lint", "plan", "run"))
    )


def _pack_name(file: Path) -> str:
    """Return a name for the pack: that of the file, or of its folder if the file is pack.yaml."""
    stem = file.resolve().parent.name if file.stem == Path(_FILE_NAME).stem else file.stem
    return re.sub(r"[^a-z0-9]+", "-", stem.lower())[:_MAX_NAME].strip("-") or _DEFAULT_NAME


def _write_new(file: Path, manifest: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(manifest)
    except FileExistsError as error:
        raise UsageError(
            f"{file} exists, and init overwrites nothing", cure="choose another name, or remove it"
        ) from error
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise UsageError(f"{str(file)!r} cannot be the name of a file") from error
