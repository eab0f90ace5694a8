"""Checks a plan file against its problem file: every rule, and every number that the plan claims.

plan_check.py PROBLEM.json PLAN.json [--tolerance 1e-9]     exit 0: all is as the plan says; 1: a sentence says what is not

Written against the formats alone, without a look at src/plan, so that both can be held against each other:
  p, d             seconds of a stage for one chunk and one decode step: its layers, embedding on the first, head on the last
  TP, TD; SP, SD   largest and sum over stages (links: in the largest; in the sums where links.in_sum)
  separated        time = prefill_sum SP + decode_sum SD + prefill_max TP + decode_max TD + rounds max(in_flight TD, SD)
  interleaved      time = prefill_sum SP + decode_sum SD + max(largest load of a stage or link,
  and mixed               chunk_rounds SP + (rounds - chunk_rounds) SD), load = prefill_max p + (decode_max + rounds in_flight) d
  objective        time + theta x sum of omega
"""
import argparse
import json
import sys


class Broken(Exception):
    """A rule that the plan breaks, or a number that is not what it claims."""


def check(condition, sentence):
    if not condition:
        raise Broken(sentence)


class Judge:
    """Recomputes one plan of a problem."""

    def __init__(self, problem, row):
        check(0 <= row < len(problem["batchings"]), f"there is no batching {row}")
        self.problem, self.row = problem, problem["batchings"][row]
        self.group_of = {rank: i for i, group in enumerate(problem["groups"]) for rank in group["ranks"]}

    def of_layer(self, table, layer):
        """Tables have an axis of classes only where there is a layer_class."""
        classes = self.problem.get("layer_class")
        return table if classes is None else table[classes[layer]]

    def stage(self, index, rank, begin, end, formats):
        """(prefill seconds, decode seconds, bytes) of a stage."""
        problem, row = self.problem, self.row
        check(rank in self.group_of, f"stage {index}: the problem has no rank {rank}")
        check(len(formats) == end - begin, f"stage {index}: {len(formats)} formats for layers [{begin}, {end})")
        group = problem["groups"][self.group_of[rank]]
        kind = problem["kinds"][group["kind"]]
        u, v = row["prefill"], row["decode"]
        prefill = decode = 0.0
        used = row["workspace_bytes"]
        for is_there, name, key in ((begin == 0, "embed", "first_bytes"), (end == problem["layers"], "head", "last_bytes")):
            if is_there:
                prefill += kind[name + "_prefill_s"][u]
                decode += kind[name + "_decode_s"][v]
                used += row[key]
        if begin == 0 and end == problem["layers"]:
            used -= row.get("shared_bytes", 0)
        for layer, name in enumerate(formats, begin):
            check(name in problem["formats"], f"layer {layer}: the problem has no format {name}")
            f = problem["formats"].index(name)
            chunk_s, step_s = self.of_layer(kind["prefill_s"], layer)[f][u], self.of_layer(kind["decode_s"], layer)[f][v]
            check(chunk_s is not None and step_s is not None, f"layer {layer}: {kind['name']} has no kernel for {name}")
            prefill, decode = prefill + chunk_s, decode + step_s
            used += self.of_layer(problem["layer_bytes"], layer)[f] + self.of_layer(row["kv_bytes_per_layer"], layer)
        check(used <= group["memory_bytes"], f"stage {index}: {used:.0f} bytes on rank {rank}, which has {group['memory_bytes']:.0f}")
        return prefill, decode, used

    def link(self, before, after):
        """(prefill seconds, decode seconds) of the link between two ranks."""
        links, problem = self.problem["links"], self.problem
        a, b = self.group_of[before], self.group_of[after]
        per_row = links["s_per_byte"][a][b] * links["activation_bytes_per_token"]
        rows = problem["prefill_tokens"][self.row["prefill"]], problem["decode_sequences"][self.row["decode"]]
        return tuple(links["latency_s"][a][b] + per_row * count for count in rows)

    def time(self, stages, links):
        row = self.row
        every = [(p, d) for p, d, _ in stages] + links
        summed = every if self.problem["links"]["in_sum"] else every[:len(stages)]
        sums_p, sums_d = sum(p for p, _ in summed), sum(d for _, d in summed)
        time = row["prefill_sum"] * sums_p + row["decode_sum"] * sums_d
        if row.get("mix", "separated") == "separated":
            slowest_p, slowest_d = max(p for p, _ in every), max(d for _, d in every)
            return (time + row["prefill_max"] * slowest_p + row["decode_max"] * slowest_d
                    + row["rounds"] * max(row["in_flight"] * slowest_d, sums_d))
        steps, queued = row["decode_max"] + row["rounds"] * row["in_flight"], row.get("chunk_rounds", 0)
        load = max(row["prefill_max"] * p + steps * d for p, d in every)
        return time + max(load, queued * sums_p + (row["rounds"] - queued) * sums_d)


def check_order(problem, listed):
    ranks = [stage["ranks"][0] for stage in listed]
    check(len(set(ranks)) == len(ranks), "a rank has two stages")
    if problem.get("order"):
        check(set(ranks) <= set(problem["order"]), "a rank is not in the fixed order")
        places = [problem["order"].index(rank) for rank in ranks]
        check(places == sorted(places), "the ranks are not in the fixed order")


def judge(problem, plan):
    """The recomputed numbers of a plan that keeps all rules."""
    check(len(plan["pipelines"]) == 1, "want one pipeline")
    listed = plan["pipelines"][0]["stages"]
    check(all(len(stage["ranks"]) == 1 for stage in listed), "want one rank for each stage")
    it, at, stages, omega = Judge(problem, plan["batching"]), 0, [], 0.0
    for index, stage in enumerate(listed):
        begin, end = stage["layers"]
        check(begin == at and end > begin, f"stage {index}: layers [{begin}, {end}) after layer {at}")
        at = end
        stages.append(it.stage(index, stage["ranks"][0], begin, end, stage["formats"]))
        omega += sum(problem["omega"][layer][problem["formats"].index(name)] for layer, name in enumerate(stage["formats"], begin))
    check(at == problem["layers"], f"layers end at {at} of {problem['layers']}")
    check_order(problem, listed)
    bound = problem.get("max_omega")
    check(bound is None or omega <= bound * (1 + 1e-12), f"omega is {omega}, at most {bound} is allowed")
    links = [it.link(a["ranks"][0], b["ranks"][0]) for a, b in zip(listed, listed[1:])]
    time = it.time(stages, links)
    return {"time_s": time, "omega": omega, "objective": time + problem["theta"] * omega, "stages": stages}


def compare(plan, found, tolerance):
    def same(name, claimed, recomputed):
        check(abs(claimed - recomputed) <= tolerance * max(1.0, abs(recomputed)), f"{name}: the plan says {claimed!r}, it is {recomputed!r}")

    for name in ("time_s", "omega", "objective"):
        same(name, plan[name], found[name])
    for index, (stage, numbers) in enumerate(zip(plan["pipelines"][0]["stages"], found["stages"])):
        for name, number in zip(("prefill_s", "decode_s", "bytes"), numbers):
            same(f"stage {index}: {name}", stage[name], number)
    if plan.get("lower_bound") is not None:
        check(plan["lower_bound"] <= found["objective"] * (1 + 1e-9), "the lower bound is above the plan's own objective")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problem")
    parser.add_argument("plan")
    parser.add_argument("--tolerance", type=float, default=1e-9)
    arguments = parser.parse_args()
    with open(arguments.problem) as problem_file, open(arguments.plan) as plan_file:
        problem, plan = json.load(problem_file), json.load(plan_file)
    try:
        found = judge(problem, plan)
        compare(plan, found, arguments.tolerance)
    except Broken as why:
        print(f"{arguments.plan}: {why}")
        return 1
    print(f"{arguments.plan}: time {found['time_s']:.6g} s, omega {found['omega']:.6g}, objective {found['objective']:.6g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
