# The hub on GKE, with Cloud SQL for PostgreSQL, a bucket and Secret Manager; Kafka is Strimzi's, in the cluster. The
# cluster, its operators (External Secrets, KEDA, Strimzi and, unless there is a warehouse_url, Altinity's) and the
# network with private services access are there already.

terraform {
  required_version = ">= 1.6"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 7.0"
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

provider "google" {
  project = var.project
  region  = var.region
}

data "google_client_config" "this" {}

data "google_container_cluster" "this" {
  name     = var.cluster
  location = var.region
}

provider "helm" {
  kubernetes = {
    host                   = "https://${data.google_container_cluster.this.endpoint}"
    cluster_ca_certificate = base64decode(data.google_container_cluster.this.master_auth[0].cluster_ca_certificate)
    token                  = data.google_client_config.this.access_token
  }
}

locals {
  database_url = "postgresql://llm_hub:${random_password.postgres.result}@${google_sql_database_instance.metadata.private_ip_address}:5432/llm_hub?sslmode=require"
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

resource "google_secret_manager_secret" "hub" {
  secret_id = "${var.name}-settings"

  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "hub" {
  secret = google_secret_manager_secret.hub.id
  secret_data = jsonencode({
    LLM_HUB_DATA_KEY      = random_id.data_key.hex
    LLM_HUB_ADMIN_KEY     = "lh_${substr(random_id.admin_key.hex, 0, 16)}_${substr(random_id.admin_key.hex, 16, 64)}"
    LLM_HUB_METRICS_KEY   = random_id.metrics_key.hex
    LLM_HUB_DATABASE_URL  = local.database_url
    LLM_HUB_WAREHOUSE_URL = var.warehouse_url
    CLICKHOUSE_PASSWORD   = random_password.clickhouse.result
  })
}

resource "google_sql_database_instance" "metadata" {
  name                = var.name
  region              = var.region
  database_version    = "POSTGRES_17"
  deletion_protection = true

  settings {
    tier              = var.postgres_tier
    edition           = "ENTERPRISE"
    availability_type = "REGIONAL"

    ip_configuration {
      ipv4_enabled    = false
      private_network = var.network
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      point_in_time_recovery_enabled = true
    }
  }
}

resource "google_sql_database" "metadata" {
  name     = "llm_hub"
  instance = google_sql_database_instance.metadata.name
}

resource "google_sql_user" "metadata" {
  name     = "llm_hub"
  instance = google_sql_database_instance.metadata.name
  password = random_password.postgres.result
}

resource "google_storage_bucket" "hub" {
  name                        = var.bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  versioning {
    enabled = true
  }
}

resource "google_service_account" "hub" {
  account_id   = var.name
  display_name = "LLM Analytics Hub"
}

resource "google_storage_bucket_iam_member" "hub" {
  bucket = google_storage_bucket.hub.name
  role   = "roles/storage.objectUser"
  member = google_service_account.hub.member
}

resource "google_service_account_iam_member" "pods" {
  service_account_id = google_service_account.hub.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${module.hub.namespace}/${var.name}-llm-analytics-hub]"
}

module "hub" {
  source = "../hub"

  release                     = var.name
  image                       = var.image
  secret_store                = var.secret_store
  secret_name                 = google_secret_manager_secret.hub.secret_id
  kafka                       = { source = "strimzi", partitions = var.partitions }
  clickhouse                  = { source = nonsensitive(var.warehouse_url) == "" ? "altinity" : "external" }
  service_account_annotations = { "iam.gke.io/gcp-service-account" = google_service_account.hub.email }
  values                      = var.chart_values

  depends_on = [google_secret_manager_secret_version.hub, google_sql_database.metadata, google_sql_user.metadata]
}
