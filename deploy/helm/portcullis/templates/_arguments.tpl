{{/* The gateway's command line. Values become arguments of a list, never text of a configuration. */}}

{{- define "portcullis.arguments" -}}
{{- $v := .Values -}}
{{- $classes := list $v.ingressClass.name -}}
{{- $controllers := list $v.ingressClass.controller -}}
{{- range $v.ingressClass.alsoServe -}}
{{- $classes = append $classes .name -}}
{{- $controllers = append $controllers .controller -}}
{{- end -}}
{{- $arguments := list "run"
  (printf "--http=:%d" (int $v.listen.http))
  (printf "--https=:%d" (int $v.listen.https))
  (printf "--metrics=:%d" (int $v.listen.metrics))
  (printf "--admin=127.0.0.1:%d" (int $v.listen.admin))
  (printf "--redirect-port=%d" (int $v.redirectPort))
  (printf "--ingress-class=%s" (join "," $classes))
  (printf "--controller=%s" (uniq $controllers | join ","))
  (printf "--drain-delay=%ds" (int $v.drain.delaySeconds))
  (printf "--drain-timeout=%ds" (int $v.drain.timeoutSeconds))
  "--plugin-cache=/var/cache/portcullis/plugins" -}}
{{- if or $v.fetchCa.configMap $v.fetchCa.secret -}}
{{- $arguments = append $arguments (printf "--fetch-ca=/etc/portcullis/fetch-ca/%s" $v.fetchCa.key) -}}
{{- end -}}
{{- with $v.watchNamespaces -}}
{{- $arguments = append $arguments (printf "--watch-namespace=%s" (join "," .)) -}}
{{- end -}}
{{- with $v.defaultTlsSecret -}}
{{- $arguments = append $arguments (printf "--default-tls-secret=%s" .) -}}
{{- end -}}
{{- if $v.publishAddresses -}}
{{- $arguments = append $arguments (printf "--publish-address=%s" (join "," $v.publishAddresses)) -}}
{{- else if $v.publishNodes -}}
{{- $labels := list -}}
{{- range $name, $value := include "portcullis.selector" . | fromYaml -}}
{{- $labels = append $labels (printf "%s=%s" $name $value) -}}
{{- end -}}
{{- $arguments = append $arguments (printf "--publish-nodes=%s/%s" .Release.Namespace (join "," $labels)) -}}
{{- else if $v.service.enabled -}}
{{- $arguments = append $arguments (printf "--publish-service=%s/%s" .Release.Namespace (include "portcullis.fullname" .)) -}}
{{- end -}}
{{- range $flag, $value := $v.config -}}
{{- if kindIs "bool" $value -}}
{{- if $value -}}{{- $arguments = append $arguments (printf "--%s" $flag) -}}{{- end -}}
{{- else if kindIs "slice" $value -}}
{{- $arguments = append $arguments (printf "--%s=%s" $flag (join "," $value)) -}}
{{- else if kindIs "string" $value -}}
{{- $arguments = append $arguments (printf "--%s=%s" $flag $value) -}}
{{- else -}}
{{- $arguments = append $arguments (printf "--%s=%d" $flag (int64 $value)) -}}
{{- end -}}
{{- end -}}
{{- /* Kubernetes would replace $(NAME) by a variable. */ -}}
{{- range $arguments }}
- {{ replace "$(" "$$(" . | toJson }}
{{- end -}}
{{- end -}}

{{/* What contradicts itself is refused with what to write instead. */}}
{{- define "portcullis.refuse" -}}
{{- $v := .Values -}}
{{- if and $v.autoscaling.enabled (eq $v.kind "DaemonSet") -}}
{{- fail "autoscaling.enabled: a DaemonSet runs once on each node and cannot be scaled; write kind: Deployment" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is more than autoscaling.maxReplicas; write it the other way around" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (not $v.autoscaling.cpu) (not $v.autoscaling.memory) -}}
{{- fail "autoscaling has nothing to scale by; write autoscaling.cpu or autoscaling.memory" -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled $v.hostNetwork -}}
{{- fail "networkPolicy.enabled has no effect on pods with hostNetwork; write false for one of them" -}}
{{- end -}}
{{- if and $v.hostNetwork (or $v.hostPorts.http $v.hostPorts.https) -}}
{{- fail "hostPorts has no effect with hostNetwork; write the ports under listen" -}}
{{- end -}}
{{- if and (not $v.hostNetwork) (or (lt (int $v.listen.http) 1024) (lt (int $v.listen.https) 1024)) -}}
{{- fail "listen: ports below 1024 need a capability that only hostNetwork is given; write 8080 and 8443, and the low ports under service.ports or hostPorts" -}}
{{- end -}}
{{- if and $v.fetchCa.configMap $v.fetchCa.secret -}}
{{- fail "fetchCa.configMap and fetchCa.secret: write one of them, with all CAs" -}}
{{- end -}}
{{- $ports := list (int $v.listen.http) (int $v.listen.https) (int $v.listen.metrics) (int $v.listen.admin) -}}
{{- if ne (len (uniq $ports)) 4 -}}
{{- fail "listen: two listeners have the same port; write another one" -}}
{{- end -}}
{{- if and (or $v.service.loadBalancerClass $v.service.loadBalancerSourceRanges) (ne $v.service.type "LoadBalancer") -}}
{{- fail "service.loadBalancerClass and service.loadBalancerSourceRanges need service.type: LoadBalancer" -}}
{{- end -}}
{{- end -}}
