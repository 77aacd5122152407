"""Memory of a training step: ours with its proof beside PyTorch's fp32; prints a JSON row a model.

Ours (`step_mib`): all that the engine holds after a step but the state and the gradients, by
step_profile. PyTorch's: what its graph keeps for the backward pass, each storage once, without
parameters and data; `as_written` with the norms and GELU of lm_fp32.py, `fused` with PyTorch's own
layer_norm and gelu, which keep less. Neither has an attention that forgets its C x C weights:
`attention_mib` says how many of the bytes those are. Exit code 77 where torch is missing.
"""
import argparse
import json
import os
import subprocess
import sys

import lm_fp32
import torch_peer

# Model and batch, as step_profile has them.
MODELS = (("gpt:256,768,12,3072,1,1024", 1), ("gpt:256,128,4,512,4,128", 8),
          ("784,512,512,10", 128), ("1024,4096,4096,1000", 4096))
MIB = 1 << 20


class Fused(lm_fp32.Model):
    """LayerNorm stands in for RMSNorm, which torch 1.13 does not have: both keep their input."""

    def norm(self, x, index):
        return self.torch.nn.functional.layer_norm(x, x.shape[-1:], self.p[f"gain{index}"])

    def activation(self, x):
        return self.torch.nn.functional.gelu(x, approximate="tanh")


def kept_bytes(torch, trainer):
    """What the graph of one loss holds, by storage."""
    not_counted = [p for group in trainer.optimiser.param_groups for p in group["params"]]
    not_counted += [tensor for pair in trainer.data for tensor in pair]
    known = {tensor.storage().data_ptr() for tensor in not_counted}
    kept, alive = {}, []

    def pack(tensor):
        storage = tensor.storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
            alive.append(tensor)  # or its address might be given to the next
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = trainer.loss(*trainer.data[0])
    loss.backward()
    return sum(kept.values())


def attention_bytes(model, batch):
    if not model.startswith(torch_peer.GPT):
        return 0
    _, _, heads, _, blocks, context = map(int, model.removeprefix(torch_peer.GPT).split(","))
    return 4 * batch * blocks * heads * context * context


def row(torch, program, model, batch):
    done = subprocess.run([program, model, str(batch), "1", "1"], check=True,
                          stdout=subprocess.PIPE, text=True)
    memory = json.loads(done.stdout)["memory_mib"]
    trainer = torch_peer.make(torch, model, batch)
    peers = {"as_written": kept_bytes(torch, trainer)}
    if model.startswith(torch_peer.GPT):
        trainer.model = Fused(torch, trainer.model.shape, 1)
        trainer.optimiser = torch.optim.SGD(trainer.model.p.values(), lr=0)
        peers["fused"] = kept_bytes(torch, trainer)
    return {"model": model, "batch": batch, "memory_mib": memory,
            "torch_mib": {name: round(kept / MIB, 1) for name, kept in peers.items()},
            "attention_mib": round(attention_bytes(model, batch) / MIB, 1),
            "ratio": {name: round(memory["step"] * MIB / kept, 2)
                      for name, kept in peers.items()}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the step_profile program")
    parser.add_argument("--model", help="as step_profile has it; else the table's four")
    parser.add_argument("--batch", type=int, default=1)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        import torch
    except ImportError as error:
        print(f"step_memory: skipped: {error} (apt-get install python3-torch)", file=sys.stderr)
        return 77
    for model, batch in [(options.model, options.batch)] if options.model else MODELS:
        print(json.dumps(row(torch, options.ours, model, batch)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
