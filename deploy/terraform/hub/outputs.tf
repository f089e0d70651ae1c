output "namespace" {
  description = "Where the hub runs."
  value       = helm_release.hub.namespace
}

output "release" {
  description = "Name and version of what was installed."
  value       = "${helm_release.hub.name} ${helm_release.hub.version}"
}
