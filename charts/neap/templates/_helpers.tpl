{{- define "neap.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 53 | trimSuffix "-" -}}
{{- end -}}

{{- /* Names of objects; also of the Leases and ConfigMaps that neapd makes, which takes 40 characters. */ -}}
{{- define "neap.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "neap.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Names of what has no namespace: two releases of one name may live in two namespaces. */ -}}
{{- define "neap.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "neap.fullname" .) -}}
{{- end -}}

{{- define "neap.selectorLabels" -}}
app.kubernetes.io/name: {{ include "neap.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "neap.labels" -}}
{{ include "neap.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "neap.serviceAccount" -}}
{{- default (ternary (include "neap.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "neap.scalersServiceAccount" -}}
{{- default (ternary (printf "%s-scalers" (include "neap.fullname" .)) "default" .Values.scalersServiceAccount.create) .Values.scalersServiceAccount.name -}}
{{- end -}}

{{- define "neap.image" -}}
{{- with .Values.image -}}
{{- if .registry -}}{{ .registry }}/{{- end -}}
{{- .repository -}}
{{- if .digest -}}@{{ .digest }}{{- else -}}:{{ default $.Chart.AppVersion .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What neapd and the test pod both need to be admitted at the level `restricted`. */ -}}
{{- define "neap.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "neap.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "neap.sockets" -}}/run/neap/sockets{{- end -}}
{{- define "neap.scalersToken" -}}/run/neap/scalers-token/token{{- end -}}

{{- /* neapd's arguments, one a line as a YAML list. */ -}}
{{- define "neap.args" -}}
{{- $sockets := include "neap.sockets" . -}}
- --listen-address=:{{ .Values.neapd.port }}
{{- with .Values.namespaces }}
- --namespaces={{ join "," . }}
{{- end }}
{{- if .Values.dryRun }}
- --dry-run
- --leases=false
{{- else }}
- --leases=true
- --lease-name={{ include "neap.fullname" . }}
{{- with .Values.shards }}
- --shards={{ . }}
{{- end }}
{{- end }}
{{- if .Values.shadowHpas }}
- --shadow-hpas
{{- end }}
{{- if .Values.scalers.bundle.enabled }}
- --scalers=unix://{{ $sockets }}/scalers.sock
- --scalers-token-file={{ include "neap.scalersToken" . }}
- --scalers-service-account={{ include "neap.scalersServiceAccount" . }}
{{- end }}
{{- range .Values.scalers.extra }}
- --scalers={{ default (printf "unix://%s/%s.sock" $sockets .name) .address }}
{{- end }}
{{- if .Values.scalers.tls.enabled }}
- --scaler-tls
{{- if .Values.scalers.tls.secretName }}
- --scaler-tls-ca-file=/etc/neap/scaler-tls/ca.crt
{{- if .Values.scalers.tls.clientCertificate }}
- --scaler-tls-cert-file=/etc/neap/scaler-tls/tls.crt
- --scaler-tls-key-file=/etc/neap/scaler-tls/tls.key
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.neapd.syncPeriod }}
- --horizontal-pod-autoscaler-sync-period={{ . }}
{{- end }}
{{- with .Values.neapd.downscaleStabilization }}
- --horizontal-pod-autoscaler-downscale-stabilization={{ . }}
{{- end }}
{{- with .Values.neapd.cpuInitializationPeriod }}
- --horizontal-pod-autoscaler-cpu-initialization-period={{ . }}
{{- end }}
{{- with .Values.neapd.initialReadinessDelay }}
- --horizontal-pod-autoscaler-initial-readiness-delay={{ . }}
{{- end }}
{{- if not (kindIs "invalid" .Values.neapd.tolerance) }}
- --horizontal-pod-autoscaler-tolerance={{ .Values.neapd.tolerance }}
{{- end }}
{{- with .Values.neapd.writeQps }}
- --write-qps={{ . }}
{{- end }}
{{- if .Values.journal.enabled }}
- --journal-dir=/var/lib/neap/journal
- --journal-max-size={{ .Values.journal.maxSize }}
{{- end }}
{{- if .Values.neapd.logDecisions }}
- --v=1
{{- end }}
{{- range .Values.neapd.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}

{{- /* What a schema can't say. */ -}}
{{- define "neap.check" -}}
{{- if and .Values.journal.existingClaim (gt (int .Values.replicas) 1) -}}
{{- fail "journal.existingClaim: one claim can't hold the journals of several replicas: leave it empty, or set replicas to 1" -}}
{{- end -}}
{{- if and (eq .Values.secrets.access "namespaces") (not .Values.secrets.namespaces) (not .Values.namespaces) -}}
{{- fail "secrets.namespaces: name the namespaces whose Secrets may be read, since secrets.access is \"namespaces\" and namespaces is empty" -}}
{{- end -}}
{{- if and (eq .Values.secrets.access "cluster") .Values.namespaces -}}
{{- fail "secrets.access: \"cluster\" reaches beyond the namespaces that this installation serves: use \"namespaces\"" -}}
{{- end -}}
{{- if and .Values.scalers.bundle.enabled (eq (include "neap.serviceAccount" .) (include "neap.scalersServiceAccount" .)) -}}
{{- fail "scalersServiceAccount.name: the scalers need an account of their own, it is the same as serviceAccount.name" -}}
{{- end -}}
{{- $names := list "scalers" -}}
{{- range .Values.scalers.extra -}}
{{- if has .name $names -}}
{{- fail (printf "scalers.extra: the name %q is given twice, or is the bundle's" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{- end -}}

{{- /*
neapd's rights in its own namespace: Leases (NAME-shard-N, NAME-member-POD) and history (ConfigMaps NAME-history-SHARD-PART), whose
names are not known beforehand, and tokens of one account. A dry run needs neither of the first two: each process decides
everything, and nobody writes.
*/ -}}
{{- define "neap.ownRules" -}}
{{- if not .Values.dryRun }}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [list, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, create, patch]
{{- end }}
{{- if .Values.scalers.bundle.enabled }}
- apiGroups: [""]
  resources: [serviceaccounts/token]
  resourceNames: [{{ include "neap.scalersServiceAccount" . | quote }}]
  verbs: [create]
{{- end }}
{{- end -}}

{{- /* Not those of the Deployment: its Service must not find the test pod. */ -}}
{{- define "neap.testLabels" -}}
app.kubernetes.io/name: {{ include "neap.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}
