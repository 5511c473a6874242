"""What the machine is."""

import hashlib
import platform
from pathlib import Path


def processor() -> str:
    """Model and instructions of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in reversed(lines))
    }
    model = facts.get("model name", platform.machine())
    flags = " ".join(sorted((facts.get("flags") or facts.get("Features") or "").split()))
    return f"{model} {hashlib.sha256(flags.encode()).hexdigest()[:8]}"
