variable "name" {
  description = "Name of the release and of what is made for it; unique in Azure for the database."
  type        = string
}

variable "subscription" {
  description = "Azure subscription."
  type        = string
}

variable "resource_group" {
  description = "Resource group of the cluster and of everything that is made."
  type        = string
}

variable "cluster" {
  description = "Name of the AKS cluster, with its OIDC issuer and workload identity on."
  type        = string
}

variable "vault" {
  description = "Name of the key vault that is made."
  type        = string
}

variable "storage_account" {
  description = "Name of the storage account for archives and copies of backups."
  type        = string
}

variable "postgres_subnet" {
  description = "Subnet delegated to PostgreSQL's flexible servers."
  type        = string
}

variable "postgres_dns_zone" {
  description = "Private DNS zone for it."
  type        = string
}

variable "postgres_sku" {
  description = "The metadata are small."
  type        = string
  default     = "GP_Standard_D2ds_v5"
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
