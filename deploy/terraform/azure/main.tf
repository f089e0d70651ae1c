# The hub on AKS, with Azure Database for PostgreSQL, a storage account and Key Vault; Kafka is Strimzi's, in the
# cluster (Event Hubs cannot change a topic's retention the way the hub does). The cluster, its operators (External
# Secrets, KEDA, Strimzi and, unless there is a warehouse_url, Altinity's) and the network are there already.

terraform {
  required_version = ">= 1.6"
  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 4.0"
    }
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.0"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
  }
}

provider "azurerm" {
  subscription_id = var.subscription

  features {}
}

data "azurerm_client_config" "this" {}

data "azurerm_kubernetes_cluster" "this" {
  name                = var.cluster
  resource_group_name = var.resource_group
}

provider "helm" {
  kubernetes = {
    host                   = data.azurerm_kubernetes_cluster.this.kube_config[0].host
    client_certificate     = base64decode(data.azurerm_kubernetes_cluster.this.kube_config[0].client_certificate)
    client_key             = base64decode(data.azurerm_kubernetes_cluster.this.kube_config[0].client_key)
    cluster_ca_certificate = base64decode(data.azurerm_kubernetes_cluster.this.kube_config[0].cluster_ca_certificate)
  }
}

locals {
  location     = data.azurerm_kubernetes_cluster.this.location
  database_url = "postgresql://llm_hub:${random_password.postgres.result}@${azurerm_postgresql_flexible_server.metadata.fqdn}:5432/llm_hub?sslmode=require"
}

# What the hub's processes agree on. They are in Terraform's state too: keep that where only you can read it.
resource "random_id" "data_key" {
  byte_length = 32
}

resource "random_id" "admin_key" {
  byte_length = 40
}

resource "random_id" "metrics_key" {
  byte_length = 32
}

resource "random_password" "clickhouse" {
  length  = 32
  special = false # it becomes part of a URL
}

resource "random_password" "postgres" {
  length  = 32
  special = false
}

resource "azurerm_key_vault" "hub" {
  name                       = var.vault
  location                   = local.location
  resource_group_name        = var.resource_group
  tenant_id                  = data.azurerm_client_config.this.tenant_id
  sku_name                   = "standard"
  rbac_authorization_enabled = true
  purge_protection_enabled   = true
}

resource "azurerm_role_assignment" "vault" {
  scope                = azurerm_key_vault.hub.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = data.azurerm_client_config.this.object_id
}

resource "azurerm_key_vault_secret" "hub" {
  name         = "${var.name}-settings"
  key_vault_id = azurerm_key_vault.hub.id
  content_type = "application/json"
  value = jsonencode({
    LLM_HUB_DATA_KEY      = random_id.data_key.hex
    LLM_HUB_ADMIN_KEY     = "lh_${substr(random_id.admin_key.hex, 0, 16)}_${substr(random_id.admin_key.hex, 16, 64)}"
    LLM_HUB_METRICS_KEY   = random_id.metrics_key.hex
    LLM_HUB_DATABASE_URL  = local.database_url
    LLM_HUB_WAREHOUSE_URL = var.warehouse_url
    CLICKHOUSE_PASSWORD   = random_password.clickhouse.result
  })

  depends_on = [azurerm_role_assignment.vault]
}

resource "azurerm_postgresql_flexible_server" "metadata" {
  name                          = var.name
  location                      = local.location
  resource_group_name           = var.resource_group
  version                       = "17"
  sku_name                      = var.postgres_sku
  storage_mb                    = 65536
  administrator_login           = "llm_hub"
  administrator_password        = random_password.postgres.result
  delegated_subnet_id           = var.postgres_subnet
  private_dns_zone_id           = var.postgres_dns_zone
  public_network_access_enabled = false
  backup_retention_days         = 14
  geo_redundant_backup_enabled  = true

  high_availability {
    mode = "ZoneRedundant"
  }

  lifecycle {
    prevent_destroy = true
    ignore_changes  = [zone, high_availability[0].standby_availability_zone]
  }
}

resource "azurerm_postgresql_flexible_server_database" "metadata" {
  name      = "llm_hub"
  server_id = azurerm_postgresql_flexible_server.metadata.id
}

resource "azurerm_storage_account" "hub" {
  name                            = var.storage_account
  location                        = local.location
  resource_group_name             = var.resource_group
  account_tier                    = "Standard"
  account_replication_type        = "ZRS"
  min_tls_version                 = "TLS1_2"
  allow_nested_items_to_be_public = false

  blob_properties {
    versioning_enabled = true
  }
}

resource "azurerm_storage_container" "hub" {
  name               = "hub"
  storage_account_id = azurerm_storage_account.hub.id
}

resource "azurerm_user_assigned_identity" "hub" {
  name                = var.name
  location            = local.location
  resource_group_name = var.resource_group
}

resource "azurerm_role_assignment" "container" {
  scope                = azurerm_storage_container.hub.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.hub.principal_id
}

resource "azurerm_federated_identity_credential" "pods" {
  name                = var.name
  resource_group_name = var.resource_group
  parent_id           = azurerm_user_assigned_identity.hub.id
  issuer              = data.azurerm_kubernetes_cluster.this.oidc_issuer_url
  audience            = ["api://AzureADTokenExchange"]
  subject             = "system:serviceaccount:${module.hub.namespace}:${var.name}-llm-analytics-hub"
}

module "hub" {
  source = "../hub"

  release                     = var.name
  image                       = var.image
  secret_store                = var.secret_store
  secret_name                 = azurerm_key_vault_secret.hub.name
  kafka                       = { source = "strimzi", partitions = var.partitions }
  clickhouse                  = { source = nonsensitive(var.warehouse_url) == "" ? "altinity" : "external" }
  service_account_annotations = { "azure.workload.identity/client-id" = azurerm_user_assigned_identity.hub.client_id }
  pod_labels                  = { "azure.workload.identity/use" = "true" }
  values                      = var.chart_values

  depends_on = [azurerm_postgresql_flexible_server_database.metadata]
}
