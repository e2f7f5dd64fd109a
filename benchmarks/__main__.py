"""`make bench`: every figure of the README's section on speed, printed as Markdown."""

import os
import platform

from benchmarks import page, trl

if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, {platform.processor() or platform.machine()}, Python {platform.python_version()}\n")
    trl.main()
    page.main()
