output "namespace" {
  description = "Where the hub runs."
  value       = module.hub.namespace
}

output "bucket" {
  description = "For archives and copies of backups."
  value       = google_storage_bucket.hub.url
}

output "secret" {
  description = "What the External Secrets operator must be allowed to read."
  value       = google_secret_manager_secret.hub.id
}
