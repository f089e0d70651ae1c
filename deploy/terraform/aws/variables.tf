variable "name" {
  description = "Name of the release and of what is made for it."
  type        = string
  default     = "hub"
}

variable "region" {
  description = "AWS region."
  type        = string
}

variable "cluster" {
  description = "Name of the EKS cluster."
  type        = string
}

variable "subnets" {
  description = "Private subnets for Kafka and PostgreSQL, one in each zone."
  type        = list(string)
}

variable "bucket" {
  description = "Name of the bucket for archives and copies of backups."
  type        = string
}

variable "kafka" {
  description = "Brokers: docs/OPERATIONS.md says how to choose. The hub is tested on Apache Kafka 4.1."
  type = object({
    version       = optional(string, "3.9.x")
    brokers       = optional(number, 3)
    instance_type = optional(string, "kafka.m7g.large")
    volume_gb     = optional(number, 500)
  })
  default = {}
}

variable "postgres" {
  description = "The metadata are small."
  type = object({
    instance_class = optional(string, "db.t4g.medium")
    storage_gb     = optional(number, 50)
  })
  default = {}
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
