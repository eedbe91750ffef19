//! What each field of a wrangler configuration is to us. A field stands in one of these lists, or it is not known.

/// workerd's own compiler takes these.
pub(super) const COMPILED: [&str; 16] = [
    "$schema",
    "assets",
    "compatibility_date",
    "compatibility_flags",
    "d1_databases",
    "durable_objects",
    "exports",
    "kv_namespaces",
    "main",
    "migrations",
    "name",
    "no_bundle",
    "queues",
    "triggers",
    "vars",
    "workflows",
];

/// These we read ourselves.
pub(super) const OWN: [&str; 16] = [
    "alias",
    "build",
    "define",
    "dev",
    "env",
    "jsx_factory",
    "jsx_fragment",
    "keep_names",
    "minify",
    "rules",
    "secrets",
    "services",
    "streaming_tail_consumers",
    "tail_consumers",
    "tsconfig",
    "version_metadata",
];

/// These mean something only where a worker is deployed, or to other tools. They are left out without a word.
pub(super) const LEFT_OUT: [&str; 27] = [
    "access",
    "account_id",
    "cache",
    "compliance_region",
    "dependencies_instrumentation",
    "first_party_worker",
    "keep_vars",
    "legacy_env",
    "limits",
    "logfwdr",
    "logpush",
    "observability",
    "placement",
    "preserve_file_names",
    "preview_urls",
    "previews",
    "route",
    "routes",
    "send_metrics",
    "tail",
    "targetEnvironment",
    "topLevelName",
    "upload_source_maps",
    "usage_model",
    "userConfigPath",
    "workers_dev",
    "zone_id",
];

/// A worker that has these would not find what it asks for, and nobody here can give it.
pub(super) const REFUSED: [(&str, &str); 41] = [
    ("agent_memory", NO_SERVICE),
    ("ai", NO_SERVICE),
    ("ai_search", NO_SERVICE),
    ("ai_search_namespaces", NO_SERVICE),
    ("analytics", NO_SIMULATOR),
    ("analytics_engine_datasets", NO_SIMULATOR),
    ("artifacts", NO_SERVICE),
    ("base_dir", NO_MODULES),
    ("browser", NO_SERVICE),
    ("cloudchamber", NO_SERVICE),
    ("connect", NO_SIMULATOR),
    ("containers", "jackfield starts no containers"),
    ("data_blobs", OLD_FORMAT),
    ("dispatch_namespaces", NO_SERVICE),
    ("find_additional_modules", NO_MODULES),
    ("flagship", NO_SERVICE),
    ("hyperdrive", NO_SIMULATOR),
    ("images", NO_SIMULATOR),
    ("k2", NO_SERVICE),
    ("media", NO_SERVICE),
    ("mtls_certificates", NO_SERVICE),
    ("node_compat", "write \"nodejs_compat\" among the `compatibility_flags` instead"),
    ("pages_build_output_dir", "this is a project of Pages; only workers are run"),
    ("pipelines", NO_SIMULATOR),
    ("python_modules", "workers in Python are not run"),
    ("r2_buckets", NO_SIMULATOR),
    ("ratelimits", NO_SIMULATOR),
    ("secrets_store_secrets", "write the secrets into .dev.vars instead"),
    ("send_email", NO_SIMULATOR),
    ("site", "write `assets` instead of it"),
    ("stream", NO_SERVICE),
    ("text_blobs", OLD_FORMAT),
    ("type", OLD_FORMAT),
    ("unsafe", NO_SERVICE),
    ("unsafe_hello_world", NO_SERVICE),
    ("vectorize", NO_SERVICE),
    ("vpc_networks", NO_SERVICE),
    ("vpc_services", NO_SERVICE),
    ("wasm_modules", OLD_FORMAT),
    ("webpack_config", OLD_FORMAT),
    ("worker_loaders", NO_SIMULATOR),
];

/// Why what is marked so is not run.
pub(super) const NO_REMOTE: &str = "what is deployed is not reached from here, only what is on this machine";

const NO_SERVICE: &str = "it is a service of Cloudflare's, which workerd alone does not have";
const NO_SIMULATOR: &str = "workerd alone does not have it, and jackfield has no stand-in for it yet";
const NO_MODULES: &str = "modules beside the bundle are not looked for; import them, or bundle them yourself";
const OLD_FORMAT: &str = "it belongs to service workers and old versions of wrangler; write an ES module";

/// An environment does not have these unless it says them itself.
pub(super) const NOT_INHERITED: [&str; 48] = [
    "agent_memory",
    "ai",
    "ai_search",
    "ai_search_namespaces",
    "analytics",
    "analytics_engine_datasets",
    "artifacts",
    "browser",
    "cloudchamber",
    "connect",
    "containers",
    "d1_databases",
    "define",
    "dispatch_namespaces",
    "durable_objects",
    "env",
    "flagship",
    "hyperdrive",
    "images",
    "k2",
    "kv_namespaces",
    "media",
    "mtls_certificates",
    "pipelines",
    "queues",
    "r2_buckets",
    "ratelimits",
    "secrets",
    "secrets_store_secrets",
    "send_email",
    "services",
    "site",
    "stream",
    "streaming_tail_consumers",
    "tail_consumers",
    "unsafe",
    "unsafe_hello_world",
    "vars",
    "vectorize",
    "version_metadata",
    "vpc_networks",
    "vpc_services",
    "worker_loaders",
    "workflows",
    "wasm_modules",
    "text_blobs",
    "data_blobs",
    "legacy_env",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_is_in_two_lists() {
        let refused = REFUSED.iter().map(|(name, _)| name);
        let mut all: Vec<_> = COMPILED.iter().chain(&OWN).chain(&LEFT_OUT).chain(refused).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
