{{- define "countersign.name" -}}
{{- if contains "countersign" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-countersign" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "countersign.selector" -}}
app.kubernetes.io/name: countersign
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: app
{{- end }}

{{- define "countersign.labels" -}}
app.kubernetes.io/name: countersign
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "countersign.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "countersign.policy" -}}
{{ .Values.policy | default (.Files.Get "files/policy.yml") }}
{{- end }}

{{- define "countersign.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "countersign.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* The secrets, as files: their names are the keys of the Secret. */ -}}
{{- define "countersign.secretFiles" -}}
- {name: SLACK_BOT_TOKEN_FILE, value: /run/secrets/countersign/slack-bot-token}
{{- if .Values.app.socketMode }}
- {name: SLACK_APP_TOKEN_FILE, value: /run/secrets/countersign/slack-app-token}
{{- else }}
- {name: SLACK_SIGNING_SECRET_FILE, value: /run/secrets/countersign/slack-signing-secret}
{{- end }}
- {name: COUNTERSIGN_SECRET_KEY_FILE, value: /run/secrets/countersign/secret-key}
{{- if eq .Values.database.kind "postgresql" }}
- {name: COUNTERSIGN_DATABASE_URL_FILE, value: /run/secrets/countersign/{{ .databaseUrlKey | default "database-url" }}}
{{- end }}
{{- end }}
