"""Plans for clusters of unlike devices, run: what each planner promises beside what its plan reaches.

    /usr/bin/python3 tests/program/mixed_clusters.py build/src/llmpq --data data [--only NAME] [--repeats 2]

Every rank is a CPU that is emulated by a profile (--emulate profile=). Prints a Markdown table and a summary.
A run that other work on the machine disturbed is slower than the emulated devices: the fastest of --repeats runs
counts. Two cores suffice: the devices are so slow that computing for them takes a small part.
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

MIXES = ["separated", "interleaved", "mixed"]
# How long a layer takes in a format, as a multiple of bf16: decode reads weights, prefill computes.
DECODE_FACTOR = {"bf16": 1.0, "w8": 0.6, "w4": 0.4, "w3": 0.35}
PREFILL_FACTOR = {"bf16": 1.0, "w8": 1.05, "w4": 1.15, "w3": 1.25}


@dataclass
class Model:
    shape: dict  # of write_model(); empty: the bundled model
    decode_s: float  # a decode step of one layer in bf16 on a device of speed 1
    row_s: float  # a prefill row of one layer on a device of speed 1
    key_s: float = 0.0  # what a decode row of one layer takes for each key it looks at, on a device of speed 1


TINY = Model({}, 20e-3, 0.4e-3)
SLOW = Model({}, 60e-3, 1.2e-3)  # for devices that are many times as fast as these
LONG = Model({}, 0.8e-3, 0.16e-3, 4e-6)  # what a decode row costs are its keys
M100 = Model({"hidden": 768, "layers": 12, "heads": 12, "kv_heads": 4, "ffn": 2048, "vocab": 32000}, 30e-3, 1.5e-3)


@dataclass
class Cluster:
    name: str
    model: Model
    devices: list  # (prefill speed, decode speed) or (prefill speed, decode speed, memory)
    prompts: tuple = (24, 40, 160)  # how many, shortest, longest
    output: int = 24
    flags: list = field(default_factory=lambda: ["--format", "w4"])
    mixes: bool = False  # each mix's best plan instead of each planner's


CLUSTERS = [
    Cluster("two alike", TINY, [(1, 1), (1, 1)]),
    Cluster("2 : 1", TINY, [(2, 2), (1, 1)]),
    Cluster("V100 + P100", SLOW, [(14.53, 7.29), (1, 1)]),
    Cluster("4 : 2 : 1", TINY, [(4, 4), (2, 2), (1, 1)]),
    Cluster("2 V100 + 2 P100", SLOW, [(14.53, 7.29), (14.53, 7.29), (1, 1), (1, 1)]),
    Cluster("fast prefill, fast decode, both slow", TINY, [(3, 1), (1, 3), (1, 1)]),
    Cluster("complementary pair", TINY, [(1, 4.6), (2.5, 1)]),
    Cluster("100 M, 2 : 1", M100, [(2, 2), (1, 1)], (16, 40, 100), 12),
    Cluster("100 M, complementary pair", M100, [(1, 4.6), (2.5, 1)], (16, 40, 100), 12),
    Cluster("100 M, 2 : 2 : 1 : 1, little memory", M100, [(2, 2, "100MiB"), (2, 2, "70MiB"), (1, 1, "70MiB"),
                                                          (1, 1, "100MiB")], (16, 40, 100), 12, []),
    Cluster("pair: long contexts", LONG, [(1, 4.6), (2.5, 1)], (96, 300, 400), 32,
            ["--format", "w4", "--kv-blocks", "800"], mixes=True),
    Cluster("pair: few rows", TINY, [(1, 4.6), (2.5, 1)], (4, 100, 300), 24, mixes=True),
]


def planners(program):
    """What --strategy of generate offers, but for manual, which plans nothing."""
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
    formats = sorted({name for stage in stages for name in stage["formats"]})
    return (f"{cut}; {'/'.join(formats)}; {plan['mix']}, chunks {plan['prefill_tokens']}, "
            f"{plan['lanes']} x {plan['decode_batch']}")


def run_case(program, cluster, folder, data, choice, repeats):
    """The plan in words, promised and measured output tokens/s; None if the planner finds no plan."""
    flags = ["generate", "--prompts", f"{folder}/prompts.h5", "--output", f"{folder}/out.h5", "--overwrite",
             "--backend", "cpu", "--threads", "1", "--max-tokens", str(cluster.output), "--ignore-eos", "--json",
             "--max-model-len", "512", "--log-level", "warning", "--model",
             f"{folder}/model" if cluster.model.shape else f"{data}/tiny"]
    if cluster.model.shape:
        flags += ["--load-format", "dummy"]
    for rank, device in enumerate(cluster.devices):
        memory = f",memory={device[2]}" if len(device) > 2 else ""
        flags += ["--emulate", f"profile={folder}/device-{rank}.json{memory}"]
    flags += cluster.flags
    planned = ["--mix", choice] if cluster.mixes else ["--strategy", choice]
    best, overran = None, []
    for repeat in range(repeats):
        how = [*planned, "--save-plan", f"{folder}/plan.json"] if repeat == 0 else ["--plan", f"{folder}/plan.json"]
        run = Run(program, len(cluster.devices), flags + how)
        if run.code != 0:
            error = next((line for line in run.err.splitlines() if line.startswith("llmpq: error")), run.err[-300:])
            print(f"{cluster.name}, {choice}: exit code {run.code}: {error}", file=sys.stderr)
            break
        overran.append(max(run.overran(), default=0.0))
        measured = run.report["output_tokens_per_s"]
        promised = run.report.get("promised_output_tokens_per_s") or best and best[1]
        if best is None or measured > best[2]:
            best = (best[0] if best else "", promised, measured)
        if repeat == 0:
            with open(f"{folder}/plan.json") as file:
                best = (describe(json.load(file)), promised, measured)
    if best:
        print(f"{cluster.name}, {choice}: {best}, too slow in {min(overran)} % of the steps", file=sys.stderr)
    return best


def run_cluster(program, cluster, data, repeats):
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        vocab = cluster.model.shape.get("vocab", 2048)
        if cluster.model.shape:
            write_model(f"{folder}/model", **cluster.model.shape)
        write_prompts(f"{folder}/prompts.h5", *cluster.prompts, vocab)
        for rank, device in enumerate(cluster.devices):
            write_device(f"{folder}/device-{rank}.json", cluster.model, device)
        for choice in MIXES if cluster.mixes else planners(program):
            if result := run_case(program, cluster, folder, data, choice, repeats):
                rows[choice] = result
                plan, promised, measured = result
                error = f"{100 * (promised / measured - 1):+.1f} %" if promised else ""
                print(f"| {cluster.name} | {choice} | {plan} | {promised or 0:.1f} | {measured:.1f} | {error} |",
                      flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--data", required=True, help="the folder that has tiny/")
    parser.add_argument("--only", default="", help="clusters whose names contain this")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    print(f"{datetime.date.today()}, {machine()}, `{' '.join(sys.argv)}`\n")
    print("| cluster | planner | plan | promised tokens/s | measured | error |\n|---|---|---|---|---|---|")
    errors, gains = [], []
    for cluster in CLUSTERS:
        if arguments.only not in cluster.name:
            continue
        rows = run_cluster(arguments.program, cluster, arguments.data, arguments.repeats)
        errors += [abs(promised / measured - 1) for _, promised, measured in rows.values() if promised]
        if not cluster.mixes and "joint" in rows and len(rows) > 1:
            others = {name: row[2] for name, row in rows.items() if name != "joint"}
            best = max(others, key=others.get)
            gains.append((cluster.name, rows["joint"][2] / others[best], best,
                          rows["joint"][2] / others["uniform"] if "uniform" in others else None))
    print()
    if errors:
        print(f"Error of the promise: median {100 * statistics.median(errors):.1f} %, worst {100 * max(errors):.1f} %.")
    for name, gain, best, uniform in gains:
        text = f", {uniform:.2f} times uniform's" if uniform else ""
        print(f"{name}: joint's plan is {gain:.2f} times as fast as the best other ({best}){text}.")


if __name__ == "__main__":
    main()
