variable "release" {
  description = "Name of the Helm release."
  type        = string
  default     = "hub"
}

variable "namespace" {
  description = "Namespace of the hub, made where it is missing."
  type        = string
  default     = "llm-hub"
}

variable "chart" {
  description = "The chart: a folder, or oci://… of a registry of your own; the one of this checkout unless given."
  type        = string
  default     = ""
}

variable "image" {
  description = "Image of the target `roles`, pushed to a registry of your own."
  type = object({
    repository = string
    tag        = string
  })
}

variable "kafka" {
  description = "external with bootstrap_servers, or strimzi; partitions are fixed when the hub is created."
  type = object({
    source            = string
    bootstrap_servers = optional(string, "")
    partitions        = optional(number, 12)
  })

  validation {
    condition     = contains(["external", "strimzi"], var.kafka.source)
    error_message = "kafka.source must be external or strimzi."
  }
}

variable "clickhouse" {
  description = "external (LLM_HUB_WAREHOUSE_URL in the secret) or altinity (CLICKHOUSE_PASSWORD in the secret)."
  type = object({
    source = string
  })
  default = { source = "altinity" }

  validation {
    condition     = contains(["external", "altinity"], var.clickhouse.source)
    error_message = "clickhouse.source must be external or altinity."
  }
}

variable "secret_store" {
  description = "ClusterSecretStore of the External Secrets operator that reads the cloud's secrets."
  type        = string
}

variable "secret_name" {
  description = "The cloud's secret: one JSON object whose keys are the hub's settings."
  type        = string
}

variable "settings" {
  description = "Settings of docs/settings.md in lower case, without the prefix."
  type        = map(string)
  default     = {}
}

variable "service_account_annotations" {
  description = "How the cloud knows the hub's pods."
  type        = map(string)
  default     = {}
}

variable "pod_labels" {
  description = "Labels of every pod of the hub."
  type        = map(string)
  default     = {}
}

variable "values" {
  description = "More values of the chart, as YAML; later ones win."
  type        = list(string)
  default     = []
}
