"""Times `llmpq plan --problem` on every problem file of some folders (make_problems.py) and prints a row for each folder.

time_problems.py LLMPQ FOLDER [FOLDER ...] [--gap 0.005] [--limit 5] [--only PREFIX] [--each]
"""
import argparse
import glob
import json
import os
import statistics
import subprocess


def solve(arguments, path):
    """(seconds, gap) of one file."""
    run = subprocess.run([arguments.llmpq, "plan", "--problem", path, "--json", "--optimality-gap", str(arguments.gap),
                          "--plan-time-limit", str(arguments.limit)], capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{path}: {run.stderr}")
    plan = json.loads(run.stdout)
    gap = 1 - plan["lower_bound"] / plan["objective"]
    if arguments.each:
        print(f"  {os.path.basename(path):20} {1e3 * plan['solve_s']:8.1f} ms, gap {gap:.3%}, objective {plan['objective']:.6g}")
    return plan["solve_s"], gap


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llmpq")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--gap", type=float, default=0.005)
    parser.add_argument("--limit", type=float, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--each", action="store_true")
    arguments = parser.parse_args()
    print("| folder | files | median ms | worst ms | still open | worst gap |\n|---|---|---|---|---|---|")
    for folder in arguments.folders:
        found = [solve(arguments, path) for path in sorted(glob.glob(os.path.join(folder, arguments.only + "*.json")))]
        times, gaps = [1e3 * seconds for seconds, _ in found], [gap for _, gap in found]
        is_open = sum(gap > arguments.gap + 1e-6 for gap in gaps)
        print(f"| {os.path.basename(folder)} | {len(found)} | {statistics.median(times):.0f} | {max(times):.0f} | {is_open} | {max(gaps):.2%} |")


if __name__ == "__main__":
    main()
