# The chart on any cluster; the modules of the clouds beside this one make what it needs and call it.

terraform {
  required_version = ">= 1.6"
  required_providers {
    helm = {
      source  = "hashicorp/helm"
      version = "~> 3.0"
    }
  }
}

locals {
  secret_keys = ["LLM_HUB_DATA_KEY", "LLM_HUB_ADMIN_KEY", "LLM_HUB_METRICS_KEY", "LLM_HUB_DATABASE_URL"]
  keys = concat(
    local.secret_keys,
    var.clickhouse.source == "external" ? ["LLM_HUB_WAREHOUSE_URL"] : ["CLICKHOUSE_PASSWORD"],
  )

  values = {
    mode  = "scaled"
    image = var.image
    kafka = {
      source           = var.kafka.source
      bootstrapServers = var.kafka.bootstrap_servers
      partitions       = var.kafka.partitions
    }
    clickhouse     = { source = var.clickhouse.source }
    settings       = var.settings
    serviceAccount = { annotations = var.service_account_annotations }
    podLabels      = var.pod_labels
    secret = {
      source = "external-secrets"
      externalSecret = {
        store = { kind = "ClusterSecretStore", name = var.secret_store }
        data  = { for key in local.keys : key => { key = var.secret_name, property = key } }
      }
    }
    roles = {
      streams = { autoscaling = { by = "lag", min = 2, max = var.kafka.partitions, records = 50 } }
    }
  }
}

resource "helm_release" "hub" {
  name             = var.release
  namespace        = var.namespace
  create_namespace = true
  chart            = coalesce(var.chart, "${path.module}/../../helm/llm-analytics-hub")
  timeout          = 900
  atomic           = true

  values = concat([yamlencode(local.values)], var.values)
}
