"""A crowd of people at one app: many clients at once, each of which checks its own answers.

`python tests/load/crowd.py --seconds 300` starts the app, lets a class loose on it, and prints
what they waited, what was wrong, and the app's memory before and after. It ends by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from gradio_client import Client, handle_file  # noqa: E402
from images import photograph  # noqa: E402

from coop_demo.recipes.serving import running_app  # noqa: E402

SET = "biscuits"
MIX = {"predict": 22, "explain": 2, "rank": 2, "teach": 2, "stop": 2}  # thirty people
PHOTO = (1200, 900)  # of what is predicted, in pixels
PATIENCE = 600  # seconds for one answer; nobody waits that long, but nothing hangs for ever
IDLE = 20.0  # seconds of quiet, after which an app has given back the memory it does not need
THINKING = 1.0  # seconds between an answer and the next question, at most


@dataclass
class Report:
    """What a crowd met with. Times are in seconds, memory in MB."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)
    memory_before: float = 0.0
    memory_after: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, kind: str, seconds: float) -> None:
        with self.lock:
            self.seconds[kind].append(seconds)

    def complain(self, sentence: str) -> None:
        with self.lock:
            self.wrong.append(sentence)

    def percentile(self, kind: str, share: float) -> float:
        times = sorted(self.seconds[kind])
        return times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")

    def table(self) -> str:
        rows = [f"{'':10} {'answers':>8} {'median':>8} {'p95':>8} {'longest':>8}"]
        for kind, times in sorted(self.seconds.items()):
            rows.append(
                f"{kind:10} {len(times):8d} {statistics.median(times):8.2f} "
                f"{self.percentile(kind, 0.95):8.2f} {max(times):8.2f}"
            )
        rows.append(f"memory {self.memory_before:.0f} MB before, {self.memory_after:.0f} MB after")
        rows.append(f"{len(self.wrong)} wrong" + "".join(f"\n  {one}" for one in self.wrong[:20]))
        return "\n".join(rows)


class Crowd:
    """Clients of one app, each in a thread with pictures of its own."""

    def __init__(self, address: str, folder: Path, *, steps: int = 250) -> None:
        self.address, self.folder, self.steps = address, folder, steps
        self.report = Report()
        self.ends = 0.0
        self.prompt = ""  # a saved prompt's path
        self.asked: dict[str, dict[str, float]] = {}  # picture -> what the learned prompt said

    def prepare(self) -> float:
        """Teach the prompt that everybody predicts with; seconds of a training alone."""
        client = self._client()
        self._teach(client, 0)
        began = time.monotonic()
        answer, self.prompt = self._teach(client, 1)
        assert answer["status"] == "done", answer
        for number in range(2):  # whatever is loaded with the first question
            self._predict(client, -1 - number)
        return time.monotonic() - began

    def run(self, mix: dict[str, int], seconds: float) -> None:
        """Everybody asks and thinks, in turns, until the time is over."""
        self.ends = time.monotonic() + seconds
        jobs: dict[str, Callable[[Client, int], Any]] = {
            "predict": self._predict,
            "explain": self._explain,
            "rank": self._rank,
            "teach": self._teach,
            "stop": self._stop,
        }
        people = [kind for kind, n in mix.items() for _ in range(n)]
        threads = [
            threading.Thread(target=self._person, args=(number, kind, jobs[kind]), daemon=True)
            for number, kind in enumerate(people)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(seconds + PATIENCE)
            if thread.is_alive():
                self.report.complain("somebody still waits")

    def check(self, n: int = 20) -> None:
        """Ask some questions again, now that it is quiet: the answers are the same."""
        client = self._client()
        for picture in random.Random(0).sample(sorted(self.asked), min(n, len(self.asked))):
            again = client.predict(
                handle_file(self.prompt), handle_file(picture), api_name="/predict"
            )["learned"]
            worst = max(abs(again[name] - share) for name, share in self.asked[picture].items())
            if worst > 1e-3:
                self.report.complain(f"{Path(picture).name}: another answer, by {worst:.3f}")

    def _person(self, number: int, kind: str, job: Callable[[Client, int], Any]) -> None:
        chance = random.Random(number)
        try:
            client = self._client()
            turn = 0
            while time.monotonic() < self.ends:
                time.sleep(chance.random() * THINKING)
                began = time.monotonic()
                job(client, 1000 * number + turn)
                self.report.add(kind, time.monotonic() - began)
                turn += 1
        except Exception as error:
            self.report.complain(f"{kind} of {number}: {error!r}"[:300])

    def _client(self) -> Client:
        timeout = {"timeout": PATIENCE}
        return Client(self.address, verbose=False, ssl_verify=False, httpx_kwargs=timeout)

    def _picture(self, number: int) -> Path:
        path = self.folder / f"{number}.jpg"
        if not path.exists():
            photograph(number + 10, size=PHOTO).save(path, quality=90)
        return path

    def _done(self, answer: dict[str, Any]) -> dict[str, Any]:
        assert answer["status"] == "done", answer
        return answer

    def _predict(self, client: Client, number: int) -> None:
        picture = self._picture(number)
        answer = client.predict(
            handle_file(self.prompt), handle_file(str(picture)), api_name="/predict"
        )
        shares = self._done(answer)["learned"]
        assert abs(sum(shares.values()) - 1) < 1e-3, shares
        self.asked[str(picture)] = shares

    def _explain(self, client: Client, number: int) -> None:
        wanted = ("a dog", "a wall", "a tree")[number % 3]
        answer, _ = client.predict(
            handle_file(str(self._picture(number))), wanted, api_name="/explain"
        )
        assert wanted in json.dumps(self._done(answer)), answer

    def _rank(self, client: Client, number: int) -> None:
        instruction = ("Rank the brightness.", "Rank the number of apples.")[number % 2]
        answer, _ = client.predict(sample="conditions", instruction=instruction, api_name="/rank")
        assert self._done(answer)["instruction"] == instruction
        assert len(answer["order"]) == 24, len(answer["order"])

    def _teach(self, client: Client, number: int) -> tuple[dict[str, Any], str]:
        answer, prompt = client.predict(
            sample=SET, seed=number % 7, steps=self.steps, api_name="/teach"
        )
        assert self._done(answer)["steps"] == self.steps
        return answer, prompt

    def _stop(self, client: Client, number: int) -> None:
        """Begins a long training and leaves it: nobody else's ends by that."""
        job = client.submit(sample=SET, steps=2_000, api_name="/teach")
        until = time.monotonic() + PATIENCE
        while not any(answer[0]["status"] == "running" for answer in job.outputs()):
            assert not job.done(), job.outputs()[-1:]
            assert time.monotonic() < until, "never begun"
            time.sleep(0.2)
        job.cancel()


def memory_of(address: str) -> float:
    """MB in memory of the app that this process started. Linux."""
    port = address.rstrip("/").rsplit(":", 1)[1]
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            if b"app.py" in words and port.encode() in words:
                status = (entry / "status").read_text()
                return int(status.split("VmRSS:")[1].split()[0]) / 1024
        except OSError:
            continue
    return float("nan")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--steps", type=int, default=250, help="of a training")
    parser.add_argument("--address", default="", help="of an app that runs already")
    for kind, n in MIX.items():
        parser.add_argument(f"--{kind}", type=int, default=n, help="people; default %(default)s")
    chosen = parser.parse_args(arguments)
    os.environ["COOP_DEMO_CACHE"] = "off"
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)

        def measure(address: str) -> Report:
            crowd = Crowd(address, folder, steps=chosen.steps)
            alone = crowd.prepare()
            crowd.report.add("alone", alone)
            crowd.report.memory_before = memory_of(address)
            crowd.run({kind: getattr(chosen, kind) for kind in MIX}, chosen.seconds)
            crowd.check()
            time.sleep(IDLE)
            crowd.report.memory_after = memory_of(address)
            return crowd.report

        if chosen.address:
            report = measure(chosen.address)
        else:
            with running_app(folder) as address:
                report = measure(address)
    print(report.table())
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
