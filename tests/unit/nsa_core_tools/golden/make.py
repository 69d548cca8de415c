"""Writes the golden files of these tests: `make.py FOLDER`, with torch and safetensors installed.

Native Sparse Attention's three branches one query at a time, written from the paper and not from nsa_core, and their
gradients by torch.autograd, so that the files are of another origin in content too. attention.pt is as awkward as
torch.save can be told to be: a transposed view, a Parameter, two views of one storage, numbers in the metadata.
"""
import sys

import torch
from safetensors.torch import save_file

B, H, G, S, DK, DV = 1, 4, 2, 45, 8, 6
CONFIG = {"l": 8, "d": 4, "l_sel": 8, "n": 4, "w": 9, "n_initial": 1, "n_local": 2}


def attend(query, keys, values):
    if len(keys) == 0:
        return torch.zeros(DV, dtype=torch.float64)
    return torch.softmax(keys @ query / DK**0.5, 0) @ values


def compress(rows):
    l, d = CONFIG["l"], CONFIG["d"]
    starts = range(0, len(rows) - l + 1, d)
    means = [rows[s : s + l].mean(0) for s in starts]
    return torch.stack(means) if means else rows[:0]


def chosen_blocks(queries, keys_cmp, t):
    l, d, l_sel = CONFIG["l"], CONFIG["d"], CONFIG["l_sel"]
    own = t // l_sel
    importance = [0.0] * (own + 1)
    visible = [i for i in range(len(keys_cmp)) if i * d + l - 1 <= t]
    if visible:
        for query in queries:
            p = torch.softmax(keys_cmp[visible] @ query / DK**0.5, 0)
            for weight, i in zip(p.tolist(), visible):
                for j in range(own + 1):
                    shared = min(i * d + l, (j + 1) * l_sel) - max(i * d, j * l_sel)
                    importance[j] += weight * max(shared, 0) / d
    forced = [j for j in range(own + 1) if j < CONFIG["n_initial"] or j > own - CONFIG["n_local"]]
    others = sorted((j for j in range(own + 1) if j not in forced), key=lambda j: (-importance[j], j))
    return sorted((forced + others)[: CONFIG["n"]])


def outputs(q, k, v):
    out = {name: torch.zeros(B, H, S, DV, dtype=torch.float64) for name in ("sliding", "compressed", "selected")}
    blocks = torch.full((B, G, S, min(CONFIG["n"], -(-S // CONFIG["l_sel"]))), -1, dtype=torch.int64)
    for b in range(B):
        for g in range(G):
            keys, values = k[b, g], v[b, g]
            keys_cmp, values_cmp = compress(keys), compress(values)
            heads = range(g * H // G, (g + 1) * H // G)
            for t in range(S):
                picked = chosen_blocks([q[b, h, t] for h in heads], keys_cmp, t)
                blocks[b, g, t, : len(picked)] = torch.tensor(picked)
                in_blocks = [s for s in range(t + 1) if s // CONFIG["l_sel"] in picked]
                ended = sum(1 for i in range(len(keys_cmp)) if i * CONFIG["d"] + CONFIG["l"] - 1 <= t)
                for h in heads:
                    query = q[b, h, t]
                    first = max(0, t - CONFIG["w"] + 1)
                    out["sliding"][b, h, t] = attend(query, keys[first : t + 1], values[first : t + 1])
                    out["compressed"][b, h, t] = attend(query, keys_cmp[:ended], values_cmp[:ended])
                    out["selected"][b, h, t] = attend(query, keys[in_blocks], values[in_blocks])
    return out, blocks


def expected(q, k, v, d_out):
    leaves = {name: x.detach().double().requires_grad_() for name, x in (("q", q), ("k", k), ("v", v))}
    out, blocks = outputs(**leaves)
    tensors = {name: x.detach() for name, x in out.items()} | {"blocks": blocks, "d_out": d_out}
    for name, x in out.items():
        gradients = torch.autograd.grad((x * d_out.double()).sum(), list(leaves.values()), retain_graph=True)
        tensors |= {f"{name}.d_{leaf}": gradient for leaf, gradient in zip(leaves, gradients)}
    return tensors


def main(folder):
    torch.manual_seed(0)
    metadata = {"schema": "nsa-golden-1", "scope": "attention", "producer": "make.py"} | CONFIG
    kv = torch.randn(B, G, S, DK + DV)
    q = torch.randn(B, S, H, DK).transpose(1, 2)
    k, v = kv[..., :DK], kv[..., DK:]
    d_out = torch.randn(B, H, S, DV)
    tensors = {"q": q, "k": torch.nn.Parameter(k, False), "v": v} | expected(q, k, v, d_out)
    torch.save({"__metadata__": metadata, **tensors}, f"{folder}/attention.pt")

    half = {name: x.to(torch.bfloat16) for name, x in (("q", q), ("k", k), ("v", v), ("d_out", d_out))}
    tensors = half | expected(**half)
    tensors["blocks"] = tensors["blocks"].to(torch.int32)
    texts = {name: str(value) for name, value in metadata.items()}
    save_file({name: x.contiguous() for name, x in tensors.items()}, f"{folder}/attention.safetensors", metadata=texts)


main(sys.argv[1])
