{{/* The pod template of Deployment and DaemonSet. */}}

{{- define "portcullis.pod" -}}
{{- $v := .Values -}}
metadata:
  labels:
    {{- mergeOverwrite (deepCopy $v.podLabels) (include "portcullis.labels" . | fromYaml) | toYaml | nindent 4 }}
  {{- with $v.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "portcullis.serviceAccount" . | quote }}
  automountServiceAccountToken: true
  # Variables of a Service called portcullis-… would be taken for flags.
  enableServiceLinks: false
  {{- with $v.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if $v.hostNetwork }}
  hostNetwork: true
  dnsPolicy: ClusterFirstWithHostNet
  {{- end }}
  # Goes on accepting, finishes what runs, and has a few seconds to spare.
  terminationGracePeriodSeconds: {{ add $v.drain.delaySeconds $v.drain.timeoutSeconds 5 }}
  securityContext:
    runAsNonRoot: true
    {{- if $v.runAsUser }}
    runAsUser: {{ int64 $v.runAsUser }}
    runAsGroup: {{ int64 $v.runAsUser }}
    {{- end }}
    seccompProfile:
      type: RuntimeDefault
  containers:
    - name: portcullis
      image: {{ include "portcullis.image" . | quote }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        {{- include "portcullis.arguments" . | trim | nindent 8 }}
      ports:
        {{- range $name := list "http" "https" }}
        - name: {{ $name }}
          containerPort: {{ index $v.listen $name }}
          {{- if $v.hostNetwork }}
          hostPort: {{ index $v.listen $name }}
          {{- else if index $v.hostPorts $name }}
          hostPort: {{ index $v.hostPorts $name }}
          {{- end }}
          protocol: TCP
        {{- end }}
        - name: metrics
          containerPort: {{ $v.listen.metrics }}
          {{- if $v.hostNetwork }}
          hostPort: {{ $v.listen.metrics }}
          {{- end }}
          protocol: TCP
      startupProbe:
        httpGet:
          path: /livez
          port: metrics
        periodSeconds: 1
        failureThreshold: 60
      livenessProbe:
        httpGet:
          path: /livez
          port: metrics
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet:
          path: /readyz
          port: metrics
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      {{- with $v.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
          {{- if or (lt (int $v.listen.http) 1024) (lt (int $v.listen.https) 1024) }}
          add: [NET_BIND_SERVICE]
          {{- end }}
      volumeMounts:
        - name: cache
          mountPath: /var/cache/portcullis
        {{- if or $v.fetchCa.configMap $v.fetchCa.secret }}
        - name: fetch-ca
          mountPath: /etc/portcullis/fetch-ca
          readOnly: true
        {{- end }}
        {{- with $v.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: cache
      emptyDir:
        sizeLimit: {{ $v.pluginCache.sizeLimit | quote }}
    {{- with $v.fetchCa.configMap }}
    - name: fetch-ca
      configMap:
        name: {{ . | quote }}
    {{- end }}
    {{- with $v.fetchCa.secret }}
    - name: fetch-ca
      secret:
        secretName: {{ . | quote }}
    {{- end }}
    {{- with $v.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $v.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if and (eq $v.kind "Deployment") $v.topologySpread }}
  topologySpreadConstraints:
    {{- range $v.topologySpread }}
    - topologyKey: {{ .topologyKey | quote }}
      maxSkew: {{ .maxSkew | default 1 }}
      whenUnsatisfiable: {{ .whenUnsatisfiable | default "ScheduleAnyway" }}
      labelSelector:
        matchLabels:
          {{- include "portcullis.selector" $ | nindent 10 }}
      matchLabelKeys: [pod-template-hash]
    {{- end }}
  {{- end }}
  {{- with $v.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
{{- end -}}
