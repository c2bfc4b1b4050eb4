"""An application that sends its table to the tools that are named: `python program.py topcat`."""

import sys

from asyncsamp.sync import Client


def main(names: list[str]) -> None:
    with Client("my application") as client:
        for name in names:
            tool = client.find(name, timeout=10)
            answer = client.call(tool, "table.load.votable", {"url": "file:///stars.vot"})
            print(tool.name, "has", answer.result.get("rows"), "rows")


if __name__ == "__main__":
    main(sys.argv[1:])
