"""`make bench`: every figure of the README's section on speed, printed as Markdown."""

import argparse
import os
import platform

from benchmarks import page, page_long, recording, scale, start, trl
from benchmarks.browser import ROOT

if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()}\n")
    trl.main()
    scale.main(["--plot", str(ROOT / "docs" / "scale.svg")])
    start.main()
    recording.main()
    page.main()
    page_long.main()
