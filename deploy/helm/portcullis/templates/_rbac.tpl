{{/* What the gateway may do, by where the objects are. */}}

{{- define "portcullis.rules.routes" -}}
- apiGroups: [networking.k8s.io]
  resources: [ingresses]
  verbs: [get, list, watch]
- apiGroups: [networking.k8s.io]
  resources: [ingresses/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [services]
  verbs: [get, list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch]
{{ include "portcullis.rules.plugins" . }}
{{- end -}}

{{/* Plugins with what they name, and certificates. */}}
{{- define "portcullis.rules.plugins" -}}
- apiGroups: [portcullis.dev]
  resources: [plugins]
  verbs: [get, list, watch]
- apiGroups: [portcullis.dev]
  resources: [plugins/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets, configmaps]
  verbs: [get, list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [get, create, patch]
{{- end -}}

{{- define "portcullis.rules.classes" -}}
- apiGroups: [networking.k8s.io]
  resources: [ingressclasses]
  verbs: [get, list, watch]
{{- end -}}

{{/* One role, and who has it: kind, name, namespace (empty for the cluster), rules. */}}
{{- define "portcullis.role" -}}
{{- $cluster := not .namespace -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $cluster | ternary "ClusterRole" "Role" }}
metadata:
  name: {{ .name | quote }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "portcullis.labels" .root | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $cluster | ternary "ClusterRoleBinding" "RoleBinding" }}
metadata:
  name: {{ .name | quote }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "portcullis.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $cluster | ternary "ClusterRole" "Role" }}
  name: {{ .name | quote }}
subjects:
  - kind: ServiceAccount
    name: {{ include "portcullis.serviceAccount" .root | quote }}
    namespace: {{ .root.Release.Namespace | quote }}
{{- end -}}
