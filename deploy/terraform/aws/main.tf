# The hub on EKS, with MSK, RDS for PostgreSQL, a bucket and Secrets Manager. The cluster, its operators (External
# Secrets, KEDA and, unless there is a warehouse_url, Altinity's) and the network are there already.

terraform {
  required_version = ">= 1.6"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 6.0"
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

provider "aws" {
  region = var.region
}

data "aws_eks_cluster" "this" {
  name = var.cluster
}

data "aws_eks_cluster_auth" "this" {
  name = var.cluster
}

provider "helm" {
  kubernetes = {
    host                   = data.aws_eks_cluster.this.endpoint
    cluster_ca_certificate = base64decode(data.aws_eks_cluster.this.certificate_authority[0].data)
    token                  = data.aws_eks_cluster_auth.this.token
  }
}

locals {
  nodes_group  = data.aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
  database_url = "postgresql://llm_hub:${random_password.postgres.result}@${aws_db_instance.metadata.endpoint}/llm_hub?sslmode=require"
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

resource "aws_secretsmanager_secret" "hub" {
  name                    = "${var.name}/settings"
  recovery_window_in_days = 30
}

resource "aws_secretsmanager_secret_version" "hub" {
  secret_id = aws_secretsmanager_secret.hub.id
  secret_string = jsonencode({
    LLM_HUB_DATA_KEY      = random_id.data_key.hex
    LLM_HUB_ADMIN_KEY     = "lh_${substr(random_id.admin_key.hex, 0, 16)}_${substr(random_id.admin_key.hex, 16, 64)}"
    LLM_HUB_METRICS_KEY   = random_id.metrics_key.hex
    LLM_HUB_DATABASE_URL  = local.database_url
    LLM_HUB_WAREHOUSE_URL = var.warehouse_url
    CLICKHOUSE_PASSWORD   = random_password.clickhouse.result
  })
}

resource "aws_security_group" "stores" {
  name        = "${var.name}-stores"
  description = "Kafka and PostgreSQL, from the cluster's nodes alone"
  vpc_id      = data.aws_eks_cluster.this.vpc_config[0].vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "stores" {
  for_each = { kafka = 9094, postgres = 5432 }

  security_group_id            = aws_security_group.stores.id
  referenced_security_group_id = local.nodes_group
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  description                  = each.key
}

resource "aws_msk_configuration" "hub" {
  name           = var.name
  kafka_versions = [var.kafka.version]
  server_properties = join("\n", [
    "auto.create.topics.enable=false",
    "default.replication.factor=3",
    "min.insync.replicas=2",
    "message.max.bytes=17825792",
    "replica.fetch.max.bytes=17825792",
  ])
}

resource "aws_msk_cluster" "hub" {
  cluster_name           = var.name
  kafka_version          = var.kafka.version
  number_of_broker_nodes = var.kafka.brokers

  broker_node_group_info {
    instance_type   = var.kafka.instance_type
    client_subnets  = var.subnets
    security_groups = [aws_security_group.stores.id]

    storage_info {
      ebs_storage_info {
        volume_size = var.kafka.volume_gb
      }
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.hub.arn
    revision = aws_msk_configuration.hub.latest_revision
  }

  client_authentication {
    unauthenticated = true # who may connect is said by the security group
  }

  encryption_info {
    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }
}

resource "aws_db_subnet_group" "metadata" {
  name       = var.name
  subnet_ids = var.subnets
}

resource "aws_db_instance" "metadata" {
  identifier                = var.name
  engine                    = "postgres"
  engine_version            = "17"
  instance_class            = var.postgres.instance_class
  allocated_storage         = var.postgres.storage_gb
  db_name                   = "llm_hub"
  username                  = "llm_hub"
  password                  = random_password.postgres.result
  multi_az                  = true
  storage_encrypted         = true
  backup_retention_period   = 14
  deletion_protection       = true
  final_snapshot_identifier = "${var.name}-final"
  db_subnet_group_name      = aws_db_subnet_group.metadata.name
  vpc_security_group_ids    = [aws_security_group.stores.id]
}

resource "aws_s3_bucket" "hub" {
  bucket = var.bucket
}

resource "aws_s3_bucket_versioning" "hub" {
  bucket = aws_s3_bucket.hub.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "hub" {
  bucket = aws_s3_bucket.hub.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "aws:kms"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "hub" {
  bucket                  = aws_s3_bucket.hub.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

data "aws_iam_policy_document" "pods" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]

    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    actions   = ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    resources = [aws_s3_bucket.hub.arn, "${aws_s3_bucket.hub.arn}/*"]
  }
}

resource "aws_iam_role" "hub" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.pods.json
}

resource "aws_iam_role_policy" "bucket" {
  name   = "bucket"
  role   = aws_iam_role.hub.id
  policy = data.aws_iam_policy_document.bucket.json
}

resource "aws_eks_pod_identity_association" "hub" {
  cluster_name    = var.cluster
  namespace       = module.hub.namespace
  service_account = "${var.name}-llm-analytics-hub"
  role_arn        = aws_iam_role.hub.arn
}

module "hub" {
  source = "../hub"

  release      = var.name
  image        = var.image
  secret_store = var.secret_store
  secret_name  = aws_secretsmanager_secret_version.hub.secret_id
  kafka = {
    source            = "external"
    bootstrap_servers = aws_msk_cluster.hub.bootstrap_brokers_tls
    partitions        = var.partitions
  }
  clickhouse = { source = nonsensitive(var.warehouse_url) == "" ? "altinity" : "external" }
  values     = concat([yamlencode({ kafka = { security = { tls = true } } })], var.chart_values)
}
