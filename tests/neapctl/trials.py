"""Objects and traces that the tests of simulate, compare and tune try."""
import os

from support import ROOT

TRACES = os.path.join(ROOT, "tests", "traces")
TAXI = os.path.join(TRACES, "nab_nyc_taxi.csv")
CRANE = os.path.join(TRACES, "crane_dsp_input15.csv")
AZURE = os.path.join(TRACES, "azure_llm_inference_2023_conv.csv")

HPA = """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: checkout, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: checkout}
  minReplicas: 2
  maxReplicas: 30
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}
"""
WORKER = """\
apiVersion: neap.dev/v1alpha1
kind: Autoscaler
metadata: {name: worker, namespace: shop}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: worker}
  minReplicas: 1
  maxReplicas: 30
  triggers:
  - type: redis
    metadata: {address: "redis:6379", listName: jobs, listLength: "20"}
"""
# Ten minutes with a step in them.
STEP = "time,rate\n0,20\n120,100\n360,40\n600,20\n"


def write(tmp_path, text, name="a.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return path
