"""Holds `llmpq plan --problem` against CBC on LLM-PQ's own integer program (llm_pq.py of the original, with both its defects kept out).

cbc_compare.py LLMPQ [--problems 20] [--seed 1]     exit 0: all optima agree to 1e-6; 77: there is no cbc

Random problems of 4 to 12 layers, up to 3 devices in a fixed order and 3 formats; one batching, separated, rounds = 0, as in the
original: minimise sum Tp_j + (mu_p - 1) Tp + sum Td_j + (mu_d - 1)(mu_n - 1) Td + theta sum omega, under memory; layers are
contiguous in the order of the devices, devices may stay empty. Transfers overlap with computing: they bound Tp and Td.
"""
import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile


def make_problem(draw):
    layers, devices, formats = draw.randint(4, 12), draw.randint(1, 3), draw.randint(1, 3)
    bits = sorted(draw.sample([3, 4, 8, 16], formats), reverse=True)
    kinds = [{
        "name": f"kind{j}",
        "prefill_s": [[draw.uniform(0.2, 1)] for _ in bits], "decode_s": [[draw.uniform(0.01, 0.1)] for _ in bits],
        "embed_prefill_s": [draw.uniform(0, 0.2)], "head_prefill_s": [draw.uniform(0, 0.2)],
        "embed_decode_s": [draw.uniform(0, 0.02)], "head_decode_s": [draw.uniform(0, 0.02)],
    } for j in range(devices)]
    needed = layers * (min(bits) + 1) + 30
    return {
        "format": "llmpq-problem-1", "name": "cbc", "layers": layers, "formats": [f"w{b}" for b in bits],
        "layer_bytes": bits, "omega": [[draw.uniform(0, 1) * (16 - b) for b in bits] for _ in range(layers)],
        "theta": draw.choice([0, draw.uniform(0, 1)]), "max_omega": None, "prefill_tokens": [256], "decode_sequences": [8],
        "kinds": kinds,
        "groups": [{"name": f"device{j}", "kind": j, "ranks": [j], "memory_bytes": int(needed * draw.uniform(0.5, 1.5))} for j in range(devices)],
        "links": {"latency_s": [[0] * devices for _ in range(devices)], "s_per_byte": [[0] * devices for _ in range(devices)],
                  "activation_bytes_per_token": 0, "in_sum": False},
        "batchings": [{"mix": "separated", "prefill": 0, "decode": 0, "in_flight": 4, "prefill_sum": 1, "prefill_max": draw.randint(0, 15),
                       "decode_sum": 1, "decode_max": draw.randint(0, 300), "rounds": 0, "kv_bytes_per_layer": 1, "workspace_bytes": 5,
                       "first_bytes": 6, "last_bytes": 7, "shared_bytes": 0, "chunk_rounds": 0}],
        "order": list(range(devices)),
    }


def integer_program(problem):
    """The program as text in LP format. z_i_j_f: layer i on device j in format f; first_j, last_j: device j has the model's ends."""
    layers, devices, formats = range(problem["layers"]), range(len(problem["groups"])), range(len(problem["formats"]))
    row = problem["batchings"][0]
    cost = [f"{row['prefill_sum']} tp_{j} + {row['decode_sum']} td_{j}" for j in devices]
    cost += [f"{row['prefill_max']} tp + {row['decode_max']} td"]
    cost += [f"{problem['theta'] * problem['omega'][i][f]:.17g} z_{i}_{j}_{f}" for i in layers for j in devices for f in formats]
    rules = []
    on = {(i, j): " + ".join(f"z_{i}_{j}_{f}" for f in formats) for i in layers for j in devices}
    last = problem["layers"] - 1
    for i in layers:
        rules.append(" + ".join(on[i, j] for j in devices) + " = 1")
    for j in devices:
        kind = problem["kinds"][problem["groups"][j]["kind"]]
        rules.append(f"{on[0, j]} - first_{j} = 0")
        rules.append(f"{on[last, j]} - last_{j} = 0")
        for i in layers[1:]:  # once a layer is on a later device, no later layer comes back
            for k in range(j + 1, len(devices)):
                rules.append(f"{on[i, j]} + {on[i - 1, k]} <= 1")
        for step, name, table in (("p", "prefill", kind["prefill_s"]), ("d", "decode", kind["decode_s"])):
            busy = " + ".join(f"{table[f][0]:.17g} z_{i}_{j}_{f}" for i in layers for f in formats)
            ends = f"{kind[f'embed_{name}_s'][0]:.17g} first_{j} + {kind[f'head_{name}_s'][0]:.17g} last_{j}"
            rules.append(f"{busy} + {ends} - t{step}_{j} <= 0")
            rules.append(f"t{step}_{j} - t{step} <= 0")
        used = " + ".join(f"{problem['layer_bytes'][f] + row['kv_bytes_per_layer']} z_{i}_{j}_{f}" for i in layers for f in formats)
        room = problem["groups"][j]["memory_bytes"] - row["workspace_bytes"]
        rules.append(f"{used} + {row['first_bytes']} first_{j} + {row['last_bytes']} last_{j} <= {room}")
    binaries = [f"z_{i}_{j}_{f}" for i in layers for j in devices for f in formats]
    binaries += [f"{end}_{j}" for j in devices for end in ("first", "last")]
    lines = "\n".join(f" r{n}: {rule}" for n, rule in enumerate(rules))
    return f"Minimize\n cost: {' + '.join(cost)}\nSubject To\n{lines}\nBinary\n {' '.join(binaries)}\nEnd\n"


def fold(text):
    """LP files may not have long lines."""
    return "\n".join(re.sub(r"(.{200}\S*) ", r"\1\n  ", line) for line in text.split("\n"))


def solve_with_cbc(problem, folder):
    """The optimum; None: infeasible."""
    path, result = os.path.join(folder, "p.lp"), os.path.join(folder, "p.sol")
    with open(path, "w") as file:
        file.write(fold(integer_program(problem)))
    subprocess.run(["cbc", path, "ratioGap", "0", "allowableGap", "0", "solve", "solu", result], check=True, stdout=subprocess.DEVNULL)
    with open(result) as file:
        first = file.readline()
    if first.startswith("Infeasible") or first.startswith("Integer infeasible"):
        return None
    assert first.startswith("Optimal"), first
    return float(first.split()[-1])


def solve_with_llmpq(program, problem, folder):
    path = os.path.join(folder, "p.json")
    with open(path, "w") as file:
        json.dump(problem, file)
    run = subprocess.run([program, "plan", "--problem", path, "--optimality-gap", "0", "--json"], capture_output=True, text=True)
    if run.returncode == 3 and "proven" in run.stderr:
        return None
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["objective"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("llmpq")
    parser.add_argument("--problems", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if shutil.which("cbc") is None:
        print("cbc is not installed (package coinor-cbc): skipped")
        return 77
    draw, wrong, infeasible = random.Random(arguments.seed), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.problems):
            problem = make_problem(draw)
            theirs, ours = solve_with_cbc(problem, folder), solve_with_llmpq(arguments.llmpq, problem, folder)
            infeasible += theirs is None
            same = theirs == ours if None in (theirs, ours) else abs(theirs - ours) <= 1e-6 * max(1, abs(theirs))
            if not same:
                wrong += 1
                print(f"problem {number}: cbc {theirs}, llmpq {ours}")
    print(f"{arguments.problems} problems, {infeasible} of them infeasible: {wrong} differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
