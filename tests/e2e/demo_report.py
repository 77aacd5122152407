"""The demo's report: facts from the ledger itself, checked, then as text or JSON."""
import collections
import json
import pathlib

TERA = 1e12


def last_json(text):
    """The JSON document that ends a log (programs may have written lines before it)."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            return json.loads(line)
    return {}


def miners_of(ledger, accounts):
    out = {}
    for account in accounts:
        keys = ledger.keys_of(account)
        mine = [s for s in ledger.shares if ledger.leases[s.lease_id].miner in keys]
        out[account] = {"shares": len(mine), "macs": sum(s.macs for s in mine),
                        "leases": len(ledger.complete(account)), "paid": ledger.paid(account),
                        "tokens": ledger.accounts.get(f"account:{account}", 0)}
    return out


def verdicts_of(ledger, pool_key):
    count = collections.Counter()
    for verdict in ledger.verdicts:
        by = "pool" if verdict.auditor.hex() == pool_key else "auditor"
        count[f"{by} {verdict.kind} {verdict.outcome}"] += 1
    return dict(sorted(count.items()))


def cheater_of(ledger, account):
    start = ledger.records[0].time_ms
    bad = [v for v in ledger.verdicts if v.outcome == "invalid"
           and ledger.miner_of(v.lease_id) == account]
    if not bad:
        return {"account": account, "caught": False, "wrong_paid": 0, "proofs": 0}
    keys = ledger.keys_of(account)
    leases = [lease for lease in ledger.leases.values() if lease.miner in keys]
    wrong = {v.lease_id for v in bad}
    right = [lease_id for lease_id in ledger.complete(account) if lease_id not in wrong]
    paid = ledger.paid(account)
    proven = [p for p in ledger.proofs if ledger.miner_of(p.lease_id) == account]
    return {"account": account, "caught": True, "proofs": len(proven),
            "proof_bytes": [p.bytes for p in proven],
            "banned": bool({key for _, _, key, _ in ledger.bans} & set(keys)),
            "caught_after_s": round((bad[0].time_ms - start) / 1000, 1),
            "caught_by": f"{bad[0].kind} ({bad[0].outcome}): {bad[0].detail}",
            "shares_before": sum(1 for s in ledger.shares if s.seq < bad[0].seq
                                 and ledger.leases[s.lease_id].miner in keys),
            "leases": len(leases), "unpaid": len(leases) - paid,
            "wrong_paid": max(0, paid - len(right)),
            "subtracted": sum(len(merge.subtracted) for merge in ledger.merges)}


def proof_says(offline):
    """What gemmine-verify reads in the proof, without the name of its first column."""
    for step in offline:
        if "gemmine-verify proof" in step["command"]:
            return step["says"].splitlines()[0]
    return "-"


def escrow_of(ledger, fund):
    accounts = ledger.accounts
    credited = sum(v for k, v in accounts.items() if k.startswith("account:"))
    fee = sum(v for k, v in accounts.items() if k.startswith("fee:"))
    left = sum(v for k, v in accounts.items() if k.startswith("escrow:"))
    returned = fund + accounts["external"]
    return {"funded": fund, "credited": credited, "fee": fee, "returned": returned,
            "spent": fund - returned, "left": left, "sum_of_accounts": sum(accounts.values())}


def weights_claim(ledger, pool_key, same_root):
    """What can be said of the weights: a wrong lease that was merged leaves the rounds after it
    with other weights to start from, also when it is taken out again."""
    merged = {lease_id for merge in ledger.merges for lease_id in merge.leases}
    taken_out = {lease_id for merge in ledger.merges for lease_id in merge.subtracted}
    wrong = merged & set(ledger.wrong(pool_key))
    if wrong or taken_out:
        return {f"every wrong lease that was merged ({len(wrong)}) was taken out again":
                wrong <= taken_out}
    return {"training alone gives the same state root": same_root}


def collect(*, ledger, status, codes, offline, seconds, fund, folder, honest, cheat, pool_key,
            alone, auditor, accuracy_min):
    job = status["jobs"][0]
    final = ledger.final_theta()
    root = final.hex() if final else None
    alone_root = last_json(alone).get("state_root")
    audit = last_json(auditor)
    accuracy = next((e["accuracy"] for e in job["accuracy"] if e["round"] == job["rounds"]), 0.0)
    cheater, escrow = cheater_of(ledger, cheat), escrow_of(ledger, fund)
    model = pathlib.Path(folder) / "model.safetensors"
    wrongly = [v for v in ledger.verdicts
               if v.outcome != "valid" and ledger.miner_of(v.lease_id) != cheat]
    valid = [step for step in offline if step["expected"] == 0]
    refused = [step for step in offline if step["expected"] == 10]
    checks = {
        "every round was merged and the job finished": bool(final) and job["finished"],
        f"test accuracy is at least {100 * accuracy_min:.1f} %": accuracy >= accuracy_min,
        "the cheat was caught": cheater["caught"],
        "no lease that was found wrong was paid": cheater["wrong_paid"] == 0,
        "no honest miner was found wrong": not wrongly,
        "honest miners and the auditor ended cleanly":
            all(codes[name] == 0 for name in (*honest, "auditor")),
        "nobody honest was banned, however slow":
            not {ledger.members.get(key) for _, _, key, _ in ledger.bans} - {cheat},
        "the slow miner was paid": ledger.paid(honest[-1]) > 0,
        "escrow spent = tokens credited + fee":
            escrow["spent"] == escrow["credited"] + escrow["fee"],
        "nothing is left in escrow": escrow["left"] == 0,
        "the sum over all accounts is 0": escrow["sum_of_accounts"] == 0,
        **weights_claim(ledger, pool_key, root is not None and root == alone_root),
        "the auditor folded the same ledger": audit.get("head") == ledger.head.hex(),
        "the model was exported": model.is_file() and model.stat().st_size > 0,
        "the cheat was convicted by a proof file": cheater["proofs"] > 0,
        "offline: ledger and merges, one share and its replay are valid":
            valid and all(step["exit_code"] == 0 for step in valid),
        "offline: the cheat's share is found invalid again, the proof proves, and a rewritten "
        "ledger is refused":
            len(refused) >= 3 and all(step["exit_code"] == 10 for step in refused),
    }
    return {
        "accuracy": accuracy, "seconds": round(seconds, 1),
        "miners": miners_of(ledger, (*honest, cheat)),
        "shares": len(ledger.shares), "macs": sum(s.macs for s in ledger.shares),
        "verdicts": verdicts_of(ledger, pool_key), "auditor": audit, "cheater": cheater,
        "escrow": escrow, "accounts": dict(sorted(ledger.accounts.items())), "state_root": root,
        "state_root_alone": alone_root, "ledger_head": ledger.head.hex(),
        "records": len(ledger.records), "model": str(model), "folder": str(folder),
        "offline": offline, "checks": checks,
    }


def as_json(facts):
    return json.dumps(facts, indent=2) + "\n"


def is_number(cell):
    return str(cell).lstrip("-").replace(".", "", 1).isdigit()


def table(title, rows, header=False):
    """Columns as wide as their widest cell; columns of numbers to the right."""
    columns = list(zip(*rows))
    widths = [max(len(str(cell)) for cell in column) for column in columns]
    right = [all(is_number(cell) for cell in column[header:]) for column in columns]
    out = ["", f"-- {title} ".ljust(78, "-")]
    for row in rows:
        cells = [str(cell).rjust(width) if to_right else str(cell).ljust(width)
                 for cell, width, to_right in zip(row, widths, right)]
        out.append(("  " + "  ".join(cells)).rstrip())
    return out


def text(facts):
    cheater, escrow = facts["cheater"], facts["escrow"]
    lines = ["", "=" * 78, "  Report".ljust(52) + f"{facts['seconds']:.1f} s of run time", "=" * 78]
    lines += table("Model", [
        ["test accuracy", f"{100 * facts['accuracy']:.2f} %"],
        ["state root", facts["state_root"]],
        ["  trained alone", facts["state_root_alone"]],
        ["safetensors", facts["model"]]])
    lines += table("Work", [["miner", "shares", "TMAC", "leases", "paid", "tokens"]] + [
        [name, m["shares"], f"{m['macs'] / TERA:.3f}", m["leases"], m["paid"], m["tokens"]]
        for name, m in facts["miners"].items()] + [
        ["all", facts["shares"], f"{facts['macs'] / TERA:.3f}",
         sum(m["leases"] for m in facts["miners"].values()),
         sum(m["paid"] for m in facts["miners"].values()),
         sum(m["tokens"] for m in facts["miners"].values())]], header=True)
    lines += table("Verdicts", [[kind, count] for kind, count in facts["verdicts"].items()])
    if cheater["caught"]:
        lines += table("Cheat", [
            ["caught", f"{cheater['caught_after_s']} s after the start, "
                       f"with {cheater['shares_before']} shares"],
            ["by", cheater["caught_by"]],
            ["convicted", f"by {cheater['proofs']} proof files of {cheater['proof_bytes']} bytes"
                          f"{', and banned' if cheater['banned'] else ''}"],
            ["the first file says", proof_says(facts["offline"])],
            ["unpaid", f"{cheater['unpaid']} of its {cheater['leases']} leases"],
            ["deltas taken out again", cheater["subtracted"]]])
    lines += table("Escrow", [[name.replace("_", " "), amount] for name, amount in escrow.items()])
    lines += table("Accounts", [[short(name), amount]
                                for name, amount in facts["accounts"].items()])
    lines += ["", "-- Verified offline; repeat it with ".ljust(78, "-")]
    lines += [f"  {'ok ' if step['exit_code'] == step['expected'] else 'NO '} "
              f"(exit {step['exit_code']:2d}) {step['command']}"
              for step in facts["offline"]]
    lines += ["", "-- Claims ".ljust(78, "-")]
    lines += [f"  {'ok ' if holds else 'NO '} {claim}" for claim, holds in facts["checks"].items()]
    return "\n".join(lines)


def short(account):
    kind, _, name = account.partition(":")
    return f"{kind}:{name[:12]}..." if len(name) == 64 else account
