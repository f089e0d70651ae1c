output "namespace" {
  description = "Where the hub runs."
  value       = module.hub.namespace
}

output "bootstrap_servers" {
  description = "Kafka, for KEDA and for modules that write to topics of their own."
  value       = aws_msk_cluster.hub.bootstrap_brokers_tls
}

output "bucket" {
  description = "For archives and copies of backups."
  value       = aws_s3_bucket.hub.bucket
}

output "secret" {
  description = "What the External Secrets operator must be allowed to read."
  value       = aws_secretsmanager_secret.hub.arn
}
