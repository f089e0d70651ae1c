{{- define "hub.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "hub.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "hub.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "hub.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "hub.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: llm-analytics-hub
{{ include "hub.selector" . }}
{{- end -}}

{{- define "hub.selector" -}}
app.kubernetes.io/name: {{ include "hub.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- /* Operators hand labels on to their pods, which must not look like the hub's. */ -}}
{{- define "hub.operatorLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "hub.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "hub.secretName" -}}
{{- .Values.secret.name | default (include "hub.fullname" .) -}}
{{- end -}}

{{- define "hub.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "hub.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /* How Kafka is reached and who asks. */ -}}
{{- define "hub.kafka" -}}
{{- $name := include "hub.fullname" . -}}
{{- $own := .Values.kafka.security -}}
{{- if eq .Values.kafka.source "strimzi" -}}
{{- $own = dict "tls" true "mechanism" "SCRAM-SHA-512" "user" (printf "%s-kafka" $name) "passwordSecret" (printf "%s-kafka" $name) -}}
{{- $own = merge $own (dict "passwordKey" "password" "caSecret" (printf "%s-cluster-ca-cert" $name) "caKey" "ca.crt") -}}
{{- end -}}
{{- $options := list -}}
{{- if $own.user -}}
{{- $options = append $options (printf "security=%s" (ternary "sasl_ssl" "sasl_plaintext" $own.tls)) -}}
{{- $options = append $options (printf "mechanism=%s" $own.mechanism) -}}
{{- else if $own.tls -}}
{{- $options = append $options "security=ssl" -}}
{{- end -}}
{{- if and $own.tls $own.caSecret -}}
{{- $options = append $options "ca=/etc/llm-hub/kafka/ca.crt" -}}
{{- end -}}
{{- $url := printf "kafka://%s%s" (ternary (printf "%s:$(KAFKA_PASSWORD)@" $own.user) "" (ne $own.user "")) (include "hub.bootstrapServers" .) -}}
{{- if $options -}}
{{- $url = printf "%s?%s" $url (join "&" $options) -}}
{{- end -}}
{{- $secret := $own.passwordSecret | default (include "hub.secretName" .) -}}
{{- merge (dict "url" $url "passwordSecret" $secret) $own | toYaml -}}
{{- end -}}

{{- /* How MirrorMaker is let in. */ -}}
{{- define "hub.mirrorAccess" -}}
{{- if .tls }}
tls:
  trustedCertificates:
    {{- if .caSecret }}
    - {secretName: {{ .caSecret }}, certificate: {{ .caKey }}}
    {{- else }} []
    {{- end }}
{{- end }}
{{- if .user }}
authentication:
  type: {{ lower .mechanism }}
  username: {{ .user }}
  passwordSecret: {secretName: {{ .passwordSecret }}, password: {{ .passwordKey }}}
{{- end }}
{{- end -}}

{{- define "hub.bootstrapServers" -}}
{{- if eq .Values.kafka.source "strimzi" -}}
{{ include "hub.fullname" . }}-kafka-bootstrap:9093
{{- else -}}
{{ required "kafka.bootstrapServers: mode scaled with an external Kafka needs host:port,host:port" .Values.kafka.bootstrapServers }}
{{- end -}}
{{- end -}}

{{- /* Settings as environment: Helm reads every number as a float and would write 2e+10. */ -}}
{{- define "hub.settings" -}}
{{- range $name, $value := . }}
{{- if and (kindIs "float64" $value) (eq (floor $value) $value) }}
LLM_HUB_{{ upper $name }}: {{ int64 $value | quote }}
{{- else }}
LLM_HUB_{{ upper $name }}: {{ $value | toString | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "hub.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "hub.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "hub.probes" -}}
startupProbe: # Kafka may still be loading
  httpGet: {path: /health/live, port: http}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 90
livenessProbe: # fails where only a restart helps: a worker that takes nothing from a log that grows
  httpGet: {path: /health/live, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /health/ready, port: http}
  periodSeconds: 5
  timeoutSeconds: 6
  failureThreshold: 2
{{- end -}}

{{- /* Environment of every container of the hub. */ -}}
{{- define "hub.env" -}}
envFrom:
  - configMapRef: {name: {{ include "hub.fullname" . }}}
  {{- if ne .Values.secret.source "none" }}
  - secretRef: {name: {{ include "hub.secretName" . }}}
  {{- end }}
{{- end -}}

{{- /* Where a role finds log and warehouse; a password is put into the address by the kubelet. */ -}}
{{- define "hub.storesEnv" -}}
{{- $kafka := include "hub.kafka" . | fromYaml }}
{{- if $kafka.user }}
- {name: KAFKA_USER, value: {{ $kafka.user }}}
- name: KAFKA_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $kafka.passwordSecret }}, key: {{ $kafka.passwordKey }}}}
{{- end }}
- name: LLM_HUB_BROKER_URL
  value: {{ $kafka.url | quote }}
{{- if eq .Values.clickhouse.source "altinity" }}
- name: CLICKHOUSE_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ include "hub.secretName" . }}, key: {{ .Values.clickhouse.altinity.passwordKey }}}}
- name: LLM_HUB_WAREHOUSE_URL
  value: clickhouse://llm_hub:$(CLICKHOUSE_PASSWORD)@clickhouse-{{ include "hub.fullname" . }}:8123/llm_hub
- {name: LLM_HUB_WAREHOUSE_CLUSTER, value: hub} # as templates/clickhouse.yaml calls it: its tables are replicated
{{- end }}
{{- end -}}

{{- /* The certificates of those who signed Kafka's, for roles. */ -}}
{{- define "hub.kafkaMount" -}}
{{- $kafka := include "hub.kafka" . | fromYaml }}
{{- if and $kafka.tls $kafka.caSecret }}
- {name: kafka-ca, mountPath: /etc/llm-hub/kafka, readOnly: true}
{{- end }}
{{- end -}}

{{- define "hub.kafkaVolume" -}}
{{- $kafka := include "hub.kafka" . | fromYaml }}
{{- if and $kafka.tls $kafka.caSecret }}
- name: kafka-ca
  secret: {secretName: {{ $kafka.caSecret }}, items: [{key: {{ $kafka.caKey }}, path: ca.crt}]}
{{- end }}
{{- end -}}

{{- /* What every pod of the hub has in common. */ -}}
{{- define "hub.pod" -}}
serviceAccountName: {{ include "hub.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false # a Service named llm-hub would set LLM_HUB_PORT
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
