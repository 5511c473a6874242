"""Entry point of the `siamla` command."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from siamla import __version__
from siamla.cli import warm
from siamla.cli.guard import explain, in_hand
from siamla.errors import UserError, install
from siamla.stopping import follow_pipeline

MODULES = "init plan data train model benchmark results steps track report mlflow"
"""Those of this folder that have commands."""
SYSTEM_LIBRARIES = "libgl1 libglib2.0-0 libxcb1 libx11-6"


def mend_streams() -> None:
    """Let no stream that is closed, or that has no other letters than ASCII's, end a command."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command, here or where it starts warm; the exit status, as `run` gives it."""
    mend_streams()
    status = warm.ask(sys.argv[1:]) if argv is None else None
    return run(argv) if status is None else status


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command that was given."""
    from siamla.cli.options import Commands, Parser

    parser = Parser(prog="siamla", description="SiamLA: train, track, benchmark, report.")
    parser.add_argument("--version", action="version", version=f"siamla {__version__}")
    commands = Commands(parser)
    for module in MODULES.split():
        import_module(f"siamla.cli.{module}").register(commands)
    return parser.parse_args(argv)


def _failed(line: object, status: int = 2) -> int:
    print(f"siamla: error: {line}", file=sys.stderr)
    return status


def run(argv: Sequence[str] | None = None) -> int:
    """Carry out one command; the exit status (0 done, 1 failed, 2 bad input, 130 interrupted)."""
    try:
        args = parse(argv)
        follow_pipeline()
        args.run(args)
        sys.stdout.flush()
    except UserError as error:
        return _failed(error)
    except ModuleNotFoundError as error:
        if (error.name or "siamla").partition(".")[0] == "siamla":
            raise
        return _failed(f"{error.name} is not installed; {install('pipeline')}")
    except ImportError as error:
        if "cannot open shared object file" not in str(error):
            raise
        missing = f"OpenCV cannot load its system libraries ({error}); on Debian or Ubuntu"
        return _failed(f"{missing}: apt-get install {SYSTEM_LIBRARIES}", 1)
    except BrokenPipeError:  # `siamla … | head`: nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("siamla: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except Exception as error:
        if line := explain(error):
            return _failed(line)
        if file := in_hand(error):
            error.add_note(f"siamla was working on {file}")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
