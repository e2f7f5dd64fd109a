"""Open the workbench in a browser: `python app.py`. Flags to workbench and server; nothing else happens here."""

import argparse
import os
import sys
import threading
import webbrowser
from contextlib import suppress
from pathlib import Path

try:
    from workbench import __version__
    from workbench.errors import ConfigError, KnobError
    from workbench.imports import import_engine, quick_imports
    from workbench.run.config import RunConfig
    from workbench.run.knobs import KnobBoard
    from workbench.run.presets import get_preset
    from workbench.run.runner import Engine
    from workbench.run.store import open_run
    from workbench.run.tapes import open_tape
    from workbench.run.workbench import Workbench
except ModuleNotFoundError as missing:
    sys.exit(
        f"app.py: {missing.name} is not installed for this Python: `make app` installs everything and starts the app"
    )


_OF_THE_TERMINAL = {"www-browser", "w3m", "lynx", "links", "elinks"}


def open_engine(config: RunConfig, board: KnobBoard, adapter_folder: Path | None) -> Engine:
    """Return the engine's iterator; torch is imported on the thread that drives it, so that the page need not wait."""
    import_engine()
    from workbench.engine.trainer import train  # noqa: PLC0415

    yield from train(config, board, adapter_folder=adapter_folder, records_beside=True)


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="See GRPO happen, and steer it, in a local web page.")
    parser.add_argument(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 is all of IPv4, :: all of IPv6 (default: this machine only)",
    )
    parser.add_argument(
        "--port", type=_port, default=7860, help="port to listen on; 0 takes any free one (default: 7860)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")
    parser.add_argument("--preset", default="addition", help="what the train button starts (default: addition)")
    parser.add_argument("--run", type=Path, metavar="DIR", help="show the recorded run in this folder")
    parser.add_argument(
        "--runs-folder", type=Path, default=Path("runs"), help="where runs are recorded (default: runs)"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    options = parse_arguments(arguments)
    try:
        get_preset(options.preset)
        shown = open_tape() if options.run is None else open_run(options.run)
    except (ConfigError, KnobError) as error:
        return _refuse(error)
    workbench = Workbench(shown, open_engine, runs_folder=options.runs_folder, preset=options.preset)

    with quick_imports():
        from workbench.web.server import create_app, serve  # noqa: PLC0415 - half a second that errors do not need
    app = create_app(workbench, __version__, hosts=(options.host,))
    try:
        serve(app, options.host, options.port, lambda address: _announce(address, not options.no_browser))
    except ConfigError as error:
        return _refuse(error)
    if not workbench.close(timeout_s=0):
        os._exit(0)  # the training thread imports, or is within one long operation; what is recorded is whole
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: it must be a whole number in [0, 65535]")
    return int(text)


def _host(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty name is no address: 127.0.0.1 is this machine only")
    return text


def _refuse(error: Exception) -> int:
    print(f"app.py: {error}", file=sys.stderr)
    return 2


def _announce(address: str, opens_browser: bool) -> None:
    print(f"GRPO workbench: {address}", flush=True)
    later = threading.Timer(4.5, import_engine)  # the first page is served first, then the slow imports begin
    later.daemon = True  # who ends the program does not wait for them
    later.start()
    if opens_browser:
        _open_browser(address)


def _open_browser(address: str) -> None:
    """Open a window on the page, if there is a browser that has windows: one of the terminal would take it over."""
    with suppress(webbrowser.Error):
        browser = webbrowser.get()
        if Path(getattr(browser, "name", "")).name not in _OF_THE_TERMINAL:
            threading.Thread(target=browser.open, args=(address,), daemon=True).start()


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # before the server is there to be ended
        sys.exit(130)
