"""An API server that restarts, is gone, hangs or cuts: no count changes that the metrics did not ask for, and it goes on afterwards."""
import os
import time

import pytest

from cluster import wait_for

# Seconds without an API server. CI takes less than the minute that is meant.
OUTAGE = float(os.environ.get("NEAP_OUTAGE", "25" if os.environ.get("CI") == "true" else "60"))


def start(shop, *flags, kubeconfig=None):
    shop.workload("web", replicas=3)
    shop.stub("web", 30)
    neapd = shop.start_neapd(*flags, scalers="stub", kubeconfig=kubeconfig)
    wait_for(lambda: shop.condition("web", "ScalingActive").get("status") == "True", 60, "web to be active")
    assert shop.replicas("web") == 3
    return neapd


def value(shop, replicas):
    shop.stack.set_stub("set", key="web", value=10 * replicas)


def decisions(shop):
    return sum(v for k, v in shop.stack.neapd_metrics().items() if k.startswith("neap_decisions_total"))


def decide_more(shop, count, seconds=60):
    before = decisions(shop)
    wait_for(lambda: decisions(shop) >= before + count, seconds, f"{count} more decisions")


def test_a_restart_of_the_api_server(shop):
    neapd = start(shop)
    shop.cluster.restart_apiserver()
    value(shop, 7)
    shop.scales_to("web", 7, seconds=60)
    assert neapd.running()


def test_an_outage(shop):
    """While it lasts the metric falls; what is written afterwards is the number that holds then, once."""
    neapd = start(shop)
    shop.cluster.stop_apiserver()
    began = time.monotonic()
    value(shop, 1)
    decide_more(shop, 3)
    value(shop, 5)
    wait_for(lambda: time.monotonic() - began > OUTAGE, OUTAGE + 10, "the outage to be long enough")
    shop.cluster.continue_apiserver()
    shop.scales_to("web", 5, seconds=90)
    assert neapd.running()
    value(shop, 2)
    shop.scales_to("web", 2, seconds=60)
    shop.wrote("web", 5, 2)


def test_an_api_server_that_hangs(shop):
    """It takes connections and says nothing, as a machine out of memory does: no answer is no refusal and no success."""
    start(shop)
    shop.cluster.pause(shop.cluster.apiserver)
    try:
        value(shop, 6)
        shop.stack.neapd.wait_log(r"(?i)time[d-]? ?out|deadline|nothing arrived", 60)
    finally:
        shop.cluster.resume(shop.cluster.apiserver)
    shop.scales_to("web", 6, seconds=90)


def test_a_slow_etcd(shop):
    """Etcd stands still while a write is under way, once longer than the write waits: none is lost, none is doubled."""
    start(shop)
    for wanted, more in ((6, 1), (2, 1), (8, 2)):  # the second decision comes when the first one's write is given up
        shop.cluster.pause(shop.cluster.etcd)
        value(shop, wanted)
        try:
            decide_more(shop, more)
        finally:
            shop.cluster.resume(shop.cluster.etcd)
        shop.scales_to("web", wanted, seconds=60)
    # Of a write that the client gave up the server may say that it failed, and yet do it.
    assert [n for _, n in shop.writes("web")] in ([6, 2, 8], [6, 2])


@pytest.fixture
def proxied(shop):
    proxy = shop.cluster.proxy()
    yield proxy, shop.cluster.kubeconfig_of("neapd", port=proxy.port)
    proxy.stop()


def test_watches_that_are_cut(shop, proxied):
    """Resumed where they were; what happened meanwhile is seen, without a list of everything."""
    proxy, kubeconfig = proxied
    start(shop, kubeconfig=kubeconfig)
    wanted = 4
    for _ in range(5):
        assert proxy.cut() > 0
        shop.patch("web", minReplicas=wanted)
        shop.scales_to("web", wanted)
        wanted += 1
    lists = [e for e in shop.cluster.audit() if e["user"]["username"] == "neapd" and e["verb"] == "list" and
             e["objectRef"]["resource"] == "autoscalers" and e["objectRef"].get("namespace") == shop.namespace]
    assert len(lists) <= 2, [e["requestURI"] for e in lists]


def test_a_silent_connection(shop, proxied):
    """Not a byte comes, and no connection breaks, as when a load balancer holds on to a server that hangs: nothing is taken for what it is
    not, and a new connection is made, on which it goes on."""
    proxy, kubeconfig = proxied
    neapd = start(shop, kubeconfig=kubeconfig)
    accepted = proxy.accepted
    proxy.hold()
    value(shop, 1)
    wait_for(lambda: proxy.accepted > accepted, 90, "neapd to make a new connection")
    assert shop.replicas("web") == 3
    proxy.release(forget=True)
    shop.scales_to("web", 1, seconds=90)
    assert neapd.running()


def test_kill_9_and_a_second_start(shop):
    neapd = start(shop)
    neapd.kill()
    value(shop, 5)
    neapd.start()
    shop.scales_to("web", 5)
    shop.wrote("web", 5)
