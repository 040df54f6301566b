"""The live scenarios of tools/wpan-lab: live.py PANGATE DIRECTORY "SCENARIO...". Runs inside the user-mode kernel: the
gateway on wpan0, every node in a name space of its own with nothing but a kernel lowpan interface."""

import asyncio
import sys
import traceback
from pathlib import Path

import home
import live_scenarios
from live_network import Network


async def main(pangate, directory, names):
    network = Network(pangate, Path(directory))
    await network.start()
    for name in names:
        print(f"== {name}", flush=True)
        await getattr(live_scenarios, name)(network)
    await network.stop()
    print(f"all of {len(names)} scenarios passed with {len(home.NODES)} nodes", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3].split()))
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        sys.exit(1)
