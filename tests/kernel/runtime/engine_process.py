"""An engine of its own, to be killed: makes one container as it is told and waits for its death.

python engine_process.py LAUNCH.json    prints the pid of conmon when the container runs (or only waits)
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from sealane.runtime.conmon import Monitor
from sealane.runtime.launch import Launch
from sealane.runtime.oci import OciRuntime


async def main(told: dict[str, str]) -> None:
    run_dir = Path(told["run_dir"])
    runtime = OciRuntime(Path(told["runtime"]), told["runtime_name"], "", "", run_dir / "oci")
    monitor = Monitor(runtime, run_dir)
    config = json.loads(told["config"])
    created = await monitor.create(Launch(id=told["id"], config=config, stdin=True, log_path=Path(told["log"])))
    if told["start"]:
        await monitor.start(told["id"])
    print(created.conmon_pid, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
