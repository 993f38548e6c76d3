"""PodRunner: what kubelets and the scheduler would do to pods, as far as their objects show it. Each pod without a node gets one,
runs at once, is Ready after a delay, and is gone as soon as it is deleted. A thread of its own; its methods are for any thread.

A program of Python and not kwok: it is these lines against a build of minutes, and its delays and crashes are set at run time.
"""
import datetime
import heapq
import threading
import time

NODE = "node-1"


def now_text():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class PodRunner:
    def __init__(self, api, ready_after=0.1):
        self.api = api
        self.ready_after = ready_after  # seconds, of pods that begin from now on
        self.lock = threading.Lock()
        self.local = {}                 # namespace -> LocalPods: its pods are real processes
        self.crashing = set()           # (namespace, value of the label app)
        self.waiting = []               # heap of (when, namespace, name, uid): to become Ready
        self.changed = threading.Condition(self.lock)
        self.over = False
        self.shown = {}                 # uid -> what was written last, of pods of real processes
        self.seen = set()               # uids of pods that were started
        self.log = []                   # (seconds since the epoch, event, pod): every state of every pod, as a watch told it
        status, answer = api.send("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        if status not in (201, 409):
            raise RuntimeError(f"the node could not be made: {answer}")
        api.merge(f"/api/v1/nodes/{NODE}/status", {"status": {
            "capacity": {"cpu": "1000", "memory": "1000Gi", "pods": "10000"}, "allocatable": {"cpu": "1000", "memory": "1000Gi", "pods": "10000"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "PodRunner"}]}})
        for run in (self.follow, self.make_ready):
            threading.Thread(target=run, daemon=True).start()

    def stop(self):
        with self.lock:
            self.over = True
            self.changed.notify_all()
        for local in self.local.values():
            local.stop_all()

    def crash(self, namespace, app):
        """Every pod with that label app crashes from now on, those that run and those that come."""
        with self.lock:
            self.crashing.add((namespace, app))
        for pod in self.pods(namespace, app):
            self.write(pod, "crash")

    def mend(self, namespace, app):
        with self.lock:
            self.crashing.discard((namespace, app))
        for pod in self.pods(namespace, app):
            self.write(pod, "ready")

    def pods(self, namespace, app):
        return self.api.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3D{app}")["items"]

    def follow(self):
        while not self.over:
            try:
                pods = self.api.get("/api/v1/pods")
                for pod in pods["items"]:
                    self.log.append((time.time(), "LISTED", pod))
                    self.handle(pod)
                for kind, pod in self.api.watch("/api/v1/pods", pods["metadata"]["resourceVersion"]):
                    self.log.append((time.time(), kind, pod))
                    if kind in ("ADDED", "MODIFIED"):
                        self.handle(pod)
                    if self.over:
                        return
            except Exception as error:  # the API server is away, or forgot where we were: list again
                if self.over:
                    return
                self.last_error = error
                with self.lock:
                    self.changed.wait(0.2)

    def handle(self, pod):
        meta = pod["metadata"]
        local = self.local.get(meta["namespace"])
        if meta.get("deletionTimestamp"):
            if local:
                local.stop(meta["name"])
            self.api.send("DELETE", self.path(meta["namespace"], meta["name"]), {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}})
            return
        if meta["uid"] in self.seen or pod.get("status", {}).get("phase") != "Pending":
            return
        self.seen.add(meta["uid"])
        if not pod["spec"].get("nodeName"):
            self.api.send("POST", self.path(meta["namespace"], meta["name"], "binding"), {
                "apiVersion": "v1", "kind": "Binding", "metadata": {"name": meta["name"]}, "target": {"apiVersion": "v1", "kind": "Node", "name": NODE}})
        if local:
            local.start(pod)
            self.write(pod, "run")
            self.later(0.1, pod)
            return
        crashes = (meta["namespace"], meta.get("labels", {}).get("app")) in self.crashing
        self.write(pod, "crash" if crashes else "run" if self.ready_after > 0 else "ready")
        if not crashes and self.ready_after > 0:
            self.later(self.ready_after, pod)

    def later(self, seconds, pod):
        with self.lock:
            heapq.heappush(self.waiting, (time.monotonic() + seconds, pod["metadata"]["uid"], pod))
            self.changed.notify_all()

    def make_ready(self):
        while True:
            with self.lock:
                while not self.over and (not self.waiting or self.waiting[0][0] > time.monotonic()):
                    self.changed.wait(self.waiting[0][0] - time.monotonic() if self.waiting else None)
                if self.over:
                    return
                _, _, pod = heapq.heappop(self.waiting)
            local = self.local.get(pod["metadata"]["namespace"])
            if local:
                self.look_at(local, pod)
                continue
            try:
                if (pod["metadata"]["namespace"], pod["metadata"].get("labels", {}).get("app")) not in self.crashing:
                    self.write(pod, "ready")
            except OSError:  # the API server is away
                self.later(0.2, pod)

    def look_at(self, local, pod):
        """A pod of real processes: its status follows them, until it is deleted."""
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        if name not in local.folders:
            return
        restarted = local.restart(name)
        now = "crash" if restarted else "ready" if local.is_ready(pod) else "run"
        try:
            if now != self.shown.get(uid):
                self.write(pod, now)
                self.shown[uid] = now
        except OSError:
            pass
        self.later(1 if restarted else 0.1 if now == "run" else 0.5, pod)

    def write(self, pod, what):
        """The pod's status as a kubelet would have it: run, ready or crash."""
        now = now_text()
        ready = what == "ready"
        conditions = [{"type": t, "status": s, "lastTransitionTime": now} for t, s in
                      (("PodScheduled", "True"), ("Initialized", "True"), ("ContainersReady", str(ready)), ("Ready", str(ready)))]
        state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed container"}} if what == "crash" else \
            {"running": {"startedAt": now}}
        statuses = [{"name": c["name"], "image": c.get("image", ""), "imageID": "", "ready": ready, "started": what != "crash",
                     "restartCount": 5 if what == "crash" else 0, "state": state} for c in pod["spec"]["containers"]]
        status = {"phase": "Running", "conditions": conditions, "containerStatuses": statuses,
                  "startTime": pod.get("status", {}).get("startTime") or now}
        self.api.send("PATCH", self.path(pod["metadata"]["namespace"], pod["metadata"]["name"], "status"),
                      {"metadata": {"uid": pod["metadata"]["uid"]}, "status": status}, "application/merge-patch+json")

    @staticmethod
    def path(*parts):
        namespace, *rest = parts
        return f"/api/v1/namespaces/{namespace}/pods/" + "/".join(rest)
