//! Our own declarations of what travels: Cap'n Proto RPC, byte streams, HTTP over Cap'n Proto, workerd's debug
//! port and its configuration.
//!
//! The Rust is generated from `schema/*.capnp` and checked in, so that building needs no compiler of schemas.
//! Type ids and ordinals equal those of the declarations that workerd is built with.

// Generated code answers to its generator and not to our lints and formatting.
macro_rules! generated {
    ($($(#[$doc:meta])* $name:ident = $path:literal;)*) => {$(
        $(#[$doc])*
        #[allow(warnings, clippy::all, rustdoc::all)]
        #[path = $path]
        pub mod $name;
    )*};
}

generated! {
    /// Streams of bytes.
    byte_stream_capnp = "../schema/generated/byte_stream_capnp.rs";
    /// JavaScript values put together outside of JavaScript.
    frankenvalue_capnp = "../schema/generated/frankenvalue_capnp.rs";
    /// HTTP, WebSockets and CONNECT as calls.
    http_over_capnp_capnp = "../schema/generated/http_over_capnp_capnp.rs";
    /// The messages of Cap'n Proto RPC.
    rpc_capnp = "../schema/generated/rpc_capnp.rs";
    /// The debug port, events and JavaScript RPC.
    worker_interface_capnp = "../schema/generated/worker_interface_capnp.rs";
    /// workerd's configuration.
    workerd_config_capnp = "../schema/generated/workerd_config_capnp.rs";
}
