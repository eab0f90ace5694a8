"""Plans for clusters of unlike devices, run: what each strategy promises beside what its plan reaches.

    /usr/bin/python3 tests/program/mixed_clusters.py build/src/llmpq --data data [--only NAME] [--clock slowdown]

Every rank is a CPU that is emulated: by a made-up profile (--emulate profile=, the default), which says what a step
takes, or by slowing down what it computed (--emulate prefill=,decode=), which the profiler has to measure first.
Prints a Markdown table and a summary. A step whose computing takes longer than the device would have (other work on
the machine) is late. A run with more than a few of them says nothing about the promise and does not count; of those
that do, the fastest of --repeats is taken, for what else disturbs a run only makes it longer. After --attempts runs of
which none counts the row is marked.
Two cores suffice: the devices are so slow that computing for them takes a small part.
"""
import argparse
import datetime
import json
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field

from emulated_job import Run, machine, write_model, write_profile, write_prompts

MIXES = ["auto", "separated", "interleaved", "mixed"]
# How long a layer takes in a format, as a multiple of bf16: decode reads weights, prefill computes.
DECODE_FACTOR = {"bf16": 1.0, "w8": 0.6, "w4": 0.4, "w3": 0.35}
PREFILL_FACTOR = {"bf16": 1.0, "w8": 1.05, "w4": 1.15, "w3": 1.25}
BITS = {"bf16": 16, "w8": 8, "w4": 4, "w3": 3}
MOST_LATE = 0.5  # % of the steps of a run that counts
SLOWDOWN = 100  # of a device of speed 1, with --clock slowdown


@dataclass
class Model:
    shape: dict  # of write_model(); empty: the bundled model
    decode_s: float  # a decode step of one layer in bf16 on a device of speed 1
    row_s: float  # a prefill row of one layer on a device of speed 1
    key_s: float = 0.0  # what a decode row of one layer takes for each key it looks at, on a device of speed 1


TINY = Model({}, 20e-3, 0.4e-3)
SLOW = Model({}, 60e-3, 1.2e-3)  # for devices that are many times as fast as these
LONG = Model({}, 0.4e-3, 0.16e-3, 10e-6)  # what a decode row costs are its keys
M100 = Model({"hidden": 768, "layers": 12, "heads": 12, "kv_heads": 4, "ffn": 2048, "vocab": 32000}, 30e-3, 1.5e-3)
PAIR = [(1, 4.6), (2.5, 1)]


@dataclass
class Cluster:
    name: str
    model: Model
    devices: list  # (prefill speed, decode speed) or (prefill speed, decode speed, memory)
    prompts: tuple = (24, 40, 160)  # how many, shortest, longest
    output: int = 24
    quality: list = field(default_factory=lambda: ["--format", "w4"])  # the same for all strategies
    mixes: bool = False  # joint's best plan of each mix instead of each strategy's plan


SIX_BITS = ["--average-bits", "6"]
CLUSTERS = [
    Cluster("two alike", TINY, [(1, 1), (1, 1)]),
    Cluster("2 : 1", TINY, [(2, 2), (1, 1)]),
    Cluster("2 : 1, 6 bits", TINY, [(2, 2), (1, 1)], quality=SIX_BITS),
    Cluster("V100 + P100", SLOW, [(14.53, 7.29), (1, 1)]),
    Cluster("4 : 2 : 1", TINY, [(4, 4), (2, 2), (1, 1)]),
    Cluster("4 : 2 : 1, 6 bits", TINY, [(4, 4), (2, 2), (1, 1)], quality=SIX_BITS),
    Cluster("2 V100 + 2 P100", SLOW, [(14.53, 7.29), (14.53, 7.29), (1, 1), (1, 1)]),
    Cluster("fast prefill, fast decode, both slow", TINY, [(3, 1), (1, 3), (1, 1)]),
    Cluster("complementary pair", TINY, PAIR),
    Cluster("100 M, 2 : 1", M100, [(2, 2), (1, 1)], (16, 40, 100), 12),
    Cluster("100 M, complementary pair", M100, PAIR, (16, 40, 100), 12),
    Cluster("100 M, 2 : 2 : 1 : 1, little memory", M100, [(2, 2, "100MiB"), (2, 2, "70MiB"), (1, 1, "70MiB"),
                                                          (1, 1, "100MiB")], (16, 40, 100), 12, []),
    Cluster("pair: keys decide", LONG, PAIR, (192, 100, 160), 16, mixes=True),
    Cluster("pair: few rows", TINY, PAIR, (4, 100, 300), 24, mixes=True),
]


def strategies(program):
    """What --strategy of generate offers, but for manual, which plans nothing, and all, which runs nothing."""
    text = subprocess.run([program, "generate", "--help"], capture_output=True, text=True).stdout
    names = re.search(r"--strategy (\S+)", text)[1].split("|")
    return [name for name in names if name not in ("manual", "all")]


def write_device(path, model, device):
    prefill, decode = device[:2]
    decode_s, row_s = model.decode_s / decode, model.row_s / prefill
    layer = {name: [(1, decode_s * factor), (65, 2 * decode_s * factor)] for name, factor in DECODE_FACTOR.items()}
    chunk = {name: [(1, decode_s * DECODE_FACTOR[name] + row_s * factor),
                    (257, decode_s * DECODE_FACTOR[name] + 257 * row_s * factor)]
             for name, factor in PREFILL_FACTOR.items()}
    head = {name: [(1, 0.5 * decode_s), (65, decode_s)] for name in ("bf16", "w8")}
    return write_profile(path, f"prefill {prefill:g}, decode {decode:g}", layer, head, 1e-4, 0.0,
                         model.key_s / decode, chunk)


def describe(plan):
    stages = plan["pipelines"][0]["stages"]
    cut = " ".join(f"{stage['ranks'][0]}:{stage['layers'][1] - stage['layers'][0]}" for stage in stages)
    formats = [name for stage in stages for name in stage["formats"]]
    bits = statistics.mean(BITS[name] for name in formats)
    quality = formats[0] if len(set(formats)) == 1 else f"{bits:.1f} bits"
    return f"{cut}; {quality}; {plan['mix']}, chunks {plan['prefill_tokens']}, {plan['lanes']} x {plan['decode_batch']}"


class Case:
    """The jobs of a cluster, in a folder that has its model, prompts and devices."""

    def __init__(self, arguments, cluster, folder):
        self.arguments, self.cluster, self.folder = arguments, cluster, folder
        shape = cluster.model.shape
        if shape:
            write_model(f"{folder}/model", **shape)
        write_prompts(f"{folder}/prompts.h5", *cluster.prompts, shape.get("vocab", 2048))
        self.flags = ["generate", "--prompts", f"{folder}/prompts.h5", "--output", f"{folder}/out.h5", "--overwrite",
                      "--backend", "cpu", "--threads", "1", "--max-tokens", str(cluster.output), "--ignore-eos",
                      "--json", "--max-model-len", "512", "--log-level", "warning",
                      "--profile-cache", f"{folder}/cache", "--profile-seconds", "5",
                      "--model", f"{folder}/model" if shape else f"{arguments.data}/tiny"]
        if shape:
            self.flags += ["--load-format", "dummy"]
        for rank, device in enumerate(cluster.devices):
            memory = f",memory={device[2]}" if len(device) > 2 else ""
            self.flags += ["--emulate", self.clock(rank, device) + memory]

    def clock(self, rank, device):
        if self.arguments.clock == "slowdown":
            return f"prefill={SLOWDOWN / device[0]:.4g},decode={SLOWDOWN / device[1]:.4g}"
        return f"profile={write_device(f'{self.folder}/device-{rank}.json', self.cluster.model, device)}"

    def run(self, how):
        run = Run(self.arguments.program, len(self.cluster.devices), self.flags + how)
        if run.code != 0:
            error = next((line for line in run.err.splitlines() if line.startswith("llmpq: error")), run.err[-300:])
            print(f"{self.cluster.name}, {how}: exit code {run.code}: {error}", file=sys.stderr)
            return None
        return run

    def measure(self, planned):
        """(the plan in words, promised and measured output tokens/s, % of late steps); None: no plan."""
        plan = f"{self.folder}/plan.json"
        runs, promised = [], None  # (% of late steps, measured)
        while len(runs) < self.arguments.attempts:
            run = self.run(["--plan", plan] if runs else [*self.cluster.quality, *planned, "--save-plan", plan])
            if not run:
                return None
            if not runs:  # later ones have a plan from a file
                promised = run.report["promised_output_tokens_per_s"]
            runs.append((max(run.overran(), default=0.0), run.report["output_tokens_per_s"]))
            print(f"{self.cluster.name}, {planned}: promised {promised:.1f}, measured {runs[-1][1]:.1f}, "
                  f"{runs[-1][0]} % late", file=sys.stderr)
            if sum(late <= MOST_LATE for late, _ in runs) == self.arguments.repeats:
                break
        late, measured = max(runs, key=lambda one: (one[0] <= MOST_LATE, one[1]))
        with open(plan) as file:
            return describe(json.load(file)), promised, measured, late


def run_cluster(arguments, cluster):
    """{strategy or mix: (promised, measured)} of the runs that count; prints the rows of all."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        case = Case(arguments, cluster, folder)
        for choice in MIXES if cluster.mixes else strategies(arguments.program):
            result = case.measure(["--mix", choice] if cluster.mixes else ["--strategy", choice])
            if not result:
                print(f"| {cluster.name} | {choice} | none | | | | |", flush=True)
                continue
            plan, promised, measured, late = result
            counts = late <= MOST_LATE
            if counts:
                rows[choice] = (promised, measured)
            print(f"| {cluster.name} | {choice}{'' if counts else ' (disturbed)'} | {plan} | {promised:.1f} | "
                  f"{measured:.1f} | {100 * (promised / measured - 1):+.1f} % | {late:g} % |", flush=True)
    return rows


def summary(name, rows):
    """What joint's plan brings, by the runs that count."""
    speeds = {choice: measured for choice, (_, measured) in rows.items()}
    if "separated" in speeds:
        shares = (f"{choice} {speed / speeds['separated']:.2f}" for choice, speed in speeds.items())
        return f"{name}: times as fast as separated: {', '.join(shares)}."
    others = {choice: speed for choice, speed in speeds.items() if choice != "joint"}
    if "joint" not in speeds or not others:
        return f"{name}: no runs to compare."
    best = max(others, key=others.get)
    uniform = f", {speeds['joint'] / speeds['uniform']:.2f} times uniform's" if "uniform" in speeds else ""
    gain = speeds["joint"] / others[best]
    return f"{name}: joint's plan is {gain:.2f} times as fast as the best other ({best}){uniform}."


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--data", required=True, help="the folder that has tiny/")
    parser.add_argument("--only", action="append", choices=[cluster.name for cluster in CLUSTERS], metavar="NAME",
                        help="only the cluster of this name; may be repeated")
    parser.add_argument("--clock", choices=["profile", "slowdown"], default="profile")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--attempts", type=int, default=5)
    arguments = parser.parse_args()
    print(f"{datetime.date.today()}, {machine()}, `{' '.join(sys.argv)}`\n")
    print("| cluster | plan of | plan | promised tokens/s | measured | error | late steps |\n"
          "|---|---|---|---|---|---|---|")
    errors, lines = [], []
    for cluster in CLUSTERS:
        if arguments.only and cluster.name not in arguments.only:
            continue
        rows = run_cluster(arguments, cluster)
        errors += [abs(promised / measured - 1) for promised, measured in rows.values()]
        lines.append(summary(cluster.name, rows))
    if errors:
        print(f"\nError of the promise, {len(errors)} runs: median {100 * statistics.median(errors):.1f} %, "
              f"worst {100 * max(errors):.1f} %.")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
