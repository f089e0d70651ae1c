variable "name" {
  description = "Name of the release and of what is made for it."
  type        = string
  default     = "llm-hub"
}

variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the cluster and of everything that is made."
  type        = string
}

variable "cluster" {
  description = "Name of the GKE cluster, with workload identity."
  type        = string
}

variable "network" {
  description = "The VPC with private services access, as projects/…/global/networks/…."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket for archives and copies of backups."
  type        = string
}

variable "postgres_tier" {
  description = "The metadata are small."
  type        = string
  default     = "db-custom-2-7680"
}

variable "image" {
  description = "Image of the target `roles`, in a registry of your own."
  type = object({
    repository = string
    tag        = string
  })
}

variable "partitions" {
  description = "Partitions of hub.events, fixed when the hub is created: the most workers that can ever share it."
  type        = number
  default     = 24
}

variable "warehouse_url" {
  description = "clickhouses://user:password@host:8443/llm_hub of a ClickHouse that is there; empty: Altinity's operator makes one."
  type        = string
  default     = ""
  sensitive   = true
}

variable "secret_store" {
  description = "ClusterSecretStore of the External Secrets operator for this cloud's secrets."
  type        = string
}

variable "chart_values" {
  description = "More values of the chart, as YAML; later ones win."
  type        = list(string)
  default     = []
}
