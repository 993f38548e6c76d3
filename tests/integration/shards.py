"""Several neapd that share the targets: who holds which, what each has written."""
import calendar
import json
import time

from stack import fetch, wait_for

SHARDS = 6
NAMESPACE = "neap"
LEASE = 2          # seconds
RETRY = 0.4        # between two looks at the leases
FLAGS = ["--leases=true", "--shards", str(SHARDS), "--lease-namespace", NAMESPACE, "--lease-duration", f"{LEASE}s",
         "--lease-renew-deadline", "1400ms", "--lease-retry-period", f"{int(RETRY * 1000)}ms"]


def shard_of(uid):
    """As docs/operations.md says it: FNV-1a, 64 bits."""
    value = 14695981039346656037
    for byte in uid.encode():
        value = (value ^ byte) * 1099511628211 % 2**64
    return value % SHARDS


def start(stack, name, *flags):
    return stack.start_neapd(*FLAGS, "--identity", name, *flags, name=name)


def leases(stack):
    """{shard: holder's full identity, "" when released}."""
    items = stack.get(f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases")["items"]
    held = {}
    for lease in items:
        name = lease["metadata"]["name"]
        if name.startswith("neap-shard-"):
            held[int(name.rsplit("-", 1)[1])] = lease["spec"].get("holderIdentity") or ""
    return held


def holder_of(holders, shard):
    """The --identity of a shard's holder, without the suffix of the process."""
    return holders.get(shard, "").rpartition("-")[0]


def shards_held(stack, child):
    """Of which that process decides the targets, by its own word."""
    return int(stack.neapd_metrics(child).get("neap_shards_held", 0))


def decisions(stack, children):
    return sum(value for child in children for series, value in stack.neapd_metrics(child).items()
               if series.startswith("neap_decisions_total"))


def await_shared(stack, children, seconds=30):
    """Each shard is decided by one of `children`, and none of these has more than its part: before, some still change hands."""
    part = -(-SHARDS // len(children))

    def shared():
        counts = [shards_held(stack, child) for child in children]
        return sum(counts) == SHARDS and max(counts) <= part
    wait_for(shared, seconds, f"{len(children)} neapd to share {SHARDS} shards")


def shards_of_objects(stack):
    """{name: shard}"""
    items = stack.get("/apis/neap.dev/v1alpha1/namespaces/shop/autoscalers")["items"]
    return {item["metadata"]["name"]: shard_of(item["metadata"]["uid"]) for item in items}


def writes(stack, after=0):
    """The server's log, newest last; "at" is the time in seconds since the epoch, "by" whose --identity the sender has."""
    out = json.loads(fetch(stack.url + f"/writes?after={after}")[1])["writes"]
    for write in out:
        whole, _, fraction = write["time"].rstrip("Z").partition(".")
        write["at"] = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + (fraction or "0"))
        write["by"] = write["userAgent"].partition("(")[2].rstrip(")").rpartition("-")[0]
    return out


def last_seq(stack):
    return json.loads(fetch(stack.url + "/writes?after=1000000000")[1])["total"]


def is_scale(write):
    return write["path"].partition("?")[0].endswith("/scale")


def is_about_targets(write):
    """What only the holder of the object's shard may send (and events, which name it in their body)."""
    return is_scale(write) or write["path"].partition("?")[0].endswith("/status")
