"""LocalPods: the pods of one namespace as processes of this machine: the containers' commands, arguments, environment, volumes,
user and read-only root as the pod's spec says, with real tokens of their ServiceAccount. So a chart is run as it is rendered.

What differs from a kubelet: a command's program is taken from a folder of built ones in the place of an image; the network is the
machine's, so that `--listen-address` becomes a picked port of loopback, and the API server is at 127.0.0.1; of the probes only the
first container's HTTP readiness probe is asked. Needs root and mount namespaces.

Used by PodRunner's thread, through `cluster.pods.local[namespace] = LocalPods(...)`; `processes` and `ports` are for any thread.
"""
import os
import re
import shutil
import stat
import threading

from stack import Child, fetch, wait_for

# What the program sees: its own /run with the volumes, nothing of the machine's writable, no rights of root.
ENTER = r"""set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/programs
mount --bind "$PROGRAMS" /run/programs
while [ "$1" != -- ]; do mkdir -p "$2"; mount --bind "$1" "$2"; [ "$3" = rw ] || mount -o remount,ro,bind "$2"; shift 3; done
shift
mount -o remount,ro,bind /run
mount -o remount,ro,bind /
exec setpriv --reuid="$USER_ID" --regid="$GROUP_ID" --clear-groups --no-new-privs --inh-caps=-all "$@"
"""


class LocalPods:
    def __init__(self, cluster, namespace, programs):
        self.cluster, self.namespace, self.programs = cluster, namespace, programs
        self.processes = {}  # (pod's name, container's name) -> Child
        self.ports = {}      # pod's name -> port of its first container's pages
        self.folders = {}    # pod's name -> its volumes' folder
        self.lost = set()    # names of pods whose containers are not started anew
        self.lock = threading.Lock()

    def start(self, pod):
        """Starts the containers; the pod is Ready when its probe says so."""
        name, spec = pod["metadata"]["name"], pod["spec"]
        folder = os.path.join(self.cluster.path("pods"), name)
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        group = spec.get("securityContext", {}).get("fsGroup", 0)
        for volume in spec.get("volumes", []):
            self.fill(os.path.join(folder, volume["name"]), volume, pod, group)
        with self.lock:
            self.folders[name] = folder
        for container in spec["containers"]:
            child = Child(f"{name}-{container['name']}", self.command(pod, container, folder), folder, self.environment(pod, container))
            with self.lock:
                self.processes[name, container["name"]] = child

    def is_ready(self, pod):
        name = pod["metadata"]["name"]
        with self.lock:
            mine = {c: p for (n, c), p in self.processes.items() if n == name}
        if not mine or not all(p.running() for p in mine.values()):
            return False
        first = pod["spec"]["containers"][0]
        probe = first.get("readinessProbe", {}).get("httpGet")
        if probe is None:
            return True
        port = re.search(r"/readyz.* at port (\d+)", mine[first["name"]].log())
        if port is None:
            return False
        with self.lock:
            self.ports[name] = int(port.group(1))
        try:
            return fetch(f"http://127.0.0.1:{port.group(1)}{probe['path']}", seconds=5)[0] == 200
        except OSError:
            return False

    def restart(self, name):
        """Starts containers that ended by themselves anew; how many there were."""
        with self.lock:
            if name in self.lost:
                return 0
            over = [p for (n, _), p in self.processes.items() if n == name and not p.running()]
        for child in over:
            child.start()
        return len(over)

    def stop(self, name):
        with self.lock:
            mine = [self.processes.pop(k) for k in list(self.processes) if k[0] == name]
            self.ports.pop(name, None)
            self.lost.discard(name)
            folder = self.folders.pop(name, None)
        codes = [child.stop() for child in mine]
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        return codes

    def stop_all(self):
        for name in list(self.folders):
            self.stop(name)

    def lose(self, name):
        """What the loss of its node does to a pod: nothing of it runs any more, and its object stays until somebody deletes it."""
        with self.lock:
            self.lost.add(name)
            mine = [p for (n, _), p in self.processes.items() if n == name]
        for child in mine:
            child.kill()

    def running(self, container):
        """{pod's name: Child} of the containers of that name that run."""
        with self.lock:
            return {n: p for (n, c), p in self.processes.items() if c == container and p.running()}

    def process(self, container):
        """(pod's name, Child) of the only running container of that name."""
        def only():
            found = list(self.running(container).items())
            return found[0] if len(found) == 1 else None
        return wait_for(only, 30, f"one container {container} to run")

    # ---- what a kubelet makes of a spec

    def command(self, pod, container, folder):
        user = {**pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
        mounts = []
        for mount in container.get("volumeMounts", []):
            path = mount["mountPath"].replace("/var/run/", "/run/")
            if not path.startswith("/run/"):
                raise RuntimeError(f"{mount['mountPath']}: LocalPods mounts below /run alone")
            mounts += [os.path.join(folder, mount["name"]), path, "ro" if mount.get("readOnly") else "rw"]
        program, *rest = container["command"] + container.get("args", [])
        rest = [re.sub(r"^(--listen-address)=.*", r"\1=127.0.0.1:0", r) for r in rest]
        return ["unshare", "--mount", "/usr/bin/env", f"PROGRAMS={self.programs}", f"USER_ID={user['runAsUser']}",
                f"GROUP_ID={user.get('fsGroup', user['runAsGroup'])}", "sh", "-c", ENTER, "enter", *mounts, "--",
                "/run/programs/" + os.path.basename(program), *rest]

    def environment(self, pod, container):
        env = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(self.cluster.port), "KUBECONFIG": "", "HOME": "/"}
        for one in container.get("env", []):
            env[one["name"]] = one["value"] if "value" in one else self.field(pod, one["valueFrom"]["fieldRef"]["fieldPath"])
        return env

    @staticmethod
    def field(pod, path):
        value = pod
        for part in path.split("."):
            value = value[part]
        return value

    def fill(self, path, volume, pod, group):
        os.makedirs(path)
        os.chown(path, 0, group)
        os.chmod(path, 0o2777 if "emptyDir" in volume else 0o755)
        if "projected" in volume:
            for source in volume["projected"]["sources"]:
                self.project(path, source, pod, group, volume["projected"].get("defaultMode", 0o644))
        elif "configMap" in volume:
            self.project(path, {"configMap": volume["configMap"]}, pod, group, 0o644)
        elif "emptyDir" not in volume:
            raise RuntimeError(f"volume {volume['name']}: LocalPods does not know its kind")

    def project(self, path, source, pod, group, mode):
        files = {}
        if "serviceAccountToken" in source:
            files[source["serviceAccountToken"]["path"]] = self.token(pod, source["serviceAccountToken"].get("expirationSeconds", 3600))
        elif "configMap" in source:
            wanted = source["configMap"]
            data = self.cluster.api.get(f"/api/v1/namespaces/{self.namespace}/configmaps/{wanted['name']}")["data"]
            files = {i["path"]: data[i["key"]] for i in wanted["items"]} if wanted.get("items") else data
        elif "downwardAPI" in source:
            files = {i["path"]: self.field(pod, i["fieldRef"]["fieldPath"]) for i in source["downwardAPI"]["items"]}
        for name, text in files.items():
            self.write(os.path.join(path, name), text, group, mode)

    @staticmethod
    def write(path, text, group, mode):
        with open(path + ".new", "w") as f:
            f.write(text)
        os.chown(path + ".new", 0, group)
        os.chmod(path + ".new", stat.S_IMODE(mode))
        os.replace(path + ".new", path)

    def write_token(self, name, text):
        """What a kubelet does to a pod's own token (the volume `token`) when it is renewed."""
        path = os.path.join(self.folders[name], "token", "token")
        was = os.stat(path)
        self.write(path, text, was.st_gid, was.st_mode)

    def token(self, pod, seconds):
        """A token as a kubelet asks for it: bound to the pod."""
        answer = self.cluster.api.post(f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{pod['spec']['serviceAccountName']}/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds, "boundObjectRef": {
                "apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}}})
        return answer["status"]["token"]
