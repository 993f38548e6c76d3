"""World files and Autoscaler objects of the integration tests, as text."""


def world(names, replicas=5, cpu=None):
    """Deployments without load (or with `cpu`: requests per second at 20m each), whose pods start within a second."""
    lines = ["seed: 1", "metrics: {window: 2s, every: 1s}", "namespaces: [shop]", "deployments:"]
    for name in names:
        lines += [f"- name: {name}", "  namespace: shop", f"  replicas: {replicas}", "  requests: {cpu: 500m}",
                  "  cpu: {perRequest: 20m}", "  startup: {running: [100ms, 200ms], ready: [100ms, 200ms]}"]
        if cpu is not None:
            lines.append(f"  load: {{constant: {cpu}}}")
    return "\n".join(lines) + "\n"


def autoscaler(name, trigger=None, metrics=None, **spec):
    """An Autoscaler of the deployment `name`: on trigger metadata of type `stub`, or on metrics (YAML text)."""
    lines = ["apiVersion: neap.dev/v1alpha1", "kind: Autoscaler", f"metadata: {{name: {name}, namespace: shop}}", "spec:",
             f"  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: {name}}}"]
    spec = {"minReplicas": 1, "maxReplicas": 20, "period": "1s",
            "behavior": "{scaleDown: {stabilizationWindowSeconds: 0}}", **spec}
    lines += [f"  {key}: {value}" for key, value in spec.items()]
    if trigger is not None:
        metadata = ", ".join(f'{k}: "{v}"' for k, v in trigger.items())
        lines += ["  triggers:", f"  - {{type: stub, metadata: {{{metadata}}}}}"]
    if metrics is not None:
        lines += ["  metrics:", f"  - {metrics}"]
    return "\n".join(lines) + "\n"


def objects(*texts):
    return "---\n".join(texts)
