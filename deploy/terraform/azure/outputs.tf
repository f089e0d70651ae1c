output "namespace" {
  description = "Where the hub runs."
  value       = module.hub.namespace
}

output "container" {
  description = "For archives and copies of backups."
  value       = azurerm_storage_container.hub.id
}

output "vault" {
  description = "What the External Secrets operator must be allowed to read."
  value       = azurerm_key_vault.hub.vault_uri
}
